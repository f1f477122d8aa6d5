"""Views of a StyleGAN: a matrix of mixed styles, the truncation dial, and noise on and off."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from generative.core.views import Picture, Source
from generative.models.checks import check_not_negative


@dataclass(frozen=True)
class StyleMixing:
    """Each image of the left column with some styles of each image of the top row."""

    makes: ClassVar = Picture
    rows: int = 4
    """Images that give the other styles."""
    columns: int = 6
    """Images that give the styles of the layers from `first` to `last`."""
    first: int = 0
    """First layer that takes its style from above; layers 0 and 1 are of 4 and 8 pixels, further ones finer."""
    last: int = 2
    """Last layer that does."""
    truncation: float = 0.7
    """How far styles lie from the mean style."""

    def __post_init__(self) -> None:
        _check(self, "rows", "columns")
        _check_dial(self, "truncation")
        if not 0 <= self.first <= self.last:
            raise ValueError(f"first={self.first}: give 0 up to last={self.last}")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the matrix; its top left corner is empty."""
        ws = _styles(model, self.rows + self.columns, seed, self.truncation)
        if self.last >= ws.shape[1]:
            raise ValueError(f"last={self.last}: this model has layers 0 to {ws.shape[1] - 1}")
        left, top = ws[: self.rows], ws[self.rows :]
        mixed = left[:, None].repeat(1, self.columns, 1, 1)  # (R K L S)
        taken = slice(self.first, self.last + 1)
        mixed[:, :, taken] = top[None, :, taken]
        body = model.paint(mixed.flatten(0, 1)).unflatten(0, (self.rows, self.columns))
        beside, above = model.paint(left)[:, None], model.paint(top)[None]
        head = torch.cat([torch.ones_like(above[:, :1]), above], 1)
        return Picture(torch.cat([head, torch.cat([beside, body], 1)]))


@dataclass(frozen=True)
class Truncation:
    """The truncation dial: from the mean image to styles as they are drawn, and beyond."""

    makes: ClassVar = Picture
    rows: int = 6
    """Latents, each with a row of its own."""
    steps: int = 7
    """Positions of the dial."""
    most: float = 1.5
    """Its last position; the first one is 0."""

    def __post_init__(self) -> None:
        _check(self, "rows", "steps")
        _check_dial(self, "most")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the same latents at every position."""
        dial = torch.linspace(0, self.most, self.steps).tolist()
        made = [model.paint(_styles(model, self.rows, seed, each)) for each in dial]
        return Picture(torch.stack(made, 1), columns=[f"{each:.2f}" for each in dial])


@dataclass(frozen=True)
class NoiseStrip:
    """The same styles under several draws of noise, without noise, and what noise changes."""

    makes: ClassVar = Picture
    rows: int = 5
    """Latents, each with a row of its own."""
    draws: int = 3
    """Draws of noise."""
    gain: float = 4.0
    """By how much the change is strengthened: the deviation over draws of noise."""

    def __post_init__(self) -> None:
        _check(self, "rows", "draws")
        check_not_negative(self, "gain")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each latent."""
        generator = torch.Generator().manual_seed(seed)
        ws = _styles(model, self.rows, seed, 1.0)
        drawn = [model.paint(ws, model._noise(self.rows, generator)) for _ in range(max(8, self.draws))]
        spread = self.gain * torch.stack(drawn).std(0)
        made = [*drawn[: self.draws], model.paint(ws), spread]
        names = [*(f"noise {number + 1}" for number in range(self.draws)), "no noise", f"spread x {self.gain:g}"]
        return Picture(torch.stack(made, 1), columns=names)


def _styles(model: Any, n: int, seed: int, truncation: float) -> Tensor:
    z = model._latents(n, torch.Generator().manual_seed(seed))
    return model.styles(z, model._in_turn(n, None, z.device), truncation)


def _check(view: object, *names: str) -> None:
    for name in names:
        if getattr(view, name) < 1:
            raise ValueError(f"{name}={getattr(view, name)}: give 1 or more")


def _check_dial(view: object, name: str) -> None:
    if not 0 <= getattr(view, name) <= 10:
        raise ValueError(f"{name}={getattr(view, name)}: give 0 (the mean image) to 10; 1 leaves styles as they are")
