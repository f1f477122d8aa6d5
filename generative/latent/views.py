"""Views of every model of images that decodes: along a dimension of the latent, from image to image, and as a film."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from generative.capabilities import offers
from generative.core.options import ComponentError, did_you_mean
from generative.core.views import Film, Picture, Slider, Source, Views
from generative.latent.interpolation import Mode, between, decoder
from generative.latent.morph import morph
from generative.latent.traversal import spread_order, traverse

MOST_CODES = 1024
"""Codes by which the dimensions of a latent are put in order."""
WAYS: Mapping[Mode, str] = {"linear": "line", "spherical": "arc"}
"""What the rows of an interpolation are called."""


@dataclass(frozen=True)
class Traversal:
    """One dimension of the latent moved while the others rest, the most telling dimensions first."""

    makes: ClassVar = Picture
    dimensions: tuple[int, ...] = ()
    """Numbers of the dimensions; by default those that vary most over held-out images."""
    most: int = 10
    """How many of them at most, where none are named."""
    reach: float = 2.5
    """How far to both sides, in standard deviations of the codes of held-out images."""
    steps: int = 9
    """Images in a row."""
    item: int = 0
    """Number of the held-out image to start from."""

    def __post_init__(self) -> None:
        _check(self, most=1, steps=1)
        _check_item(self.item)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each dimension; the codes are those of seed 0."""
        codes, *condition = source.codes(MOST_CODES, 0)
        code = _code_of(codes, self.item)
        order = list(self.dimensions) or spread_order(codes)[: self.most]
        decode = decoder(model, [each[self.item :] for each in condition])
        share = torch.linspace(-self.reach, self.reach, self.steps)
        if not all(0 <= each < codes.shape[1] for each in order):
            raise ValueError(f"dimensions={order}: the latent has dimensions 0 to {codes.shape[1] - 1}")
        rows = []
        for dimension in order:
            column = codes[:, dimension]
            rows.append(traverse(decode, code, [dimension], column.mean() + share * column.std())[0])
        return Picture(torch.stack(rows), [f"z{dimension}" for dimension in order])


@dataclass(frozen=True)
class Interpolation:
    """From one image to another, by the line (lerp) and by the arc (slerp), under the label of the first image."""

    makes: ClassVar = Picture
    pairs: int = 4
    """Pairs of images; each gets a row by the line and one by the arc."""
    steps: int = 10
    """Images on a way, both ends included."""

    def __post_init__(self) -> None:
        _check(self, pairs=1, steps=2)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return for each pair the line above the arc."""
        codes, *condition = source.codes(2 * self.pairs, seed)
        pairs = len(codes) // 2
        if pairs == 0:
            raise ComponentError(f"{len(codes)} held-out image, too few for a way; train on more images")
        first, last, rows = codes[:pairs], codes[pairs:], []
        for pair in range(pairs):
            decode = decoder(model, [each[pair:] for each in condition])
            rows += [decode(between(first[[pair]], last[[pair]], self.steps, mode)[0]) for mode in WAYS]
        return Picture(torch.stack(rows), [*WAYS.values()] * pairs)


@dataclass(frozen=True)
class Morph:
    """Images that turn into one another, on and on."""

    makes: ClassVar = Film
    mode: Mode = "spherical"
    """Way of the morph: linear or spherical."""
    keys: int = 6
    """Images that the morph passes."""
    frames: int = 12
    """Frames from one of them to the next."""
    fps: int = 12
    """Frames per second."""

    def __post_init__(self) -> None:
        _check(self, keys=2, frames=1, fps=1)

    def show(self, model: Any, source: Source, seed: int) -> Film:
        """Return the way through the images and back to the first."""
        keys, *condition = source.codes(self.keys, seed)
        frames = morph(decoder(model, condition), keys, self.frames, self.mode)
        return Film(frames[:, None, None], fps=self.fps)


@dataclass(frozen=True)
class Edit:
    """An image whose latent is moved by hand: along its dimensions, and along attributes that were learned."""

    makes: ClassVar = Picture
    item: int = 0
    """Number of the held-out image to start from."""
    moved: tuple[float, ...] = ()
    """How far each dimension is moved from the image's own, in standard deviations of the codes of held-out images."""
    added: tuple[float, ...] = ()
    """How often each attribute is added, in the order of their names; `generative attribute` learns them."""

    def __post_init__(self) -> None:
        _check_item(self.item)

    @classmethod
    def sliders(cls, model: Any, source: Source) -> Mapping[str, Sequence[Slider]]:
        """Return a slider for each dimension and for each attribute."""
        size = source.codes(1, 0)[0].shape[1]
        return {
            "moved": [Slider(f"z{number}", -4.0, 4.0) for number in range(size)],
            "added": [Slider(name, -4.0, 4.0) for name in sorted(source.attributes())],
        }

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the image as it was and as it is then."""
        codes, *condition = source.codes(MOST_CODES, 0)
        code = _code_of(codes, self.item)
        learned = sorted(source.attributes().items())
        for name, values, known in (("moved", self.moved, codes.shape[1]), ("added", self.added, len(learned))):
            if len(values) > known:
                raise ValueError(f"{name}: {len(values)} numbers for {known}; give {known} at most")
        changed = code.clone()
        changed[: len(self.moved)] += torch.tensor(self.moved) * codes.std(0)[: len(self.moved)]
        for times, (_, direction) in zip(self.added, learned, strict=False):
            changed += times * direction
        decode = decoder(model, [each[self.item :] for each in condition])
        return Picture(decode(torch.stack([code, changed]))[None], columns=["as it was", "moved"])


OF_LATENTS: Views = {"edit": Edit, "traversal": Traversal, "interpolation": Interpolation, "morph": Morph}


def views_of(model: nn.Module) -> Views:
    """Return the views of a model by name: its own, and those of its latent where it decodes images."""
    shared = OF_LATENTS if offers(model, "decode") and model.inputs[0] == "image" else {}  # type: ignore[index]
    return {**shared, **getattr(model, "views", {})}


def view_named(name: str, model: nn.Module | type[nn.Module]) -> type[Any]:
    """Return a view of a model; raise ComponentError where it has none of this name.

    A class does not know yet whether it decodes images: those of latents count for all.
    """
    known = {**OF_LATENTS, **getattr(model, "views", {})} if isinstance(model, type) else views_of(model)
    if name not in known:
        kind = getattr(model, "type_name", "this model")
        raise ComponentError(f"{name!r}: {kind} has no such view;{did_you_mean(name, known)}")
    return known[name]


def _check(view: object, **least: int) -> None:
    for name, smallest in least.items():
        if getattr(view, name) < smallest:
            raise ValueError(f"{name}={getattr(view, name)}: give {smallest} or more")


def _check_item(item: int) -> None:
    if item < 0:
        raise ValueError(f"item={item}: the held-out images count from 0")


def _code_of(codes: Tensor, item: int) -> Tensor:
    if item >= len(codes):
        raise ValueError(f"item={item}: there are {len(codes)} to choose from")
    return codes[item]
