"""The folder of an exported page: `index.html`, its scripts, the runtime, the networks, and what the dream is."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from generative.core.facts import Facts
from generative.web import SHARED
from worldmodels.agent.export import STARTS
from worldmodels.dream.world import same_weights
from worldmodels.errors import RunError
from worldmodels.files import files_in, new_folder, write_bytes, write_text
from worldmodels.memories import LSTMMemory
from worldmodels.play.exported.graphs import AgentGraph, FrameGraph, Graph, ResidualGraph, StepGraph, graph_bytes
from worldmodels.play.parts import RunParts
from worldmodels.play.server import PAGE, greeting

HERE = Path(__file__).parent
EXPORTED = ("mdn-rnn", "lstm", "feed-forward", "transformer")
"""Types of memories whose step is one graph of fixed sizes, and whose prediction the page can draw from."""

FIRST_SEED = 1
"""Seed with which a page begins; at 0 the first number drawn is so small that it ends dreams at once."""


def export_page(name: str, parts: RunParts, folder: Path) -> dict[str, int]:
    """Write the dream of a run as a static web page to a new folder, in one step.

    Args:
        name: of the run.
        parts: of the run.
        folder: must not exist, or be empty.

    Returns:
        The files' sizes in bytes, by name.

    Raises:
        RunError: the folder is taken, the memory or the agent is of a kind that the page cannot compute, or what
            writes ONNX is missing.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RunError(f"{folder} exists and is not empty; export to a new folder, or remove this one first")
    check_exportable(parts)
    with new_folder(folder) as new:
        for path in (SHARED, PAGE, HERE / "page", HERE / "runtime"):
            for file in sorted(path.iterdir()):
                inside = "runtime" if path.name == "runtime" else "page"
                write_bytes(new / ("" if file.name == "index.html" else inside) / file.name, file.read_bytes())
        starts = dream_starts(parts)
        write_bytes(new / "dream" / "starts.safetensors", save(starts))
        for graph, what in dream_graphs(parts).items():
            write_bytes(new / "dream" / f"{graph}.onnx", graph_bytes(what))
        loaded = [*(new / "dream").iterdir(), *(new / "runtime").glob("ort.*")]
        sheet = dream_sheet(name, parts) | {"bytes": sum(path.stat().st_size for path in loaded)}
        write_text(new / "dream" / "dream.json", json.dumps(sheet, allow_nan=False))
        return {file: path.stat().st_size for file, path in files_in(new).items()}


def check_exportable(parts: RunParts) -> None:
    """Refuse what the page cannot compute.

    Raises:
        RunError: names it, and what works.
    """
    kind = parts.memory.type_name
    if kind not in EXPORTED:
        raise RunError(f"memory.type={kind}: no page computes its dreams; those of {', '.join(EXPORTED)} work")
    agent = parts.agent
    if agent is None or not agent.bundle.features.uses_memory:
        return
    if agent.memory is None or not same_weights(parts.memory, agent.memory):
        raise RunError(
            f"features.memory={agent.bundle.features.memory}, dream.memory={parts.dream.memory}: the agent reads "
            "another memory than the one that dreams; a page has one memory, so both must be `trained`"
        )


def dream_sheet(name: str, parts: RunParts) -> Facts:
    """Return what the page has to know of the dream besides the networks: what a served page is told, and the rules."""
    dream, spec, starts = parts.dream, parts.shape.spec, parts.starts
    return greeting(name, parts, []) | {
        "seed": FIRST_SEED,
        "worlds": ["dream"],
        "parts": [],
        "films": [],
        "spec": {"low": spec.low, "high": spec.high},
        "agent": parts.agent is not None,
        "past": newest(parts),
        "draws": parts.memory.type_name != LSTMMemory.type_name,
        "residual_parts": 0 if starts.residuals is None else starts.bootstrap().parts,
        "horizon": dream.horizon,
        "no_reward_limit": dream.no_reward_limit,
        "penalty": dream.termination_penalty * float(starts.step_value),
    }


def newest(parts: RunParts) -> int:
    """Return how many of the newest latents the agent reads."""
    features = None if parts.agent is None else parts.agent.bundle.features
    return features.stack if features is not None and features.reads == "frame-stack" else 1


@torch.inference_mode()
def dream_starts(parts: RunParts) -> dict[str, np.ndarray]:
    """Return where dreams begin, at most `STARTS` places of each kind.

    `initial`: latents of first frames (S Z). `recorded`: the newest latents inside episodes, oldest first (S P Z).
    `state.N`: the memory's state, that of first frames in row 0, then that of each place inside an episode (1+S ...).
    """
    memory, starts = parts.memory, parts.starts
    z, action = torch.from_numpy(starts.z[:STARTS]), torch.from_numpy(starts.action[:STARTS])
    state = memory.initial(len(z))
    for step in range(action.shape[1]):
        state = memory.advance(z[:, step], action[:, step], state)
    last = np.maximum(np.arange(-newest(parts), 0) + z.shape[1], 0)  # before an episode its first frame counts
    arrays = {"initial": starts.initial[:STARTS], "recorded": z[:, last].numpy()}
    both = zip(memory.initial(1), state, strict=True)
    return arrays | {f"state.{number}": torch.cat(rows).numpy() for number, rows in enumerate(both)}


def dream_graphs(parts: RunParts) -> dict[str, Graph]:
    """Return what the page computes: `step`, `frame`, and as far as they are there `agent` and `residual`."""
    memory, spec, agent = parts.memory, parts.shape.spec, parts.agent
    now = {"z": torch.zeros(1, parts.vision.latent_spec.size), "action": torch.zeros(1, spec.size)}
    state = {f"state.{number}": part for number, part in enumerate(memory.initial(1))}
    after = [name.replace("state", "next") for name in state]
    graphs = {
        "step": Graph(StepGraph(memory), now | state, [*StepGraph.outputs, *after]),
        "frame": Graph(FrameGraph(parts.vision), {"z": now["z"]}, ["frame"]),
    }
    if agent is not None:
        past = {"past": now["z"].repeat(1, newest(parts))}
        graphs["agent"] = Graph(AgentGraph(agent, memory), past | state, ["action"], half=False)
    if parts.starts.residuals is not None:
        part = {"part": torch.zeros(1, dtype=torch.int64)}
        graphs["residual"] = Graph(ResidualGraph(parts.starts.bootstrap()), now | part, ["residual"])
    return graphs
