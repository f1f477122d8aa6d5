"""A view of MuseGAN: pieces beside the same with one of chords, style, melody and groove from another piece."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.views import Picture, Source


@dataclass(frozen=True)
class Exchange:
    """Pieces as they are, and with chords, style, a melody or a groove from another piece."""

    makes: ClassVar = Picture
    pieces: int = 3
    """Pieces, each in a row of its own."""
    voice: int = 0
    """Whose melody and groove are exchanged; the first one is 0."""

    def __post_init__(self) -> None:
        if self.pieces < 1 or self.voice < 0:
            name = "pieces" if self.pieces < 1 else "voice"
            raise ValueError(f"{name}={getattr(self, name)}: give {int(self.pieces < 1)} or more")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each piece: as it is, then under each exchange."""
        if self.voice >= model.config.voices:
            raise ValueError(f"voice={self.voice}: this model has voices 0 to {model.config.voices - 1}")
        z, *_ = source.codes(2 * self.pieces, seed)
        first, other = z[: len(z) // 2], z[len(z) // 2 : len(z) // 2 * 2]
        parts = ("chords", "style", "melody", "groove")
        shown = [
            model.decode(first),
            *(model.decode(model.exchanged(first, other, each, self.voice)) for each in parts),
        ]
        images = torch.stack([torch.stack([_image(roll, model.config) for roll in rolls]) for rolls in shown], 1)
        return Picture(images, columns=("as it is", *parts))


def _image(roll: Int[Tensor, "T V"], config: Any) -> Float[Tensor, "3 H W"]:
    """Return a roll as an image: time from left to right, high notes above, a colour for each voice."""
    colours = np.array([(196, 52, 48), (44, 108, 176), (38, 140, 84), (196, 134, 22), (120, 72, 160)]) / 255
    found = np.ones((config.pitches, len(roll), 3), np.float32)
    sounding = np.zeros(roll.shape[1], np.int64)
    for step, row in enumerate(roll.cpu().numpy()):
        sounding = np.where((row == 1) & config.holds, sounding, row)
        for voice in np.flatnonzero(sounding > 0):
            found[config.pitches - sounding[voice] + int(config.holds), step] = colours[voice % len(colours)]
    return torch.from_numpy(found).permute(2, 0, 1).repeat_interleave(3, 1).repeat_interleave(4, 2)
