"""What there is to see of a model of images: real images it is compared with, its samples, its reconstructions.

Figures and verdicts look at the same. Real images are such as the judge did not learn from, in equally many for each
set; the whole training set is looked through only for copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from generative import ComponentError, config_from_mapping, load_component, offers, to_float
from generative.capabilities import dials, draw
from generative.core.storage import load_metadata
from generative.data import DATA, Data
from generative.data.registry import StandsFor
from generative.features.extractors import (
    Extractor,
    classifier_extractor,
    encoder_extractor,
    pixels,
    random_convolutions,
)
from generative.features.judging import KeptJudge
from generative.metrics.baselines import copied_for_nothing, made_for_nothing
from generative.metrics.measure import Sets, real_draws, sets_of
from generative.metrics.sequences.answers import shares
from generative.models import MODELS
from generative.runs.run_folder import Choice
from scripts.generative.data.data_sets import load
from scripts.generative.runs.items import Items, inputs, take
from scripts.generative.runs.judges import as_extractor, judge_of, unseen

BASELINE_IMAGES = 2000
"""Training images that baselines are made of."""
THUMBNAIL = 8
"""Pixels of the side of what copies are looked for in."""
PIECE = 2048
"""Training images that are read at once."""
LATENTS = 32
"""Numbers that baselines have for an image where the model has no latents."""


@dataclass(frozen=True)
class Looks:
    """A model of images and what it is compared with."""

    module: nn.Module
    data: Data
    extractor: Extractor
    """What sees the images."""
    judge: KeptJudge | None
    """The judge of the data, where it is the extractor."""
    real: Tensor
    """Real images (N C H W)."""
    draws: tuple[Tensor, ...]
    """Other draws of as many real images."""
    held: Items
    """Held-out items."""
    seed: int
    more_for_nothing: Mapping[str, Tensor] = field(default_factory=dict)
    """Samples of baselines beside the usual ones, by name."""

    @classmethod
    def at(cls, module: nn.Module, data: Data, choice: Choice, samples: int, seed: int, extractor: str) -> "Looks":
        """Return what there is to see.

        Args:
            module: the trained model.
            data: what it was trained on.
            choice: the name and options of the data.
            samples: images of each set at most.
            seed: of what is drawn.
            extractor: `auto` for the judge of the data, or another one, see `extractor_named`.
        """
        judge = judge_of(choice, data) if extractor == "auto" else None
        see = as_extractor(choice, judge) if judge else extractor_named(extractor, data)
        training, held = unseen(choice, data), data.held_out()
        pool = len(training) + len(held)
        size = min(samples, pool // 4)  # so that draws differ
        real, draws = (np.asarray(each) for each in real_draws(pool, size, seed))

        def images(rows: np.ndarray) -> Tensor:
            inside = rows < len(training)
            found = torch.empty(len(rows), *like.shape[1:])
            found[torch.from_numpy(inside)] = data.tensor(data.main, training[rows[inside]])
            found[torch.from_numpy(~inside)] = held.tensor(data.main, rows[~inside] - len(training))
            return found

        like = data.tensor(data.main, np.arange(1))
        return cls(
            module, data, see, judge, images(real), tuple(images(each) for each in draws),
            take(module, held, samples), seed,
        )  # fmt: skip

    @property
    def count(self) -> int:
        """Images of each set."""
        return len(self.real)

    @cached_property
    def latents(self) -> int:
        """How many numbers the model has for an image, or baselines where it has none."""
        spec = getattr(self.module, "latent_spec", None)
        return min(LATENTS if spec is None else spec.size, self.count // 2)

    @cached_property
    def train(self) -> Tensor:
        """Training images that baselines are made of."""
        where = np.unique(np.linspace(0, len(self.data) - 1, min(BASELINE_IMAGES, len(self.data))).astype(np.int64))
        return self.data.tensor(self.data.main, where)

    @cached_property
    def made(self) -> Tensor | None:
        """Samples of the model, as many as there are real images; None of one that does not sample."""
        if not offers(self.module, "sample"):
            return None
        return draw(self.module, self.count, torch.Generator().manual_seed(self.seed)).clamp(0, 1)

    @cached_property
    def back(self) -> Tensor | None:
        """Reconstructions of the held-out images; None of a model without."""
        if not offers(self.module, "reconstruct"):
            return None
        model: Any = self.module
        parts = zip(self.held.values.split(256), *(each.split(256) for each in self.held.condition), strict=True)
        return torch.cat([model.reconstruct(*part) for part in parts]).clamp(0, 1)

    @cached_property
    def made_for_nothing(self) -> Mapping[str, Tensor]:
        """Samples of baselines, by name."""
        return {**made_for_nothing(self.train, self.latents, self.count, self.seed), **self.more_for_nothing}

    @cached_property
    def copied_for_nothing(self) -> Mapping[str, Tensor]:
        """Reconstructions of baselines, by name."""
        return copied_for_nothing(self.train, self.held.values, self.latents, self.seed)

    @cached_property
    def sets(self) -> Sets:
        """Features of samples and of what they are compared with."""
        assert self.made is not None
        return sets_of(self.extractor, self.real, self.draws, self.made, self.made_for_nothing)

    @cached_property
    def second_opinion(self) -> Sets:
        """The same by fixed random convolutions, for fewer draws."""
        assert self.made is not None
        return sets_of(random_convolutions(self.real.shape[1]), self.real, self.draws, self.made, self.made_for_nothing)

    @cached_property
    def thumbnails(self) -> Tensor:
        """The whole training set, small."""
        parts = np.array_split(np.arange(len(self.data)), -(-len(self.data) // PIECE))
        return torch.cat([self.thumbnail(self.data.tensor(self.data.main, part)).float() for part in parts])

    @property
    def thumbnail(self) -> Extractor:
        """What copies are looked for in."""
        return pixels(min(THUMBNAIL, *self.real.shape[2:]))


class Pictured(nn.Module):
    """A model of what stands for images, such as codes, as a model of those images: what it draws is turned into them.

    It draws no more than that: the images of its data are those of the model that made the codes.
    """

    def __init__(self, module: nn.Module, data: Data, images: Data) -> None:
        """Take a model, its data, and those that its data stand for."""
        super().__init__()
        self.model, self._data = module, data
        self.config, self.type_name = cast(Any, module).config, cast(Any, module).type_name
        self.Sampling = dials(module)
        self.inputs = (images.main, *inputs(module)[1:])

    def sample(self, n: int, sampling: Any, generator: torch.Generator, *condition: Tensor) -> Tensor:
        """Return images (n C H W) in [0, 1]."""
        return self.drawn(cast(Any, self.model).sample(n, sampling, generator, *condition))

    def drawn(self, items: Tensor) -> Tensor:
        """Return the images (N C H W) in [0, 1] that items stand for."""
        assert self._data.draw is not None
        return to_float(torch.from_numpy(self._data.draw(items.numpy())))


def look(
    choice: Choice, module: nn.Module, data: Data, samples: int, seed: int, extractor: str = "auto"
) -> Looks | None:
    """Return what there is to see of a model of images, or of what stands for them, arguments as of `Looks.at`.

    None of other models.
    """
    if data.item.kind == "image":
        return Looks.at(module, data, choice, samples, seed, extractor)
    config: Any = config_from_mapping(DATA.find(choice.type), choice.options, "data")
    if not isinstance(config, StandsFor) or not offers(module, "sample"):
        return None
    images = load(config.source())
    pictured = Pictured(module, data, images)
    found = Looks.at(pictured, images, config.source(), samples, seed, extractor)
    apart = _each_by_itself(data, found.count, seed)
    return replace(found, more_for_nothing={f"each {data.main} by itself": pictured.drawn(apart)})


def _each_by_itself(data: Data, count: int, seed: int) -> Tensor:
    """Return items whose positions are drawn each by itself, as common as in training."""
    known = data.tensor(data.main, np.unique(np.linspace(0, len(data) - 1, BASELINE_IMAGES).astype(np.int64)))
    flat = known.flatten(1)
    rows = torch.randint(len(flat), (count, flat.shape[1]), generator=torch.Generator().manual_seed(seed))
    return flat.gather(0, rows).unflatten(1, known.shape[1:])


def extractor_named(name: str, data: Data) -> Extractor:
    """Return an extractor by name: `random`, `pixels`, or the folder of a trained classifier or encoder.

    Raises:
        ComponentError: there is no such folder, or what lies there sees nothing.
    """
    if name == "random":
        return random_convolutions(data.item.shape[2])
    if name == "pixels":
        return pixels(THUMBNAIL)
    load_metadata(name)
    module = load_component(name, MODELS)
    if hasattr(module, "features"):
        return classifier_extractor(module)
    if hasattr(module, "encode"):
        return encoder_extractor(module)
    raise ComponentError(f"{name}: has neither `features` nor `encode`; use auto, random or pixels")


def shares_by(looks: Looks, images: Tensor) -> Mapping[str, Tensor]:
    """Return how common each of the judge's answers is among images."""
    assert looks.judge is not None
    return shares(looks.judge.judge.says(images))
