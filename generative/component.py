"""The contract of a trainable part, its registry and its folder on disk.

A component is an `nn.Module` with a frozen dataclass `Config`, a class attribute `type_name`, an attribute
`config` and a `loss(batch, generator) -> (loss, metrics)`. A `Registry` finds components of one seam
("vision", "memory", ...) by name; packages of third parties join through the entry-point group
`worldmodels.components`, so nobody edits this file.

A component that several objectives pull in different directions (a critic and a generator) has `objectives` in
place of `loss`: see `HasObjectives`. So may one that does something after every step, such as averaging its weights.

A class that says `fixed_step: ClassVar[bool] = True` has its training steps recorded and replayed on a GPU, many times
faster where networks are small. It promises that every step does the same operations on tensors of the same shapes with
the same numbers as arguments: no counter in Python, no `Tensor.item`, no branch that depends on a tensor's values. A
counter may be a tensor among the buffers. Subclasses promise for themselves; without the promise steps are plain.

What no gradient finds (principal components, the spread of latents) a component has from `Estimates`: a stage
calls `fit` on a component with parameters that require gradients, and then `estimate` on one that has it. A
component with nothing to train is only estimated. Before it is, its numbers are random, as untrained weights are.

A component's folder holds `config.json` (the `type` tag,
format version and options), `model.safetensors` and `metadata.json`. Nothing in it is executable.
`config.json` comes last and carries the hash of the weights, so a process killed while saving leaves either
no component or one that refuses to load, never a mixture that loads.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, cast, runtime_checkable

import safetensors
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.facts import Facts, FactsView
from generative.files import parsed_object, sealed, sync_folder, unsealed, write_beside, write_folder
from generative.options import ComponentError, config_from_mapping, config_to_mapping, did_you_mean

FORMAT_VERSION = 2
"""2: `layout: fast` of a VAE is another one than in 1."""
ENTRY_POINT_GROUP = "worldmodels.components"


class Component(Protocol):
    """What the toolkit asks of a trainable `nn.Module`; `seam` is optional and only improves messages."""

    type_name: ClassVar[str]
    Config: ClassVar[Any]
    config: Any

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the scalar to minimise and scalars to log; every random number comes from `generator`."""


class Objective(NamedTuple):
    """What one part of a component is to step down now."""

    part: str
    """Name of the submodule whose parameters, and no others, go down the loss's gradient."""
    loss: Tensor
    """Scalar to minimise."""
    metrics: dict[str, Tensor]
    """Scalars to log."""


@dataclasses.dataclass(frozen=True)
class Part:
    """How a submodule that has an objective of its own is trained."""

    rate: float = 1.0
    """Its learning rate, in multiples of the training's."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay of the running mean of gradients and of their squares."""


@runtime_checkable
class HasObjectives(Protocol):
    """A component with several objectives, which a training step serves in turn; it needs no `loss`."""

    parts: Mapping[str, Part]
    """The submodules that are trained, by name; no parameter belongs to two."""
    batches_per_step: int
    """How many batches a training step uses."""

    def objectives(self, batches: Sequence[object], generator: torch.Generator) -> Iterator[Objective]:
        """Yield the objectives of one step; while it waits at a `yield`, that part takes its optimiser step.

        So what is computed after a `yield` sees the new weights: the next loss, a clipping of the weights, a moving
        average. It always runs to its end, and every random number comes from `generator`.
        """


@runtime_checkable
class Estimates(Protocol):
    """A component with numbers that come from looking at data once, without gradients."""

    def estimate(self, batches: Iterator[Any], generator: torch.Generator) -> None:
        """Set them from as many batches of an endless stream as it needs; called once, after `fit` if that is."""


@dataclasses.dataclass(frozen=True)
class LatentSpec:
    """What an encoder's z is; checked when parts are assembled, before anything trains."""

    kind: Literal["continuous", "discrete", "spatial"]
    """Real numbers, one-hot categories, or a map of either with positions."""
    size: int
    """Entries of z when flattened (Z)."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: a latent needs at least one entry; raise it")


class Registry:
    """The components of one seam by name: the built-in ones, then those of installed packages.

    A third-party package declares in its own pyproject.toml
    `[project.entry-points."worldmodels.components"]` and `"vision.my-encoder" = "my_package:MyEncoder"`.
    """

    def __init__(self, seam: str, entries: Mapping[str, type[nn.Module]] | None = None) -> None:
        self.seam = seam
        self._entries: dict[str, tuple[type, type[nn.Module]]] = {}
        for name, module_class in (entries or {}).items():
            self.add(name, module_class)

    def add(self, name: str, module_class: type[nn.Module]) -> None:
        """Add a component; raise ComponentError when the name is taken or the class is no component."""
        if name in self._entries:
            raise ComponentError(f"{self.seam}.{name}: this name is taken; choose another one")
        self._entries[name] = _check_component(module_class, name, f"{self.seam}.{name}")

    def names(self) -> list[str]:
        """Return every known name, built-in ones first; imports nothing."""
        plugins = {point.name.removeprefix(f"{self.seam}.") for point in self._entry_points()}
        return [*self._entries, *sorted(plugins - set(self._entries))]

    def classes(self) -> dict[str, type[nn.Module]]:
        """Return the component classes imported so far by name: the built-in ones and the plug-ins in use."""
        return {name: module_class for name, (_, module_class) in self._entries.items()}

    def config_class(self, name: str) -> type:
        """Return the config dataclass of `name`; raise ComponentError when there is none."""
        return self._find(name)[0]

    def create(self, name: str, config: Any, seed: int = 0) -> nn.Module:
        """Build a component with weights drawn from `seed`; the global random state stays as it was.

        Args:
            name: one of `names()`.
            config: an instance of `config_class(name)`, or a mapping of its options.
            seed: any int; the same one gives the same weights.

        Raises:
            ComponentError: the name or an option is unknown, or the config belongs to another component.
            ValueError: an option has a wrong type or value.
        """
        config_class, module_class = self._find(name)
        if isinstance(config, Mapping):
            config = config_from_mapping(config_class, config)
        if not isinstance(config, config_class):
            raise ComponentError(
                f"{self.seam}.{name}: got {type(config).__name__}; pass {config_class.__name__} or a mapping"
            )
        with seeded(seed, torch.device("cpu")):
            return module_class(config)

    def _entry_points(self) -> list[importlib.metadata.EntryPoint]:
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        return [point for point in points if point.name.startswith(f"{self.seam}.")]

    def _find(self, name: str) -> tuple[type, type[nn.Module]]:
        if name not in self._entries:
            points = [point for point in self._entry_points() if point.name == f"{self.seam}.{name}"]
            if not points:
                raise ComponentError(f"{name!r}: no such {self.seam} component;{did_you_mean(name, self.names())}")
            self._entries[name] = _load_entry_point(points[0], name)
        return self._entries[name]


def _load_entry_point(point: importlib.metadata.EntryPoint, name: str) -> tuple[type, type[nn.Module]]:
    try:
        module_class = point.load()
    except Exception as error:  # a plug-in may fail in any way while being imported
        raise ComponentError(
            f"{point.name}: cannot import {point.value!r} ({error}); repair or uninstall it"
        ) from error
    return _check_component(module_class, name, f"{point.name} ({point.value})")


def _check_component(module_class: Any, name: str, place: str) -> tuple[type, type[nn.Module]]:
    is_module = isinstance(module_class, type) and issubclass(module_class, nn.Module)
    config_class = getattr(module_class, "Config", None)
    # The folder's type tag is the class's `type_name`: under another name the component would save but never load.
    if not (is_module and dataclasses.is_dataclass(config_class) and getattr(module_class, "type_name", None) == name):
        raise ComponentError(
            f"{place}: must be an nn.Module class with a dataclass `Config` and `type_name = {name!r}`"
        )
    return cast(type, config_class), module_class


def has_fixed_step(module: nn.Module) -> bool:
    """Return whether a component's own class, not one that it is derived from, declares `fixed_step`."""
    return "fixed_step" in vars(type(module)) and bool(module.fixed_step)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Feed `seed` to layers that can only draw from torch's global streams; puts the streams back after."""
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def resolve_device(device: str) -> torch.device:
    """Return the torch device for "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        ValueError: the device is unknown or not available here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r}: unknown; use auto, cpu, cuda, cuda:<index> or mps") from error
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device={device!r}: torch sees {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r}: not available here; use auto or cpu")
    return resolved


def component_bytes(module: nn.Module) -> Facts:
    """Return a component as data for another process: "config" is JSON text, "weights" safetensors bytes."""
    # Clones give every name contiguous memory of its own (tied, channels last), which safetensors asks for.
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in module.state_dict().items()
    }
    weights = safetensors.torch.save(state)
    config = {
        "format_version": FORMAT_VERSION,
        "seam": getattr(module, "seam", None),
        "type": cast(Component, module).type_name,
        "config": config_to_mapping(module.config),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    return {"config": json.dumps(sealed(config, "config.json"), indent=2) + "\n", "weights": weights}


def component_from_bytes(data: FactsView, registry: Registry, device: str | torch.device = "cpu") -> nn.Module:
    """Return the module of `component_bytes`, in evaluation mode; raise ComponentError when unusable."""
    return _build(data, registry, "component").to(device)


def save_component(module: nn.Module, folder: str | Path, metadata: FactsView) -> None:
    """Save config, weights and metadata (JSON types) atomically; other content of the folder stays."""
    data = component_bytes(module)
    files = {  # config.json is last: without it, or with another hash in it, the folder does not load
        "model.safetensors": data["weights"],
        "metadata.json": (json.dumps(sealed(metadata, "metadata.json"), indent=2) + "\n").encode(),
        "config.json": data["config"].encode(),
    }
    folder = Path(folder)
    if not folder.exists():
        write_folder(folder, files)
        return
    temporary = {name: write_beside(folder / name, content) for name, content in files.items()}
    (folder / "config.json").unlink(missing_ok=True)
    for name, path in temporary.items():
        os.replace(path, folder / name)
    sync_folder(folder)
    for stale in folder.glob(".*.partial"):  # of a process killed while saving
        stale.unlink()


def load_component(folder: str | Path, registry: Registry, device: str | torch.device = "cpu") -> nn.Module:
    """Load a saved component in evaluation mode.

    Raises:
        ComponentError: the folder or a file is missing, damaged, foreign, newer than this version, or does
            not fit the component's present code; the message says which and what to do.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ComponentError(f"{folder}: no such folder; train the component first, or correct the path")
    content = {}
    for name in ("config.json", "model.safetensors", "metadata.json"):
        if not (folder / name).is_file():
            raise ComponentError(
                f"{folder / name}: missing, so saving was interrupted or training has not ended; "
                "run the training stage again"
            )
        content[name] = (folder / name).read_bytes()
    config = content["config.json"].decode(errors="replace")
    data = {"config": config, "weights": content["model.safetensors"]}
    return _build(data, registry, str(folder)).to(device)


def load_metadata(folder: str | Path) -> Facts:
    """Return a component folder's metadata.json; raise ComponentError when it is missing or damaged."""
    path = Path(folder) / "metadata.json"
    if not path.is_file():
        raise ComponentError(f"{path}: missing; train the component first, or correct the path")
    return _parse_object(path.read_text(errors="replace"), str(path))


def _parse_object(text: str, place: str) -> Facts:
    remedy = "train again or restore the file"
    return unsealed(parsed_object(text, place, remedy), Path(place), remedy)


def _build(data: FactsView, registry: Registry, place: str) -> nn.Module:
    """Return the module with its weights; `place` begins every message."""
    description = _parse_object(data["config"], f"{place}/config.json")
    missing = {"format_version", "type", "config", "weights_sha256"} - set(description)
    if missing:
        raise ComponentError(f"{place}/config.json: no {', '.join(sorted(missing))}; this is not a component's folder")
    if description["format_version"] != FORMAT_VERSION:
        raise ComponentError(
            f"{place}/config.json: format_version is {description['format_version']!r}, this program reads "
            f"{FORMAT_VERSION}; update the program or train again"
        )
    if hashlib.sha256(data["weights"]).hexdigest() != description["weights_sha256"]:
        raise ComponentError(
            f"{place}/model.safetensors: not the weights that belong to config.json (truncated, replaced, "
            "or saving was interrupted); train again or restore both files"
        )
    try:
        module = registry.create(str(description["type"]), description["config"])
        state = safetensors.torch.load(data["weights"])
    except ValueError as error:
        raise ComponentError(f"{place}: {error}") from error
    except safetensors.SafetensorError as error:
        raise ComponentError(f"{place}/model.safetensors: damaged ({error}); train again or restore it") from error
    _check_weights(module.state_dict(), state, f"{place}/model.safetensors")
    module.load_state_dict(state)
    return module.eval()


def _check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], place: str) -> None:
    problems = [f"{name} missing" for name in expected if name not in found]
    problems += [f"{name} unexpected" for name in found if name not in expected]
    problems += [
        f"{name} has shape {tuple(found[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ComponentError(
            f"{place}: does not fit the component's code: {'; '.join(problems[:3])}{more}; "
            "train again, or use the version of the code that saved it"
        )
