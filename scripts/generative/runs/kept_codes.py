"""Codes of held-out images that a run folder keeps, so that pictures can be begun where the data are gone."""

from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from generative import ComponentError, offers, require
from generative.core.files import write_bytes
from generative.data import Data
from generative.data.identity import data_facts
from generative.latent.interpolation import encode_means
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.items import Items, inputs, require_images_of, take

STARTS = "codes.safetensors"
"""File of a run with codes of held-out images, and what goes beside them, to start pictures from."""


MOST_STARTS = 1024
"""How many of them."""


@torch.no_grad()
def keep_starts(run: TrainingRun, module: nn.Module, data: Data) -> None:
    """Write codes of held-out images and what goes beside them, for pictures that need no data then."""
    if not (data.item.kind == "image" and offers(module, "decode")):
        return
    items = take(module, data.held_out(), MOST_STARTS)
    kept = dict(zip(inputs(module)[1:], items.condition, strict=True))
    if offers(module, "encode"):
        kept["codes"] = encode_means(module, items.values, items.condition).contiguous()
    write_bytes(run.path / STARTS, safetensors.torch.save(kept))


def starts(run: TrainingRun, module: nn.Module, count: int, seed: int, command: str) -> Items:
    """Return latents to start from, as `codes` does, of what the run folder keeps: it asks for no data.

    Those of a model that neither encodes nor is told anything are noise, whatever its data are.

    Raises:
        ComponentError: the model cannot decode, or the latents are those of data that are no images, or the file is
            missing or damaged.
    """
    require(module, "decode")
    facts, path = data_facts(run), run.path / STARTS
    kept: dict[str, Tensor] = {}
    if offers(module, "encode") or inputs(module)[1:]:
        require_images_of(facts, command)
        try:
            kept = safetensors.torch.load(path.read_bytes())
        except (OSError, safetensors.SafetensorError) as error:
            raise ComponentError(f"{path}: cannot be read ({error}); train anew with --out") from error
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(min(MOST_STARTS, facts["held_out"]), generator=generator)[:count]
    condition = tuple(kept[name][order] for name in inputs(module)[1:])
    if "codes" in kept:
        return Items(kept["codes"][order], condition)
    number = len(order) if condition else count
    return Items(torch.randn(number, cast(Any, module).latent_spec.size, generator=generator), condition)
