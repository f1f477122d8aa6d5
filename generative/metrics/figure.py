"""A figure with its scale, and the catalogue of metrics by name.

A number such as "FD 13" says nothing. A `Figure` carries the same metric for real data against real data (its
reference) and for a named bad baseline, the extractor's hash and how many samples it was made of.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch import Tensor

from generative.core.options import ComponentError, did_you_mean
from generative.metrics import continuity, distance, fidelity, lipschitz, modes, neighbours, representation, stability

Need = Literal["images", "extractor", "pairs", "latents", "factors", "model", "runs"]
Baseline = Literal[
    "noise",
    "mean image",
    "copies",
    "shuffled code",
    "one point",
    "hard switch",
    "unrelated steps",
    "weights",
    "untrained",
]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure and its scale."""

    name: str
    """Metric, and the extractor's name in brackets if there is one: `FD[random-convolutions]`."""
    value: float
    """Of the model."""
    reference: float
    """The same of real data against real data: as good as it gets."""
    baseline_value: float
    """The same of the baseline."""
    baseline: str
    """What the baseline is made of."""
    better: Literal["lower", "higher"]
    """Which way is good; where it is "higher" the reference lies above the baseline."""
    extractor: str | None
    """Name and hash of the extractor; only figures with the same one compare."""
    samples: int
    """Rows that the value, reference and baseline were each made of; only figures with the same number compare."""

    @property
    def share(self) -> float:
        """How far the value is from the baseline (0) to the reference (1); NaN where both are equal."""
        scale = self.baseline_value - self.reference
        return (self.baseline_value - self.value) / scale if scale else float("nan")

    def __str__(self) -> str:
        ends = f"real {self.reference:.4g}, {self.baseline} {self.baseline_value:.4g}"
        return f"{self.name} {self.value:.4g} ({ends}; {self.better} is better; {self.samples} samples)"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A function and what it takes."""

    function: Callable[..., float]
    """Pure; returns a plain number."""
    needs: tuple[Need, ...]
    """images + extractor: features of a real and a generated set. pairs: images and their reconstructions."""
    better: Literal["lower", "higher"]
    """Which way is good."""
    baseline: Baseline
    """What its baseline is made of."""
    says: str
    """The question it answers."""


def _vendi(real: Tensor, fake: Tensor) -> float:
    return modes.vendi_score(fake)


def _dci(part: str) -> Callable[..., float]:
    def score(codes: Tensor, factors: Tensor, **options: Any) -> float:
        return float(getattr(representation.dci(codes, factors, **options), part))

    return score


def _sets(function: Callable[..., float], better: Literal["lower", "higher"], baseline: Baseline, says: str) -> Metric:
    return Metric(function, ("images", "extractor"), better, baseline, says)


def _code(function: Callable[..., float], says: str) -> Metric:
    return Metric(function, ("latents", "factors"), "higher", "shuffled code", says)


METRICS: Mapping[str, Metric] = {
    "FD": _sets(distance.frechet_distance, "lower", "noise", "Do mean and covariance of features agree?"),
    "KD": _sets(distance.kernel_distance, "lower", "noise", "Do the distributions of features agree?"),
    "precision": _sets(neighbours.precision, "higher", "noise", "Do samples look real?"),
    "recall": _sets(neighbours.recall, "higher", "mean image", "Is everything real also made?"),
    "density": _sets(neighbours.density, "higher", "noise", "Do samples lie where real images are many?"),
    "coverage": _sets(neighbours.coverage, "higher", "mean image", "Has each real image a sample near it?"),
    "NDB": _sets(modes.different_bins, "lower", "mean image", "In how many kinds of images do shares differ?"),
    "vendi": _sets(_vendi, "higher", "mean image", "How many different samples are there in effect?"),
    "memorisation": _sets(neighbours.memorisation, "lower", "copies", "Which share copies a training image?"),
    "MSE": Metric(fidelity.squared_error, ("pairs",), "lower", "mean image", "How large is the error per value?"),
    "PSNR": Metric(fidelity.psnr, ("pairs",), "higher", "mean image", "How large is the error, in decibels?"),
    "SSIM": Metric(fidelity.ssim, ("pairs",), "higher", "mean image", "Is local structure kept?"),
    "relative-path-length": Metric(
        continuity.relative_path_length, ("model", "latents"), "lower", "unrelated steps", "How straight is a path?"
    ),
    "path-length": Metric(
        continuity.path_length, ("model", "latents"), "lower", "unrelated steps", "How far does a path go?"
    ),
    "spike-ratio": Metric(continuity.spike_ratio, ("model", "latents"), "lower", "hard switch", "Does a path jump?"),
    "aggregate-posterior-gap": Metric(
        continuity.aggregate_posterior_gap, ("latents",), "lower", "one point", "Do codes fill the prior?"
    ),
    "active-units": Metric(representation.active_units, ("latents",), "higher", "one point", "How many units work?"),
    "linear-probe": _code(representation.linear_probe, "Can a linear model read the factors?"),
    "neighbour-probe": _code(representation.neighbour_probe, "Have near codes like factors?"),
    "MIG": _code(representation.mutual_information_gap, "Is each factor in one dimension?"),
    "DCI-disentanglement": _code(_dci("disentanglement"), "Does a dimension serve one factor?"),
    "DCI-completeness": _code(_dci("completeness"), "Is a factor held by one dimension?"),
    "DCI-informativeness": _code(_dci("informativeness"), "Can trees predict the factors?"),
    "lipschitz": Metric(lipschitz.lipschitz_lower, ("model", "images"), "lower", "weights", "How steep is a critic?"),
    "spread-over-seeds": Metric(stability.spread_over_seeds, ("runs",), "lower", "untrained", "Do seeds agree?"),
}


def find_metric(name: str) -> Metric:
    """Return the metric of that name; raise ComponentError with a "did you mean" when there is none."""
    if name not in METRICS:
        raise ComponentError(f"{name!r}: no such metric;{did_you_mean(name, METRICS)}")
    return METRICS[name]
