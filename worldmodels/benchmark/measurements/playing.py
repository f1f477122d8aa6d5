"""Driving from a browser: steps a second as the page gets them, and those that an exported page computes."""

import statistics
from collections.abc import Callable

import numpy as np

from generative.core.facts import Facts
from worldmodels.agent.pretrained import agent_folder, ships_agent
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, Skip, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.errors import RunError
from worldmodels.play.exported.folder import dream_graphs
from worldmodels.play.exported.graphs import graph_bytes
from worldmodels.play.messages import as_bytes
from worldmodels.play.parts import RunParts
from worldmodels.play.session import DriverSession, Restart, Worlds
from worldmodels.run.folder import Run

PLAY = BenchmarkFigure(
    "play", "driving in both worlds at once as the page sees it, one core, against real time", "x", ">= 1", "steps/s"
)
WORLDS: tuple[Worlds, ...] = ("dream", "real", "both")


def play(settings: Settings) -> BenchmarkFigure:
    """Measure the shipped agent at the wheel: in the dream, in the real environment, in both, and as an exported page.

    `ours` are steps in both worlds; `theirs` is how many steps the real environment makes in a second of its own time.
    """
    if not ships_agent():
        raise Skip("this installation holds no agent to drive with")
    parts = RunParts.of(Run(agent_folder("pretrained")))
    with use_cores(1):
        rates: dict[str, float] = {worlds: _median(_driven(parts, worlds), settings) for worlds in WORLDS}
        detail: Facts = {**rates, "exported": _exported(parts, settings)}
    real_time = parts.shape.fps
    ratio = rates["both"] / real_time
    return PLAY.found(ratio, ratio >= 1, ours=rates["both"], theirs=real_time, detail=detail)


def _median(step: Callable[[], float], settings: Settings) -> float:
    """Return the median of the rates of as many windows as there are pairs."""
    return statistics.median(rate(step, settings.seconds) for _ in range(settings.pairs))


def _driven(parts: RunParts, worlds: Worlds) -> Callable[[], float]:
    """Return a step of the agent, and its pictures as the page gets them; a drive that is over begins anew."""
    session = DriverSession(parts, Restart(worlds))
    names = ("dream", "real") if worlds == "both" else (worlds,)

    def step() -> float:
        seen = session.step(None)
        as_bytes(seen.facts, seen.frames)
        if any(seen.facts[name]["over"] for name in names):
            session.restart(Restart(worlds))
        return 1.0

    return step


def _exported(parts: RunParts, settings: Settings) -> float | str:
    """Return the steps a second that an exported page's graphs make on one thread, or why it is not known."""
    try:
        return _median(computed({name: graph_bytes(graph) for name, graph in dream_graphs(parts).items()}), settings)
    except (ImportError, RunError) as error:
        return str(error)


def computed(graphs: dict[str, bytes]) -> Callable[[], float]:
    """Return one step of an exported page, without its noise: the agent, the memory, and two frames."""
    import onnxruntime  # an extra

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {name: onnxruntime.InferenceSession(graph, options) for name, graph in graphs.items()}
    inputs = {name: {each.name: each.shape for each in session.get_inputs()} for name, session in sessions.items()}
    kinds = {each.name: each.type for session in sessions.values() for each in session.get_inputs()}
    first = {name: np.zeros(shape, np.int64 if "int64" in kinds[name] else np.float32)
             for shapes in inputs.values() for name, shape in shapes.items()}  # fmt: skip
    after = [each.name for each in sessions["step"].get_outputs()]

    def step() -> float:
        now = dict(first)
        if "agent" in sessions:
            now["action"] = sessions["agent"].run(None, {name: now[name] for name in inputs["agent"]})[0]
        found = dict(zip(after, sessions["step"].run(None, {name: now[name] for name in inputs["step"]}), strict=True))
        for name in first:
            if name.startswith("state."):
                first[name] = found[name.replace("state", "next")]
        for z in (first["z"], found["expected"]):
            sessions["frame"].run(None, {"z": z})
        first["z"] = found["expected"]
        if "past" in first:
            first["past"] = np.concatenate([first["past"], first["z"]], axis=1)[:, -first["past"].shape[1] :]
        return 1.0

    return step
