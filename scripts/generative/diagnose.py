"""`generative diagnose`: what went wrong with a model, and what to do; nothing for a healthy one."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from generative.data import Data
from generative.runs.run_folder import TrainingRun
from scripts.generative.figures.looks import look
from scripts.generative.figures.verdicts import verdicts
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import take


@dataclass(frozen=True)
class DiagnoseOptions:
    """How much to look at."""

    samples: int = 1000
    """Samples, training items and held-out items at most, each."""
    seed: int = 0
    """Of the samples."""
    extractor: str = "auto"
    """What sees images, as of `evaluate`."""


def main(run: TrainingRun, options: DiagnoseOptions) -> Sequence[str]:
    """Return the verdicts, each with evidence and remedy."""
    module, data = open_run(run)
    looks = look(run.config.data, module, data, options.samples, options.seed, options.extractor)
    found = verdicts(run, module, data, options.samples, options.seed, looks)
    lines = [f"{each.problem}: {each.evidence}\n  remedy: {each.remedy}" for each in found]
    lines += own_words(module, data, options.samples)
    return lines or ["healthy: none of the known failures was found"]


def own_words(module: nn.Module, data: Data, samples: int) -> list[str]:
    """Return what a model says of itself, where it has a `diagnose`, and its verdict is not "healthy"."""
    if not (hasattr(module, "diagnose") and data.item.kind == "image"):
        return []
    mean = take(module, data, samples).values.mean(0)
    facts = module.diagnose(take(module, data.held_out(), samples).values, mean)  # type: ignore[operator]
    return [] if facts["verdict"] == "healthy" else [f"{facts['verdict']}: {facts['reason']}"]
