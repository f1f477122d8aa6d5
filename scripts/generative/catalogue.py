"""`generative list`: what there is to choose from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generative import CAPABILITIES, MODELS
from generative.capabilities import refusal
from generative.metrics.registry import METRICS
from generative.runs.run_folder import preset_names
from scripts.generative.data.data_sets import DATA


@dataclass(frozen=True)
class CatalogueOptions:
    """Nothing to choose."""


def main(options: CatalogueOptions) -> Sequence[str]:
    """Return models with their capabilities and presets, data sets and metrics."""
    return ["models", *models(), "", "data", *data_sets(), "", "metrics", *metrics()]


def models() -> Iterator[str]:
    """Yield a line for each model with what it can do, and one for each of its presets."""
    for name in MODELS.names():
        model = MODELS.component_class(name)
        yield f"  {name:22} {', '.join(each for each in CAPABILITIES if refusal(model, each) is None)}"
        yield from (f"    --preset {preset:10} {about}" for preset, about in preset_names(name).items())


def data_sets() -> Iterator[str]:
    """Yield a line for each data set with what it is: the beginning of its options' docstring."""
    for name in DATA.names():
        yield f"  {name:22} {(DATA.find(name).__doc__ or '').strip().splitlines()[0].removesuffix('.')}"


def metrics() -> Iterator[str]:
    """Yield a line for each metric with the question it answers."""
    for name in METRICS.names():
        metric = METRICS.find(name)
        yield f"  {name:26} {metric.says} ({metric.better} is better)"
