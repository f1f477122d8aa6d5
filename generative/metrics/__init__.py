"""Figures for generative models that download nothing; each beside real data and baselines, by a known extractor.

`registry` names the metrics, `measure` makes figures of them. Names of here are loaded when asked for.
"""

import importlib
from typing import Any

_PLACES = {
    "generative.features.extractors": (
        *("Extractor", "classifier_extractor", "encoder_extractor", "judge_extractor", "pixels", "random_convolutions"),
    ),
    "generative.metrics.baselines": ("Components", "copied_for_nothing", "independent_pixels", "made_for_nothing"),
    "generative.metrics.images.continuity": (
        *("aggregate_posterior_gap", "path_length", "relative_path_length", "spike_ratio", "walk"),
    ),
    "generative.metrics.images.distance": ("frechet_distance", "kernel_distance"),
    "generative.metrics.images.fidelity": ("psnr", "squared_error", "ssim"),
    "generative.metrics.figure": ("Figure", "against", "interval"),
    "generative.metrics.images.lipschitz": (
        *("LipschitzBounds", "lipschitz_bounds", "lipschitz_lower", "lipschitz_upper", "slope"),
    ),
    "generative.metrics.measure": (
        *("Sets", "measure", "measure_answers", "measure_code", "measure_kept", "measure_lipschitz"),
        *("measure_memorisation", "measure_pairs", "measure_path", "real_draws", "sets_of"),
    ),
    "generative.metrics.images.modes": (
        *("different_bins", "high_quality_share", "modes_covered", "pair_distance", "vendi_score"),
    ),
    "generative.metrics.images.neighbours": (
        *("copies", "coverage", "density", "memorisation", "nearest_training", "precision", "recall"),
    ),
    "generative.metrics.registry": ("METRICS", "Metric"),
    "generative.metrics.images.representation": (
        *("DCI", "active_units", "dci", "linear_probe", "mutual_information_gap", "neighbour_probe", "probe_scores"),
    ),
    "generative.metrics.sequences.tokens": ("KneserNey", "token_baselines"),
}  # fmt: skip
_MODULES = {name: module for module, names in _PLACES.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
