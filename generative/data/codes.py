"""Codes of another run's images: what a prior over the codes of a quantised autoencoder is trained on.

So images are drawn in two steps (van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937, section 3.3): an
autoencoder learns few codes for an image, then a prior learns which codes go together. What the prior draws the
autoencoder, frozen, turns into images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from generative.capabilities import Quantises, require
from generative.data.draws import HELD_OUT_EVERY
from generative.data.fields import Data, Field, Reader, as_input
from generative.data.identity import compare_data
from generative.data.orders import Items
from generative.data.origin import Origin
from generative.data.registry import load_data
from generative.models import MODELS
from generative.networks.convolutions import to_uint8
from generative.runs.run_folder import Choice, TrainingRun
from generative.runs.run_reference import RunReference

BLOCK = 256
"""Images that are encoded together, always the same ones, so that their codes do not depend on who asks first."""


@dataclass(frozen=True)
class CodesConfig:
    """Codes of the images of another run, for a prior over them."""

    run: RunReference
    """A run of a model with codes, such as vq-vae; its own data are encoded."""
    count: int = 20_000
    """Images to encode at most, of those that the run was trained on; a tenth as many are held out."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count={self.count}: give 2 or more")

    def source(self) -> Choice:
        """Return the data whose images the codes stand for."""
        return TrainingRun(self.run.path).config.data

    def load(self) -> Data:
        """Return the codes, and what else is known of the images.

        Raises:
            ComponentError: the run is missing or changed, its model has no codes, or its data are others by now.
        """
        module = self.run.component(MODELS)
        require(module, "codes")
        model = cast(Quantises, module)
        run, spec = TrainingRun(self.run.path), model.code_spec
        images = load_data(run.config.data.type, run.config.data.options)
        compare_data(run, images)
        held_out = images.held_out().items[: max(1, self.count // HELD_OUT_EVERY)]
        training = images.items[: self.count]

        def decoded(codes: Int64[np.ndarray, "N ..."]) -> UInt8[np.ndarray, "N H W C"]:
            with torch.no_grad():
                parts = [model.decode_codes(part) for part in torch.from_numpy(codes).split(BLOCK)]
            return to_uint8(torch.cat(parts).clamp(0, 1)).numpy()

        beside = [name for name in images.fields if name != images.main]
        code = Field("codes", spec.shape, "int64", (), (spec.codes,))
        return Data(
            f"codes of {self.run.path}",
            {"code": code, **{name: images.fields[name] for name in beside}},
            {"code": _encoded(images, model, np.concatenate([training, held_out])),
             **{name: images.readers[name] for name in beside}},
            training,
            held_out,
            Origin(
                root=self.run.path,
                used=len(training) + len(held_out),
                found=len(images) + len(images.held_out()),
                notes=(f"{run.config.model.type} on {images.name}: {spec.codes} codes at {spec.shape} positions",),
                files={**images.origin.files, "weights": self.run.pinned().sha256},
            ),
            draw=decoded,
        )  # fmt: skip


def _encoded(images: Data, model: Quantises, items: Items) -> Reader:
    """Return what reads codes of some items; they are computed in blocks when they are asked for, and kept."""
    order = np.sort(items)
    table = np.full((len(order), *model.code_spec.shape), -1, np.int32)
    encode: Callable[[Tensor], Tensor] = model.codes

    def read(wanted: Items) -> Int64[np.ndarray, "N ..."]:
        places = np.searchsorted(order, wanted)
        for block in np.unique(places // BLOCK):
            rows = slice(block * BLOCK, (block + 1) * BLOCK)
            if table[rows].min() < 0:
                stored: Any = torch.from_numpy(images.readers[images.main](order[rows]))
                with torch.no_grad():
                    table[rows] = encode(as_input(stored, images.item)).numpy()
        return table[places].astype(np.int64)

    return read
