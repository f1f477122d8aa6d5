"""What generated or reconstructed images show: blur, speckle, a shift of colours, answers of a judge too often."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from generative.diagnosis.failure import Failure
from generative.diagnosis.samples import evenly
from generative.features.checks import unit_images
from generative.metrics.sequences.answers import share_scores

SHARE_STEP = 0.05
SHARE_ERRORS = 4.0
ERRORS = 5.0
SPECK = 0.1
FEW_SPECKS = 0.02
LOOKED_AT = 256
LEAST_SHIFT = 0.02


def blur(real: Float[Tensor, "N C H W"], made: Float[Tensor, "M C H W"]) -> Failure | None:
    """Find images with less than half the fine detail of real ones: the mean square of their Laplacian."""
    ours, theirs = _detail(unit_images("made", made)), _detail(unit_images("real", real))
    if ours >= 0.5 * theirs:
        return None
    return Failure("blur", f"fine detail is {ours / theirs:.0%} of that of real images (limit 50%)")


def noise(real: Float[Tensor, "N C H W"], made: Float[Tensor, "M C H W"]) -> Failure | None:
    """Find images with speckle: more pixels than in real ones stick out of the median of the 3 x 3 around them.

    The difference must be 2 per cent of the pixels and five standard errors.
    """
    ours, theirs = _specks(unit_images("made", made)), _specks(unit_images("real", real))
    error = (ours.var() / len(ours) + theirs.var() / len(theirs)).sqrt()
    more = float(ours.mean() - theirs.mean())
    if more <= max(FEW_SPECKS, ERRORS * float(error)):
        return None
    return Failure(
        "noise",
        f"{ours.mean():.1%} of the pixels stick out of those around them, of real images {theirs.mean():.1%} "
        f"(limits: {100 * FEW_SPECKS:.0f} points more, and {ERRORS:.0f} standard errors)",
    )


def colour_shift(real: Float[Tensor, "N C H W"], made: Float[Tensor, "M C H W"]) -> Failure | None:
    """Find a channel whose mean is off by 2 per cent of its range and five standard errors."""
    ours, theirs = (unit_images("images", each).double().mean((2, 3)) for each in (made, real))
    error = (ours.var(0) / len(ours) + theirs.var(0) / len(theirs)).sqrt()
    off = ours.mean(0) - theirs.mean(0)
    off[(off.abs() < LEAST_SHIFT) | (off.abs() < ERRORS * error)] = 0
    if not bool(off.any()):
        return None
    channel = int(off.abs().argmax())
    return Failure(
        "colour shift",
        f"channel {channel} is {off[channel]:+.3f} off on average, {abs(off[channel]) / error[channel]:.0f} standard "
        f"errors (limits: {LEAST_SHIFT} and {ERRORS:.0f})",
    )


def wrong_shares(real: Mapping[str, Tensor], made: Mapping[str, Tensor], count: int) -> Failure | None:
    """Find answers of a judge that are far more or far less common than among real images, such as a lost class.

    An answer must be off by 5 points and by four standard errors of two such shares.

    Args:
        real: how common each answer is among real images, by question.
        made: among generated ones.
        count: images of each set.
    """
    found = []
    for name, scores in share_scores(real, made, count).items():
        off = (made[name] - real[name]).abs()
        off[(off < SHARE_STEP) | (scores.abs() < SHARE_ERRORS)] = 0
        answer = int(off.argmax())
        if off[answer] > 0:
            found.append((float(off[answer]), name, answer, float(made[name][answer]), float(real[name][answer])))
    if not found:
        return None
    worst = sorted(found, reverse=True)[:3]
    said = ", ".join(f"{name} {answer} in {share:.0%} for {expected:.0%}" for _, name, answer, share, expected in worst)
    return Failure(
        "wrong shares",
        f"the judge answers {said} of real images (limits: {100 * SHARE_STEP:.0f} points and {SHARE_ERRORS:.0f} "
        "standard errors)",
    )


def _detail(images: Tensor) -> float:
    return _laplacian(images).square().mean().item()


def _specks(images: Tensor) -> Float[Tensor, " N"]:
    """Share of pixels of each image that differ from the median around them by a tenth of the range; of some images."""
    images = images[evenly(len(images), min(len(images), LOOKED_AT))]
    around = images.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4).median(-1).values
    return ((images[..., 1:-1, 1:-1] - around).abs() > SPECK).double().flatten(1).mean(1)


def _laplacian(images: Tensor) -> Tensor:
    across = images[..., 1:-1, :-2] + images[..., 1:-1, 2:]
    down = images[..., :-2, 1:-1] + images[..., 2:, 1:-1]
    return (across + down - 4 * images[..., 1:-1, 1:-1]).double()
