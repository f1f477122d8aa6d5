"""`generative list`: what there is to choose from."""

from collections.abc import Sequence
from dataclasses import dataclass

from generative import CAPABILITIES, MODELS
from generative.capabilities import having
from generative.core.run_folder import preset_names
from generative.metrics import METRICS
from scripts.generative.data_sets import known_data


@dataclass(frozen=True)
class CatalogueOptions:
    """Nothing to choose."""


def main(options: CatalogueOptions) -> Sequence[str]:
    """Return models with their capabilities and presets, data sets and metrics."""
    names = MODELS.names()
    for name in names:
        MODELS.config_class(name)  # imports plug-ins, so that their capabilities are known
    able = {name: having(name) for name in CAPABILITIES}
    lines = ["models"]
    for name in names:
        offered = ", ".join(each for each in CAPABILITIES if name in able[each]) or "classify"
        lines.append(f"  {name:22} {offered}")
        lines += [f"    --preset {preset:10} {about}" for preset, about in preset_names(name).items()]
    lines += ["", "data", *(f"  {name}" for name in known_data()), "", "metrics"]
    lines += [f"  {name:26} {metric.says} ({metric.better} is better)" for name, metric in METRICS.items()]
    return lines
