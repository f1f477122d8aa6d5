"""Figures for generative models that download nothing; each has a reference, a baseline and a known extractor."""

from generative.features.extractors import (
    Extractor,
    classifier_extractor,
    encoder_extractor,
    pixels,
    random_convolutions,
)
from generative.metrics.continuity import (
    aggregate_posterior_gap,
    path_length,
    relative_path_length,
    spike_ratio,
    walk,
)
from generative.metrics.distance import frechet_distance, kernel_distance
from generative.metrics.fidelity import psnr, squared_error, ssim
from generative.metrics.figure import METRICS, Figure, Metric, find_metric
from generative.metrics.lipschitz import LipschitzBounds, lipschitz_bounds, lipschitz_lower, lipschitz_upper, slope
from generative.metrics.measure import measure, measure_code, measure_lipschitz, measure_path, measure_stability
from generative.metrics.modes import different_bins, high_quality_share, modes_covered, pair_distance, vendi_score
from generative.metrics.neighbours import (
    coverage,
    density,
    memorisation,
    nearest_training,
    precision,
    recall,
)
from generative.metrics.representation import (
    DCI,
    active_units,
    dci,
    linear_probe,
    mutual_information_gap,
    neighbour_probe,
    probe_scores,
)
from generative.metrics.stability import (
    spread_over_seeds,
)

__all__ = [
    "DCI",
    "METRICS",
    "Extractor",
    "Figure",
    "LipschitzBounds",
    "Metric",
    "active_units",
    "aggregate_posterior_gap",
    "classifier_extractor",
    "coverage",
    "dci",
    "density",
    "different_bins",
    "encoder_extractor",
    "find_metric",
    "frechet_distance",
    "high_quality_share",
    "kernel_distance",
    "linear_probe",
    "lipschitz_bounds",
    "lipschitz_lower",
    "lipschitz_upper",
    "measure",
    "measure_code",
    "measure_lipschitz",
    "measure_path",
    "measure_stability",
    "memorisation",
    "modes_covered",
    "mutual_information_gap",
    "nearest_training",
    "neighbour_probe",
    "pair_distance",
    "path_length",
    "pixels",
    "precision",
    "probe_scores",
    "psnr",
    "random_convolutions",
    "recall",
    "relative_path_length",
    "slope",
    "spike_ratio",
    "spread_over_seeds",
    "squared_error",
    "ssim",
    "vendi_score",
    "walk",
]
