"""A watch over a running training: it keeps the last good snapshot and stops when the verdicts stay bad.

`watch` wraps the rows of `fit`. Every so often it lets `diagnosis` judge what there is so far. While nothing is
wrong it saves the component as the snapshot; when something is wrong several times in a row it ends the training with
`TrainingStopped`, whose verdicts say what and what to change. The snapshot is an ordinary component's folder.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.capabilities import require
from generative.component import save_component
from generative.diagnosis import Evidence, History, Verdict, diagnose

Row = Mapping[str, float | int]
Gather = Callable[[nn.Module], Evidence]
"""Return what there is to see of a component besides its rows, such as samples and the data's features."""


@dataclass(frozen=True)
class MonitorConfig:
    """How often to judge, and how patiently."""

    every: int = 10
    """Rows between judgements."""
    grace: int = 30
    """Rows before the first one: an untrained model looks collapsed."""
    patience: int = 2
    """Judgements in a row that find the same failure before the training is stopped."""
    memory: int = 400
    """Rows, the newest ones, that are judged: what was long ago excuses nothing."""

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("grace", 0), ("patience", 1), ("memory", 4)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")


class TrainingStopped(RuntimeError):
    """A monitor ended a training; the snapshot is from before it went wrong."""

    def __init__(self, step: int, verdicts: Sequence[Verdict], snapshot: Path | None, good: int | None) -> None:
        found = "; ".join(f"{each.problem} ({each.evidence}); {each.remedy}" for each in verdicts)
        kept = "there was no good moment to keep" if good is None else f"the model of step {good} is in {snapshot}"
        super().__init__(f"step {step}: {found}; {kept if snapshot else 'no snapshot was asked for'}")
        self.step = step
        """Where it ended."""
        self.verdicts = list(verdicts)
        """What was found."""
        self.snapshot_step = good
        """The step of the snapshot; None where there is none."""


def watch(
    rows: Iterator[dict[str, float]],
    module: nn.Module,
    config: MonitorConfig,
    *,
    snapshot: Path | None = None,
    gather: Gather | None = None,
) -> Iterator[dict[str, float]]:
    """Yield the rows of a training as they come and looks after it.

    Args:
        rows: of `fit(module, ...)`.
        module: what is being trained.
        config: how often to judge, and how patiently.
            Left in evaluation mode when stopped, with the last weights; the good ones are in the snapshot.
        snapshot: folder for the last good component; its metadata holds the step.
        gather: what to judge besides the rows; it draws its own noise and need not mind the training mode, which is
            put back.

    Raises:
        TrainingStopped: the same failure was found `patience` times in a row.
        ComponentError: the evidence cannot be judged; see `diagnosis.diagnose`.
    """
    history: list[Row] = []
    failures: dict[str, int] = {}
    good: int | None = None
    for count, row in enumerate(rows, start=1):
        history = [*history, row][-config.memory :]
        yield row
        if count < max(config.grace, 1) or (count - config.grace) % config.every:
            continue
        step = int(row["step"])
        verdicts = judge(module, history, gather)
        failures = {each.problem: failures.get(each.problem, 0) + 1 for each in verdicts}
        lasting = [each for each in verdicts if failures[each.problem] >= config.patience]
        if lasting:
            module.eval()
            raise TrainingStopped(step, lasting, snapshot, good)
        if not verdicts:
            good = step
            if snapshot is not None:
                save_component(module, snapshot, {"step": step})


def judge(module: nn.Module, history: Sequence[Row], gather: Gather | None = None) -> list[Verdict]:
    """Return what is wrong with a component now; it is looked at in evaluation mode, without gradients."""
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            evidence = Evidence() if gather is None else gather(module)
    finally:
        module.train(training)
    rows: History = [{name: float(value) for name, value in row.items()} for row in history]
    return diagnose(replace(evidence, history=rows))


def sample_evidence(
    train: Float[Tensor, "N F"],
    held_out: Float[Tensor, "M F"],
    features: Callable[[Tensor], Tensor] = torch.Tensor.detach,
    *,
    count: int = 1000,
    seed: int = 0,
    curve: str = "",
) -> Gather:
    """Return a `gather` that lets a model sample, always from the same noise, and compares with data.

    Args:
        train: features of training data.
        held_out: features of data not trained on.
        features: turns samples (K ...) into features (K F); points are their own.
        count: samples to draw, K.
        seed: of their noise.
        curve: name of the metric that should settle down; none by default, as adversarial losses need not.
    """

    def gather(module: nn.Module) -> Evidence:
        require(module, "sample")
        device = next((each.device for each in module.parameters()), torch.device("cpu"))
        samples = module.sample(count, 1.0, torch.Generator(device).manual_seed(seed))  # type: ignore[operator]
        return Evidence(curve=curve, train=train, held_out=held_out, samples=features(samples).cpu())

    return gather
