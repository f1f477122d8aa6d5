"""Figures of a model that translates between two domains: how far it is from known twins, from itself and from real.

Twins are known where the data say so, and then only for measuring: no model trains on them. Where they are not known,
it remains to say whether translations look like images of the other domain, and whether an image comes back from there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative.data import Data
from generative.features.extractors import Extractor, random_convolutions
from generative.metrics.figure import Figure
from generative.metrics.images.colour_maps import FITTED, fitted_colours, matched_colours, tabled_colours
from generative.metrics.measure import measure, measure_pairs, real_draws, sets_of
from generative.metrics.registry import metrics_that_need
from scripts.generative.figures.looks import Looks
from scripts.generative.runs.items import inputs, places

PIECE = 64
"""Images that are translated at once."""


@dataclass(frozen=True)
class Side:
    """One direction of a translation, and images for it."""

    direction: str
    """As `translate` takes it."""
    source: Tensor
    """Held-out images (N C H W)."""
    target: Tensor
    """Held-out images of the other domain: the twins of the source, where they are known."""
    fitted: tuple[Tensor, Tensor]
    """Training images of both, those to translate first; they too are twins, where they are known."""


def of_translations(looks: Looks, asked: tuple[str, ...]) -> Iterator[Figure]:
    """Yield the figures of translations: errors to known twins first, the direction with the least gain ahead."""
    pair = inputs(looks.module)[:2]
    train = tuple(looks.data.tensor(name, places(looks.data, FITTED)) for name in pair)
    held = looks.held.values, looks.held.condition[0]
    sides = [Side("forward", held[0], held[1], (train[0], train[1]))]
    sides += [Side("backward", held[1], held[0], (train[1], train[0]))]
    made = {side.direction: translate(looks.module, side.source, side.direction) for side in sides}
    if twins_known(looks.module, looks.data):
        found = [_of_twins(name, side, made) for name in metrics_that_need("twins", asked) for side in sides]
        yield from sorted(found, key=lambda each: -each.value / max(each.baselines[each.strongest], 1e-9))
    for name in metrics_that_need("cycles", asked):
        for side, back in zip(sides, ("backward", "forward"), strict=True):
            again = translate(looks.module, made[side.direction], back)
            yield measure_pairs(name, side.source, again, {}, needs="cycles", direction=side.direction)
    names = metrics_that_need("sets", asked) if asked else ["FD"]
    for side in sides if names else ():
        yield from _of_sets(names, looks, side, made[side.direction])


def twins_known(module: nn.Module, data: Data) -> bool:
    """Return whether the data know what each translation should be."""
    return set(inputs(module)[:2]) <= set(data.twins)


@torch.no_grad()
def translate(module: nn.Module, images: Tensor, direction: str) -> Tensor:
    """Return translations of many images."""
    model: Any = module
    return torch.cat([model.translate(part, direction) for part in images.split(PIECE)]).clamp(0, 1)


def _of_twins(name: str, side: Side, made: Mapping[str, Tensor]) -> Figure:
    nothing = {
        "untranslated": side.source,
        "colours matched without pairs": matched_colours(*side.fitted)(side.source),
        "affine map of colours, from pairs": fitted_colours(*side.fitted)(side.source),
        "table of colours, from pairs": tabled_colours(*side.fitted)(side.source),
    }
    return measure_pairs(
        name, side.target, made[side.direction], nothing, needs="twins", direction=side.direction
    )  # fmt: skip


def _of_sets(names: list[str], looks: Looks, side: Side, made: Tensor) -> Iterator[Figure]:
    """Yield how like images of the target domain translations are.

    Fixed convolutions see both directions. The judge of the data, where there is one, sees the way to the domain that
    it learned.
    """
    target = inputs(looks.module)[side.direction == "forward"]
    count = min(len(made), looks.count)
    rows, others = real_draws(len(looks.data), min(count, len(looks.data) // 4), looks.seed)

    def images(where: Tensor) -> Tensor:
        return looks.data.tensor(target, np.asarray(where))

    real, draws = images(rows), [images(each) for each in others]
    made, source = made[: len(real)], side.source[: len(real)]
    real, draws = real[: len(made)], [each[: len(made)] for each in draws]
    nothing = {"untranslated": source, "colours matched without pairs": matched_colours(*side.fitted)(source)}
    extractors: list[Extractor] = [random_convolutions(real.shape[1])]
    if looks.judge is not None and target == looks.data.main:
        extractors.insert(0, looks.extractor)
    for extractor in extractors:
        sets = sets_of(extractor, real, draws, made, nothing)
        for name in names:
            found = measure(name, sets)
            yield replace(found, name=f"{name}[{side.direction}, {extractor.name}]")
