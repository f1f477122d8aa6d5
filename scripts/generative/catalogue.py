"""`generative list`: what there is to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass

from generative import CAPABILITIES, MODELS
from generative.capabilities import refusal
from generative.core.run_folder import preset_names
from generative.metrics import METRICS
from scripts.generative.data_sets import DATA


@dataclass(frozen=True)
class CatalogueOptions:
    """Nothing to choose."""


def main(options: CatalogueOptions) -> Sequence[str]:
    """Return models with their capabilities and presets, data sets and metrics."""
    lines = ["models"]
    for name in MODELS.names():
        model = MODELS.component_class(name)
        lines.append(f"  {name:22} {', '.join(each for each in CAPABILITIES if refusal(model, each) is None)}")
        lines += [f"    --preset {preset:10} {about}" for preset, about in preset_names(name).items()]
    lines += ["", "data", *(f"  {name:22} {about(name)}" for name in DATA.names()), "", "metrics"]
    lines += [f"  {name:26} {metric.says} ({metric.better} is better)" for name, metric in METRICS.items()]
    return lines


def about(name: str) -> str:
    """Return in a line what a data set is: the first line of its options' docstring."""
    return (DATA.find(name).__doc__ or "").strip().partition("\n")[0].removesuffix(".")
