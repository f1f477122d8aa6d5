"""From what a training left behind to what went wrong: verdicts with evidence and a remedy, none for a healthy run.

Each function looks for one known failure in rows of metrics or in samples, codes and features, and returns a
`Verdict` or None. `diagnose` runs those for which there is evidence. Limits are stated where they are used; they
are meant to be missed by healthy runs by far, so a close call is reported by the metrics and not here.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import unit_images
from generative.metrics.answers import share_scores
from generative.metrics.neighbours import coverage, memorisation, precision
from generative.metrics.representation import active_units

History = Sequence[Mapping[str, float | int]]
"""Rows of metrics in the order of training, as `fit` yields them."""
Problem = Literal[
    "posterior collapse",
    "mode collapse",
    "vanishing critic",
    "exploding critic",
    "oscillation",
    "memorisation",
    "blur",
    "noise",
    "colour shift",
    "wrong shares",
    "unreal",
    "over-fitting",
    "worse than principal components",
    "dead codes",
]

LEAST_KL = 0.1  # nats per image: less than a seventh of a bit about what is seen
FLAT_SLOPE = 0.01  # a critic that should have slope 1; weight clipping at 0.01 leaves .000 in four layers
STEEP_SLOPE = 100.0
SURE = 0.98
LOST_GRADIENT = 0.01
PERIODIC_POWER = 0.7
LEAST_PERIODS = 4
LEAST_ROWS = 32
SHARE_STEP = 0.05
SHARE_ERRORS = 4.0
ERRORS = 5.0
LEAST_REAL = 0.7
MEMORISED = 0.05
SPECK = 0.1
FEW_SPECKS = 0.02
LOOKED_AT = 256
LEAST_SHIFT = 0.02


@dataclass(frozen=True)
class Failure:
    """A failure that was found."""

    problem: Problem
    """Its name."""
    evidence: str
    """The figures it rests on, and their limits."""
    remedy: str = ""
    """What to change first; dials are named that the model has."""


@dataclass(frozen=True)
class Evidence:
    """What there is to look at; whatever is missing is not judged."""

    history: History = ()
    """Rows of metrics: kl, critic_slope, critic_accuracy, generator_gradient, and `curve`."""
    curve: str = "loss"
    """The metric of the history that should settle down; a sample metric says more than an adversarial loss."""
    means: Tensor | None = None
    """Posterior means of held-out images (N Z)."""
    train: Tensor | None = None
    """Features of training data (N F)."""
    held_out: Tensor | None = None
    """Features of real data that training did not see (M F)."""
    samples: Tensor | None = None
    """Features of generated data (K F)."""
    real_images: Tensor | None = None
    """Real images in [0, 1] (N C H W)."""
    made_images: Tensor | None = None
    """Generated or reconstructed images in [0, 1] (M C H W)."""
    copies: tuple[float, float] | None = None
    """Shares of samples and of held-out data that copy something of the whole training set; by `train` otherwise."""
    real_answers: Mapping[str, Tensor] = field(default_factory=dict)
    """How common each answer of a judge is among real images, by question."""
    made_answers: Mapping[str, Tensor] = field(default_factory=dict)
    """The same of generated or reconstructed images."""
    judged: int = 0
    """How many images those shares are of, each."""
    error: float | None = None
    """Squared error of reconstructions of held-out images."""
    components_error: float | None = None
    """That of as many principal components as the model has latents."""
    dials: Collection[str] = frozenset()
    """Names of the model's options, which remedies may name."""
    codes: Tensor | None = None
    """Indices into a codebook, of held-out images (any shape)."""
    codebook: int = 0
    """How many entries that codebook has."""


def diagnose(evidence: Evidence) -> list[Failure]:
    """Return every failure that the evidence shows; an empty list for a healthy run.

    Raises:
        ComponentError: evidence that cannot be judged, such as too few rows or images outside [0, 1].
    """
    e, real, made = evidence, evidence.real_images, evidence.made_images
    found = [vanishing_critic(e.history), exploding_critic(e.history), over_fitting(e.history)]
    found.append(posterior_collapse(e.history, e.means))
    found.append(oscillation(_column(e.history, e.curve)))
    if e.train is not None and e.held_out is not None and e.samples is not None:
        found += [mode_collapse(e.train, e.held_out, e.samples), unreal(e.train, e.held_out, e.samples)]
        if e.copies is None:
            found.append(memorised(memorisation(e.train, e.samples), memorisation(e.train, e.held_out)))
    if e.copies is not None:
        found.append(memorised(*e.copies))
    if real is not None and made is not None:
        found += [blur(real, made), noise(real, made), colour_shift(real, made)]
    if e.real_answers:
        found.append(wrong_shares(e.real_answers, e.made_answers, e.judged))
    if e.error is not None and e.components_error is not None:
        found.append(worse_than_components(e.error, e.components_error))
    if e.codes is not None:
        found.append(dead_codes(e.codes, e.codebook))
    return [replace(each, remedy=remedy(each.problem, e.dials)) for each in found if each is not None]


ADVICE: Mapping[Problem, tuple[tuple[str, str], ...]] = {
    "posterior collapse": (
        ("beta", "lower beta"), ("kl_floor", "raise kl_floor"),
        ("", "weaken the decoder"),
    ),
    "mode collapse": (
        ("lipschitz", "constrain the critic (lipschitz), as by a gradient penalty"),
        ("gan_loss", "use a Wasserstein loss (gan_loss, or the model wgan-gp)"),
        ("", "lower the learning rate; go back to a checkpoint from before the collapse"),
    ),
    "vanishing critic": (
        ("clip", "clip less tightly, or replace clipping by a gradient penalty (wgan-gp)"),
        ("label_noise", "raise label_noise"), ("critic_steps", "lower critic_steps"),
        ("critic_rate", "lower critic_rate"),
        ("", "use a non-saturating or Wasserstein loss"),
    ),
    "exploding critic": (
        ("lipschitz", "constrain it (lipschitz)"), ("penalty", "raise penalty"),
        ("critic_norm", "leave batch norm out of it (critic_norm)"),
        ("critic_rate", "lower critic_rate"), ("", "lower the learning rate"),
    ),
    "oscillation": (
        ("momentum", "lower momentum (0 or 0.5)"), ("critic_rate", "use two rates (critic_rate)"),
        ("ema", "sample from averaged weights (ema)"), ("", "lower the learning rate"),
    ),
    "memorisation": (
        ("width", "lower width"), ("latent", "lower latent"), ("dropout", "raise dropout"),
        ("", "train on more or augmented data, or stop earlier"),
    ),
    "blur": (
        ("latent", "raise latent"), ("beta", "lower beta"), ("codes", "raise codes"), ("width", "raise width"),
        ("", "add an adversarial or perceptual loss: a squared error alone blurs whatever the latent does not say"),
    ),
    "noise": (
        ("ema", "sample from averaged weights (ema)"), ("lipschitz", "constrain the critic (lipschitz)"),
        ("", "train longer, or lower the learning rate; look at an upsampling that leaves a pattern"),
    ),
    "colour shift": (("", "train longer; look at the range of pixels at the model's output"),),
    "wrong shares": (
        ("beta", "lower beta"), ("latent", "raise latent"), ("lipschitz", "constrain the critic (lipschitz)"),
        ("", "train longer; what is missing is too small for the loss to notice, or was dropped"),
    ),
    "unreal": (
        ("latent", "change latent"), ("width", "raise width"), ("density", "raise density"), ("", "train longer"),
    ),
    "over-fitting": (
        ("dropout", "raise dropout"), ("width", "lower width"), ("beta", "raise beta"),
        ("", "stop earlier, or train on more data"),
    ),
    "worse than principal components": (
        ("beta", "lower beta"), ("latent", "lower latent where units are idle"), ("width", "raise width"),
        ("", "train longer, or use pca"),
    ),
    "dead codes": (
        ("restart", "restart dead codes earlier (restart)"), ("codes", "lower codes"),
        ("", "update the codebook by moving averages"),
    ),
}  # fmt: skip
"""What helps against each failure: the dial that it takes, none for what every training has, and the words."""


def remedy(problem: Problem, dials: Collection[str]) -> str:
    """Return what to change first, of a model that has these dials."""
    words = [said for dial, said in ADVICE[problem] if not dial or dial in dials]
    return "; ".join(words)


def posterior_collapse(history: History, means: Float[Tensor, "N Z"] | None = None) -> Failure | None:
    """Find an encoder that says nothing: no active unit, or a KL divergence of less than 0.1 nats.

    Unused dimensions beside used ones are healthy.
    """
    if means is not None and active_units(means) == 0:
        evidence = f"none of {means.shape[1]} dimensions of the posterior mean varies over images (variance > 0.01)"
        return Failure("posterior collapse", evidence)
    kl = _late(_column(history, "kl"))
    if kl is not None and kl < LEAST_KL:
        return Failure("posterior collapse", f"KL of {kl:.2g} nats at the end (limit {LEAST_KL})")
    return None


def mode_collapse(
    train: Float[Tensor, "N F"], held_out: Float[Tensor, "M F"], samples: Float[Tensor, "K F"]
) -> Failure | None:
    """Find samples that cover less than half of what held-out data cover, though they look real or all alike.

    Samples that are various but look like nothing real are bad, not collapsed, and get no verdict.
    """
    count = min(len(train), len(held_out), len(samples))  # sets of one size, or the larger one is never covered
    train, held_out, samples = (each[_evenly(len(each), count)] for each in (train, held_out, samples))
    covered, expected = coverage(train, samples), coverage(train, held_out)
    if covered >= 0.5 * expected:
        return None
    real, real_expected = precision(train, samples), precision(train, held_out)
    variety = _variance(samples) / max(_variance(held_out), 1e-300)
    if real < 0.5 * real_expected and variety > 0.1:
        return None
    return Failure(
        "mode collapse",
        f"samples cover {covered:.0%} of the data, held-out data {expected:.0%} (limit: half of it); "
        f"precision {real:.0%}, variance {variety:.0%} of the data's",
    )


def vanishing_critic(history: History) -> Failure | None:
    """Find a critic that gives the generator no direction.

    Either its slope (`critic_slope`, norm of its gradient in its input) ends below 0.01, or it tells real from
    made in 98 per cent (`critic_accuracy`) while the generator's gradient (`generator_gradient`) has fallen to a
    hundredth of what it was.
    """
    slope = _late(_column(history, "critic_slope"))
    if slope is not None and slope < FLAT_SLOPE:
        return Failure(
            "vanishing critic",
            f"its slope is {slope:.2g} at the end (limit {FLAT_SLOPE})",
        )
    accuracy, gradient = _late(_column(history, "critic_accuracy")), _column(history, "generator_gradient")
    before, after = _early(gradient), _late(gradient)
    if accuracy is None or before is None or after is None:
        return None
    if accuracy > SURE and after < LOST_GRADIENT * before:
        return Failure(
            "vanishing critic",
            f"it is right in {accuracy:.0%} (limit {SURE:.0%}) and the generator's gradient fell from {before:.2g} "
            f"to {after:.2g} (limit: to {LOST_GRADIENT:.0%})",
        )
    return None


def exploding_critic(history: History) -> Failure | None:
    """Find a critic whose slope (`critic_slope`) ends above 100, grew a hundredfold, or is no longer finite."""
    slopes = _column(history, "critic_slope", finite=False)
    before, after = _early(slopes), _late(slopes)
    if before is None or after is None:
        return None
    if bool(np.isfinite(slopes).all()) and after <= STEEP_SLOPE and after <= 100 * max(before, FLAT_SLOPE):
        return None
    return Failure(
        "exploding critic",
        f"its slope went from {before:.2g} to {after:.2g} (limits: {STEEP_SLOPE:.0f}, and a hundredfold)",
    )


def oscillation(values: Sequence[float] | np.ndarray) -> Failure | None:
    """Find a curve that swings about its trend to and fro in the second half of training, and does not settle.

    More than 70 per cent of its power beside the trend must lie at one frequency of at least four periods, and the
    swing must be at least a tenth of the whole curve's range. Noise has its power everywhere, a drift below that.
    Fewer than 32 rows in that half are not judged.
    """
    curve = np.asarray(values, dtype=np.float64)
    half = curve[len(curve) // 2 :]
    if len(half) < LEAST_ROWS or not np.isfinite(curve).all():
        return None
    time = np.arange(len(half))
    beside = half - np.polyval(np.polyfit(time, half, 1), time)
    swing, reach = 2**1.5 * beside.std(), np.ptp(curve)  # from trough to crest of a sine
    power = np.square(np.abs(np.fft.rfft(beside * np.hanning(len(half)))))
    power[0] = 0
    peak = int(power.argmax())
    share = power[max(0, peak - 1) : peak + 2].sum() / max(power.sum(), 1e-300)
    if reach == 0 or swing < 0.1 * reach or peak < LEAST_PERIODS or share < PERIODIC_POWER:
        return None
    return Failure(
        "oscillation",
        f"{share:.0%} of the variation lies at a period of {len(half) / peak:.0f} rows (limit {PERIODIC_POWER:.0%}), "
        f"swinging over {swing / reach:.0%} of the curve's range",
    )


def memorised(copied: float, expected: float) -> Failure | None:
    """Find samples of which 5 per cent more copy training data than held-out data happen to.

    Args:
        copied: share of the samples that are copies, see `copies`.
        expected: the same of held-out data.
    """
    if copied <= expected + MEMORISED:
        return None
    return Failure(
        "memorisation",
        f"{copied:.0%} of the samples copy a training item, of held-out data {expected:.0%} (limit: 5 points more)",
    )


def unreal(
    train: Float[Tensor, "N F"], held_out: Float[Tensor, "M F"], samples: Float[Tensor, "K F"]
) -> Failure | None:
    """Find samples of which far fewer look real than of held-out data."""
    count = min(len(train), len(held_out), len(samples))
    train, held_out, samples = (each[_evenly(len(each), count)] for each in (train, held_out, samples))
    real, expected = precision(train, samples), precision(train, held_out)
    if real >= LEAST_REAL * expected:
        return None
    return Failure(
        "unreal",
        f"{real:.0%} of the samples lie where real data do, of held-out data {expected:.0%} "
        f"(limit: {LEAST_REAL:.0%} of it)",
    )


def over_fitting(history: History) -> Failure | None:
    """Find a held-out loss that rose again while the loss of training went on falling.

    It must end above its least by a tenth of all that it had fallen.
    """
    held, loss = _column(history, "held_out_loss"), _column(history, "loss")
    if len(held) < 8 or len(loss) != len(held):
        return None
    smooth = np.convolve(held, np.ones(3) / 3, "valid")
    least, end = int(smooth.argmin()), smooth[-1]
    fall = smooth[: least + 1].max() - smooth[least]
    if end - smooth[least] <= 0.1 * fall or np.median(loss[-_quarter(loss) :]) >= np.median(loss[least : least + 3]):
        return None
    return Failure(
        "over-fitting",
        f"the held-out loss fell to {smooth[least]:.4g} and rose to {end:.4g} "
        f"(limit: by a tenth of its fall, {0.1 * fall:.2g}) while that of training fell",
    )


def worse_than_components(error: float, components_error: float) -> Failure | None:
    """Find reconstructions with a larger squared error than as many principal components as the model has latents."""
    if error <= components_error:
        return None
    return Failure(
        "worse than principal components",
        f"squared error {error:.4g} of held-out images, {components_error:.4g} of as many principal components",
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


def dead_codes(codes: Int[Tensor, "..."], codebook: int) -> Failure | None:
    """Find a codebook of which more than a quarter is never used.

    Raises:
        ComponentError: an index outside the codebook, or fewer than 5 codes per entry, too few to tell.
    """
    if codes.numel() < 5 * max(codebook, 1):
        raise ComponentError(f"codes: {codes.numel()} for {codebook} entries; encode more images, 5 codes per entry")
    if int(codes.min()) < 0 or int(codes.max()) >= codebook:
        raise ComponentError(f"codes: {int(codes.min())} to {int(codes.max())}, outside a codebook of {codebook}")
    share = torch.bincount(codes.flatten(), minlength=codebook).double() / codes.numel()
    dead = int((share == 0).sum())
    if dead <= codebook / 4:
        return None
    perplexity = torch.special.entr(share).sum().exp().item()
    return Failure(
        "dead codes",
        f"{dead} of {codebook} codes are never used (limit: a quarter), perplexity {perplexity:.1f}",
    )


def _column(history: History, name: str, finite: bool = True) -> np.ndarray:
    values = np.array([row[name] for row in history if name in row], dtype=np.float64)
    return values[np.isfinite(values)] if finite else values


def _early(values: np.ndarray) -> float | None:
    """Median of the first quarter; None of an empty column."""
    return float(np.median(values[: _quarter(values)])) if len(values) else None


def _late(values: np.ndarray) -> float | None:
    """Median of the last quarter; None of an empty column."""
    return float(np.median(values[-_quarter(values) :])) if len(values) else None


def _quarter(values: np.ndarray) -> int:
    return math.ceil(len(values) / 4)


def _evenly(count: int, wanted: int) -> Int[Tensor, " W"]:
    return torch.arange(wanted) * count // wanted


def _variance(features: Tensor) -> float:
    return features.double().var(0).sum().item()


def _detail(images: Tensor) -> float:
    return _laplacian(images).square().mean().item()


def _specks(images: Tensor) -> Float[Tensor, " N"]:
    """Share of pixels of each image that differ from the median around them by a tenth of the range; of some images."""
    images = images[_evenly(len(images), min(len(images), LOOKED_AT))]
    around = images.unfold(2, 3, 1).unfold(3, 3, 1).flatten(4).median(-1).values
    return ((images[..., 1:-1, 1:-1] - around).abs() > SPECK).double().flatten(1).mean(1)


def _laplacian(images: Tensor) -> Tensor:
    across = images[..., 1:-1, :-2] + images[..., 1:-1, 2:]
    down = images[..., :-2, 1:-1] + images[..., 2:, 1:-1]
    return (across + down - 4 * images[..., 1:-1, 1:-1]).double()
