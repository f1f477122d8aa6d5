"""Checkpoints of a training: one folder per step, complete or not there, the newest readable one comes back.

`<folder>/<step, 8 digits>/` holds `model.safetensors` (weights, and the training state of non-persistent buffers),
`optimiser.safetensors` (its tensors by parameter name), `state.json` (step, what was trained, running sums) and,
written last, `done` with the hashes of the others.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from generative.core.facts import Facts, FactsView
from generative.core.files import write_folder
from generative.core.options import ComponentError

logger = logging.getLogger(__name__)

Optimisers = Mapping[str, torch.optim.Optimizer]
"""By part."""


def training_state(module: nn.Module) -> dict[str, Tensor]:
    """Return what only training needs: the buffers that are not persistent, by name."""
    kept = module.state_dict()
    return {name: buffer for name, buffer in module.named_buffers() if name not in kept}


def save_checkpoint(folder: Path, module: nn.Module, optimisers: Optimisers, state: FactsView, keep: int = 2) -> None:
    """Write a checkpoint of `state["step"]` and remove all but the `keep` newest."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    moments = {
        f"{names[parameter]}|{key}": value
        for optimiser in optimisers.values()
        for parameter, values in optimiser.state.items()
        for key, value in values.items()
        if value is not None
    }
    files = {
        "model.safetensors": safetensors.torch.save(_plain({**module.state_dict(), **training_state(module)})),
        "optimiser.safetensors": safetensors.torch.save(_plain(moments)),
        "state.json": (json.dumps(dict(state), indent=2) + "\n").encode(),
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    target = folder / f"{state['step']:08d}"
    shutil.rmtree(target, ignore_errors=True)  # a damaged one of the same step that was not resumed from
    write_folder(target, {**files, "done": (json.dumps(digests, indent=2) + "\n").encode()})
    for old in _checkpoints(folder)[keep:]:
        shutil.rmtree(old)
    for stale in folder.glob(".*.partial"):  # of a process killed while writing
        shutil.rmtree(stale)


def load_checkpoint(folder: Path, module: nn.Module, optimisers: Optimisers, trained: FactsView) -> Facts | None:
    """Restore module and optimisers in place from the newest readable checkpoint; return its state, if any.

    A damaged checkpoint is passed over with a logged warning.

    Raises:
        ComponentError: there are checkpoints and none can be read, or the newest does not fit the module.
        ValueError: the checkpoint's `state["trained"]` is not `trained`; shows what differs.
    """
    checkpoints = _checkpoints(folder)
    for path in checkpoints:
        try:
            weights, moments, state = _read(path)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
            logger.warning("checkpoint %s is damaged (%s); trying the one before it", path, error)
            continue
        differences = list(_differences(state["trained"], trained, ""))
        if differences:
            raise ValueError(
                f"{path} is of another training ({'; '.join(differences)}); "
                f"go back to its settings, or remove {folder} to train anew"
            )
        _restore(module, optimisers, weights, moments, path)
        return state
    if checkpoints:
        raise ComponentError(
            f"{folder}: none of the {len(checkpoints)} checkpoints is readable; "
            "remove this folder to train from the beginning"
        )
    return None


def last_step(folder: Path) -> int:
    """Return the step of the newest checkpoint in a folder, 0 where there is none."""
    return next((int(path.name) for path in _checkpoints(folder)), 0)


def _checkpoints(folder: Path) -> list[Path]:
    """Return the folders with a `done` marker, newest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if re.fullmatch(r"\d{8,}", path.name) and (path / "done").is_file()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def _differences(old: FactsView, new: FactsView, field: str) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, f"{field}{name}.")
        elif before != after:
            yield f"{field}{name} was {before!r}, is {after!r}"


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU in plain memory order, as safetensors asks for."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], Facts]:
    digests = json.loads((path / "done").read_text())
    content = {}
    for name in ("model.safetensors", "optimiser.safetensors", "state.json"):
        content[name] = (path / name).read_bytes()
        if hashlib.sha256(content[name]).hexdigest() != digests[name]:
            raise ValueError(f"{name} is not what was written")
    weights = safetensors.torch.load(content["model.safetensors"])
    moments = safetensors.torch.load(content["optimiser.safetensors"])
    state = json.loads(content["state.json"])
    if not {"step", "trained", "totals", "counts"} <= state.keys():
        raise ValueError("state.json is of another version of this program")
    return weights, moments, state


@torch.no_grad()
def _restore(
    module: nn.Module, optimisers: Optimisers, weights: dict[str, Tensor], moments: Mapping[str, Tensor], path: Path
) -> None:
    try:
        for name, buffer in training_state(module).items():  # in place: a recorded step has its address
            if name not in weights or weights[name].shape != buffer.shape:
                found = f"of shape {tuple(weights[name].shape)}" if name in weights else "missing"
                raise RuntimeError(f"training state {name} of shape {tuple(buffer.shape)} is {found}")
            buffer.copy_(weights.pop(name))
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ComponentError(f"{path}: is of another model ({error}); remove {path.parent} to train anew") from error
    parameters = dict(module.named_parameters())
    owner = {
        parameter: optimiser
        for optimiser in optimisers.values()
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    for full_name, value in moments.items():
        name, key = full_name.rsplit("|", 1)
        parameter = parameters[name]
        if value.shape == parameter.shape:  # in the parameter's memory order, as the fused update expects
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        owner[parameter].state[parameter][key] = value.to(parameter.device)
