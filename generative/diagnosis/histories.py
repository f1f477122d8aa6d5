"""What rows of metrics show of a training: a critic that gives no direction, a swing, over-fitting."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from generative.diagnosis.failure import Failure

History = Sequence[Mapping[str, float | int]]
"""Rows of metrics in the order of training, as `fit` yields them."""
FLAT_SLOPE = 0.01  # a critic that should have slope 1; weight clipping at 0.01 leaves .000 in four layers
STEEP_SLOPE = 100.0
SURE = 0.98
LOST_GRADIENT = 0.01
PERIODIC_POWER = 0.7
LEAST_PERIODS = 4
LEAST_ROWS = 32


def vanishing_critic(history: History) -> Failure | None:
    """Find a critic that gives the generator no direction.

    Either its slope (`critic_slope`, norm of its gradient in its input) ends below 0.01, or it tells real from
    made in 98 per cent (`critic_accuracy`) while the generator's gradient (`generator_gradient`) has fallen to a
    hundredth of what it was.
    """
    slope = late(column(history, "critic_slope"))
    if slope is not None and slope < FLAT_SLOPE:
        return Failure(
            "vanishing critic",
            f"its slope is {slope:.2g} at the end (limit {FLAT_SLOPE})",
        )
    accuracy, gradient = late(column(history, "critic_accuracy")), column(history, "generator_gradient")
    before, after = early(gradient), late(gradient)
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
    slopes = column(history, "critic_slope", finite=False)
    before, after = early(slopes), late(slopes)
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


def over_fitting(history: History) -> Failure | None:
    """Find a held-out loss that rose again while the loss of training went on falling.

    It must end above its least by a tenth of all that it had fallen.
    """
    held, loss = column(history, "held_out_loss"), column(history, "loss")
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


def column(history: History, name: str, finite: bool = True) -> np.ndarray:
    """Return a metric of all rows that have it."""
    values = np.array([row[name] for row in history if name in row], dtype=np.float64)
    return values[np.isfinite(values)] if finite else values


def early(values: np.ndarray) -> float | None:
    """Return the median of the first quarter; None of an empty column."""
    return float(np.median(values[: _quarter(values)])) if len(values) else None


def late(values: np.ndarray) -> float | None:
    """Return the median of the last quarter; None of an empty column."""
    return float(np.median(values[-_quarter(values) :])) if len(values) else None


def _quarter(values: np.ndarray) -> int:
    return math.ceil(len(values) / 4)
