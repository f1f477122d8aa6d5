"""Everything a controller needs to act, in one piece that travels: to worker processes as bytes, to disk as files."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from agents import ActionSpec, Controller, ControllerConfig, make_controller
from envs import EnvConfig
from generative import ComponentError, component_bytes, component_from_bytes, config_from_mapping, config_to_mapping
from generative.capabilities import Encodes
from generative.core.facts import Facts, FactsView
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import Perception, feature_size
from worldmodels.agent.precision import torch_dtype
from worldmodels.errors import RunError
from worldmodels.files import read_json, write_bytes, write_json
from worldmodels.memories import MemoryModule, Remembers, ShuffledMemory, agent_memory
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.contract import VisionModule
from worldmodels.vision.registry import VISIONS

FORMAT_VERSION = 1
AGAIN = "restore it, or remove agent.json, agent.safetensors and done.json and run `worldmodels evolve` again"


@dataclass(frozen=True)
class Bundle:
    """Vision, memory and controller assembled for one environment, without the controller's parameters."""

    env: EnvConfig
    spec: ActionSpec
    features: FeaturesConfig
    controller: ControllerConfig
    vision: FactsView
    """`component_bytes` of the vision."""
    memory: FactsView | None
    """`component_bytes` of the memory whose state the controller reads; None where it reads none, or a shuffled one."""
    generator: FactsView | None = None
    """`component_bytes` of the memory that dreams; None where nothing dreams."""
    bank: np.ndarray | None = None
    """float32 (S H): what a memory remembered at S moments, where the controller reads a shuffled memory."""
    seed: int = 0
    """From which an untrained memory was drawn, which has no weights in a run folder."""
    dtype: str = "float32"
    """Number type in which frames are encoded while playing and in which the memory dreams."""

    def load_vision(self) -> VisionModule:
        """Rebuild the vision."""
        return cast(VisionModule, component_from_bytes(self.vision, VISIONS))

    def load_encoder(self, device: torch.device | str = "cpu") -> VisionModule:
        """Rebuild the vision on a device, in the number type in which it encodes while playing."""
        return self.load_vision().to(device, torch_dtype(self.dtype, device)).eval()

    def load_memory(self) -> MemoryModule | ShuffledMemory | None:
        """Rebuild the memory that the controller reads."""
        if self.bank is not None:
            return ShuffledMemory(torch.from_numpy(self.bank.copy()))
        return None if self.memory is None else cast(MemoryModule, component_from_bytes(self.memory, MEMORIES))

    def load_generator(self) -> MemoryModule:
        """Rebuild the memory that dreams."""
        if self.generator is None:
            raise ValueError("this bundle has no memory to dream with")
        return cast(MemoryModule, component_from_bytes(self.generator, MEMORIES))

    def perception(
        self,
        rows: int,
        vision: Encodes | None = None,
        memory: Remembers | None = None,
        device: torch.device | str = "cpu",
    ) -> Perception:
        """Return a perception of `rows` rows, over parts already loaded where given (vision: `load_encoder`).

        Parts that are given are on the device already.
        """
        encoder = self.load_encoder(device) if vision is None else vision
        remembered = memory
        if memory is None and self.features.uses_memory and (loaded := self.load_memory()) is not None:
            remembered = loaded.to(device)
        return Perception(encoder, remembered, self.features, rows, torch_dtype(self.dtype, device), device)

    def build_controller(self) -> Controller:
        """Return the controller."""
        return make_controller(self.controller, self.feature_size, self.spec)

    @cached_property
    def feature_size(self) -> int:
        """F, the number of features the controller reads."""
        vision = self.load_vision()
        memory = self.load_memory()
        return feature_size(self.features, vision.latent_spec.size, 0 if memory is None else memory.feature_size)


def bundle_parts(vision: VisionModule, memory: MemoryModule | None) -> Facts:
    """Return the two components as bytes, as `Bundle` takes them; of an ensemble an agent carries member 0."""
    return {
        "vision": component_bytes(vision),
        "memory": None if memory is None else component_bytes(agent_memory(memory)),
    }


def save_agent(folder: Path, bundle: Bundle, parameters: np.ndarray, facts: FactsView) -> None:
    """Write the controller of a bundle: `agent.json`, and `agent.safetensors` with parameters and bank."""
    arrays = {"parameters": np.asarray(parameters, dtype=np.float32)}
    if bundle.bank is not None:
        arrays["bank"] = bundle.bank
    content = save(arrays)
    write_bytes(folder / "agent.safetensors", content)
    description = {
        "format_version": FORMAT_VERSION,
        "arrays_sha256": hashlib.sha256(content).hexdigest(),
        "env": config_to_mapping(bundle.env),
        "spec": bundle.spec.to_mapping(),
        "features": config_to_mapping(bundle.features),
        "controller": config_to_mapping(bundle.controller),
        "seed": bundle.seed,
        "dtype": bundle.dtype,
        "facts": dict(facts),
    }
    write_json(folder / "agent.json", description)


@dataclass(frozen=True)
class SavedAgent:
    """What `save_agent` writes of a bundle: all but vision and memory, which a run folder holds beside it."""

    env: EnvConfig
    spec: ActionSpec
    features: FeaturesConfig
    controller: ControllerConfig
    parameters: np.ndarray
    """float32 (N)."""
    bank: np.ndarray | None
    """As of `Bundle`."""
    seed: int | None
    """Likewise; older files have none."""
    dtype: str
    facts: Facts
    """How the controller came about."""


def read_agent(folder: Path) -> SavedAgent:
    """Read what `save_agent` wrote.

    Raises:
        RunError: if the files are missing, damaged or of another format.
    """
    for name in ("agent.json", "agent.safetensors"):
        if not (folder / name).is_file():
            raise RunError(f"{folder} holds no controller ({name} is missing): run `worldmodels evolve`")
    try:
        content = (folder / "agent.safetensors").read_bytes()
        description = read_json(folder / "agent.json", AGAIN)
        if description.get("arrays_sha256", found := hashlib.sha256(content).hexdigest()) != found:
            raise RunError(f"{folder / 'agent.safetensors'} is not what agent.json belongs to: {AGAIN}")
        arrays = load(content)
        if description["format_version"] != FORMAT_VERSION:
            raise RunError(f"{folder} has format {description['format_version']}, this version reads {FORMAT_VERSION}")
        if arrays["parameters"].ndim != 1:
            raise ValueError(f"parameters of shape {arrays['parameters'].shape}")
        return SavedAgent(
            env=config_from_mapping(EnvConfig, description["env"]),
            spec=ActionSpec.from_mapping(description["spec"]),
            features=config_from_mapping(FeaturesConfig, description["features"]),
            controller=config_from_mapping(ControllerConfig, description["controller"]),
            parameters=arrays["parameters"],
            bank=arrays.get("bank"),
            seed=description.get("seed"),
            dtype=description["dtype"],
            facts=description["facts"],
        )
    except (OSError, KeyError, TypeError, SafetensorError, ComponentError, ValueError) as error:
        raise RunError(f"the controller in {folder} is damaged or foreign ({error}): {AGAIN}") from error
