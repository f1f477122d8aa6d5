"""From what a training left behind to what went wrong: verdicts with evidence and a remedy, none for a healthy run.

Each function looks for one known failure in rows of metrics or in samples, codes and features, and returns a
`Verdict` or None. `diagnose` runs those for which there is evidence. Limits are stated where they are used; they
are meant to be missed by healthy runs by far, so a close call is reported by the metrics and not here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import unit_images
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


@dataclass(frozen=True)
class Failure:
    """A failure that was found."""

    problem: Problem
    """Its name."""
    evidence: str
    """The figures it rests on, and their limits."""
    remedy: str
    """What to change first."""


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
    codes: Tensor | None = None
    """Indices into a codebook, of held-out images (any shape)."""
    codebook: int = 0
    """How many entries that codebook has."""


def diagnose(evidence: Evidence) -> list[Failure]:
    """Return every failure that the evidence shows; an empty list for a healthy run.

    Raises:
        ComponentError: evidence that cannot be judged, such as too few rows or images outside [0, 1].
    """
    found: list[Failure | None] = [vanishing_critic(evidence.history), exploding_critic(evidence.history)]
    found.append(posterior_collapse(evidence.history, evidence.means))
    found.append(oscillation(_column(evidence.history, evidence.curve)))
    if evidence.train is not None and evidence.held_out is not None and evidence.samples is not None:
        found.append(mode_collapse(evidence.train, evidence.held_out, evidence.samples))
        found.append(memorised(evidence.train, evidence.held_out, evidence.samples))
    if evidence.real_images is not None and evidence.made_images is not None:
        found.append(blur(evidence.real_images, evidence.made_images))
    if evidence.codes is not None:
        found.append(dead_codes(evidence.codes, evidence.codebook))
    return [each for each in found if each is not None]


def posterior_collapse(history: History, means: Float[Tensor, "N Z"] | None = None) -> Failure | None:
    """Find an encoder that says nothing: no active unit, or a KL divergence of less than 0.1 nats.

    Unused dimensions beside used ones are healthy.
    """
    remedy = "lower beta, raise kl_floor, or weaken the decoder"
    if means is not None and active_units(means) == 0:
        evidence = f"none of {means.shape[1]} dimensions of the posterior mean varies over images (variance > 0.01)"
        return Failure("posterior collapse", evidence, remedy)
    kl = _late(_column(history, "kl"))
    if kl is not None and kl < LEAST_KL:
        return Failure("posterior collapse", f"KL of {kl:.2g} nats at the end (limit {LEAST_KL})", remedy)
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
        "use a Wasserstein loss with gradient penalty or spectral norm, show the critic a batch's spread, or lower "
        "the generator's learning rate; go back to a checkpoint from before the collapse",
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
            "replace clipping by a gradient penalty or spectral norm, or clip less tightly",
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
            "use a non-saturating or Wasserstein loss, train the critic less often, or add noise to its labels",
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
        "constrain it by a gradient penalty, spectral norm or clipping, lower its learning rate, and leave batch norm "
        "out of it",
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
        "lower both learning rates or the first momentum (0 or 0.5), use two rates, or penalise the critic's gradient "
        "at real data (R1); sample from averaged weights",
    )


def memorised(
    train: Float[Tensor, "N F"], held_out: Float[Tensor, "M F"], samples: Float[Tensor, "K F"]
) -> Failure | None:
    """Find samples of which 5 per cent more copy training data than held-out data happen to."""
    value, reference = memorisation(train, samples), memorisation(train, held_out)
    if value <= reference + 0.05:
        return None
    return Failure(
        "memorisation",
        f"{value:.0%} of the samples copy a training item, of held-out data {reference:.0%} (limit: 5 points more)",
        "train on more or augmented data, stop earlier, or use a smaller model",
    )


def blur(real: Float[Tensor, "N C H W"], made: Float[Tensor, "M C H W"]) -> Failure | None:
    """Find images with less than half the fine detail of real ones: the mean square of their Laplacian."""
    ours, theirs = _detail(unit_images("made", made)), _detail(unit_images("real", real))
    if ours >= 0.5 * theirs:
        return None
    return Failure(
        "blur",
        f"fine detail is {ours / theirs:.0%} of that of real images (limit 50%)",
        "raise the latent size or lower beta, or add an adversarial or perceptual loss: a squared error alone blurs "
        "whatever the latent does not say",
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
        "restart dead codes at encodings of the batch, update the codebook by moving averages, or use fewer codes",
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
    across = images[..., 1:-1, :-2] + images[..., 1:-1, 2:]
    down = images[..., :-2, 1:-1] + images[..., 2:, 1:-1]
    return (across + down - 4 * images[..., 1:-1, 1:-1]).double().square().mean().item()
