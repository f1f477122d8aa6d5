"""A component's folder: config.json, model.safetensors, metadata.json; nothing in it is executable."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from generative.core.component import Component
from generative.core.facts import Facts, FactsView
from generative.core.files import parsed_object, sealed, sync_folder, unsealed, write_beside, write_folder
from generative.core.options import ComponentError, config_to_mapping
from generative.core.registry import Registry
from generative.core.without_draws import WithoutDraws

FORMAT_VERSION = 2
"""2: `layout: fast` of a VAE is another one than in 1."""


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
        with WithoutDraws():
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
