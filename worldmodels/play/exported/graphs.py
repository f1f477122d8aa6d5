"""What the exported page computes, as ONNX: a step of the memory, a decoded frame, the agent's action, a residual.

Weights are stored as halves where they fit, each behind a cast: the runtime undoes it once while loading, and computes
in float32.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from worldmodels.agent.export import HALF_LIMIT
from worldmodels.dream.residuals import ResidualBootstrap
from worldmodels.errors import RunError
from worldmodels.memories import MemoryModule
from worldmodels.memories.contract import PredictedMixture
from worldmodels.play.parts import EvolvedAgent
from worldmodels.vision.contract import DecodingVision

if TYPE_CHECKING:
    import onnx

MISSING = "a web page needs onnx and onnxscript; pip install -e '.[page]'"
FEW = 64
"""Numbers up to which a tensor stays as it is."""


class StepGraph(nn.Module):
    """A step of the memory: `z`, `action` and the state to the prediction and the next state."""

    outputs = ("logits", "mean", "log_std", "expected", "reward", "end")

    def __init__(self, memory: MemoryModule) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, z: Tensor, action: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return the mixture (1 Z K), its expectation (1 Z), reward and probability of the end (1), and the state."""
        predicted, state = self.memory.step(z, action, state)
        prediction = cast(PredictedMixture, predicted)
        end = torch.sigmoid(prediction.termination_logit)
        return (*prediction.mixture, prediction.expected_latent(), prediction.reward, end, *state)


class FrameGraph(nn.Module):
    """A latent to its frame."""

    def __init__(self, vision: DecodingVision) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, z: Tensor) -> Tensor:
        """Return the frame (1 C H W) in [0, 1]."""
        return self.vision.decode(z)


class AgentGraph(nn.Module):
    """The newest latents, oldest first (1 P*Z), and the memory's state to the agent's action."""

    def __init__(self, agent: EvolvedAgent, memory: MemoryModule) -> None:
        super().__init__()
        self.memory, self.reads = memory, agent.bundle.features.uses_memory
        self.controller = agent.bundle.build_controller()
        self.parameters_: Tensor
        self.register_buffer("parameters_", torch.from_numpy(agent.parameters[None].astype(np.float32)))

    def forward(self, past: Tensor, *state: Tensor) -> Tensor:
        """Return the action (1 A)."""
        features = torch.cat([past, self.memory.feature(state)], dim=1) if self.reads else past
        return self.controller.act(features, self.parameters_)


class ResidualGraph(nn.Module):
    """A latent and an action to the residual of the most similar recorded step in a part of them.

    The same as `ResidualBootstrap.draw`, but it measures the steps' own size, as they are rounded.
    """

    spread: Tensor
    key_of: Tensor
    value: Tensor

    def __init__(self, bootstrap: ResidualBootstrap) -> None:
        super().__init__()
        self.size = bootstrap.size
        for name, array in (
            ("spread", bootstrap.spread),
            ("key_of", bootstrap.key_of),
            ("value", bootstrap.value[0]),
        ):
            self.register_buffer(name, array)

    def forward(self, z: Tensor, action: Tensor, part: Tensor) -> Tensor:
        """Return the residual (1 Z)."""
        key = torch.cat([z / self.spread, action], dim=1).unsqueeze(1)  # (1 1 K)
        steps = self.key_of[part]  # (1 K N/S)
        likeness = key @ steps - 0.5 * steps.square().sum(1, keepdim=True)
        return self.value[likeness.argmax(2)[:, 0] + part * self.size]


class Graph(NamedTuple):
    """What is written as one ONNX file."""

    module: nn.Module
    inputs: dict[str, Tensor]
    """An example of each input, by name."""
    outputs: Sequence[str]
    half: bool = True
    """Whether its weights are stored as halves."""


def graph_bytes(graph: Graph) -> bytes:
    """Return a graph as ONNX.

    Raises:
        RunError: onnx or onnxscript is missing, or the module cannot be written as ONNX.
    """
    try:
        import onnx  # an extra
        import onnxscript  # noqa: F401  # likewise
    except ImportError as error:
        raise RunError(MISSING) from error
    try:
        with torch.no_grad(), _quiet():
            module, given = graph.module.eval(), tuple(graph.inputs.values())
            module(*given)  # what it keeps between calls is kept from here, and not from tracing
            program = torch.onnx.export(
                module,
                given,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            model: onnx.ModelProto = program.model_proto
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, NotImplementedError) as error:
        raise RunError(
            f"{type(graph.module).__name__} cannot be written as ONNX: {str(error).splitlines()[0]}"
        ) from error
    if graph.half:
        _halve(model)
    for node in model.graph.node:  # where in whose files it comes from is nobody's business
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _halve(model: "onnx.ModelProto") -> None:
    """Store float32 tensors of many numbers as float16, each cast back where it is used."""
    from onnx import TensorProto, helper, numpy_helper  # an extra

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size <= FEW or not (np.abs(values) <= HALF_LIMIT).all():
            continue
        stored = f"{tensor.name}.half"
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own news from the user: what it skips, and what it will be called one day."""
    names = ("torch.onnx", "torch.__trace", "onnxscript", "onnx_ir")
    loggers: list[Any] = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
