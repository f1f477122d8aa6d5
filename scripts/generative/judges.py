"""Classifiers that judge a model's pictures, and what is known of images in yes and no.

A judge knows nothing of the model. Of data that are drawn by a seed it learns from another seed's images, so it shares
none with the model either; of other data it learns from the same training part.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from generative import MODELS, FitConfig, fit, load_component, load_metadata, save_component
from generative.core.run_folder import Choice, TrainingRun
from generative.data import Data
from scripts.generative.data_sets import load
from scripts.generative.items import places

OTHER_SEED = 7919
"""Added to the seed of drawn data for the judges' own images."""
CLASSES = "classes"
"""Name of the judge of a data set's classes, such as the hair styles of faces."""
SIZES = {"widths": [8, 16, 16, 32], "hidden": 64}
"""A judge's network: a quarter of the book's widths, which tell a smile as well and learn within a minute."""
BATCH = 32
Middles = Mapping[str, float]
"""Where each factor is halved."""


@dataclass(frozen=True)
class Known:
    """What is known of some images in yes and no, and their classes."""

    names: tuple[str, ...]
    """Of the columns: the attributes, then the factors that are not among them."""
    table: UInt8[np.ndarray, "N A"]
    """0 and 1; of a factor, whether it is above the middle."""
    classes: Int[np.ndarray, " N"] | None
    """Class numbers."""

    def target(self, name: str) -> Int[np.ndarray, " N"]:
        """Return a column, or the classes under their name; raise ValueError where it is unknown."""
        if name == CLASSES and self.classes is not None:
            return self.classes
        if name not in self.names:
            raise ValueError(f"{name!r}: these images are not known by that; they are by {', '.join(self.names)}")
        return self.table[:, self.names.index(name)].astype(np.int64)


@dataclass(frozen=True)
class Judge:
    """An independent classifier."""

    see: Callable[[Tensor], Tensor]
    """Images to classes (B)."""
    right: float
    """Share of held-out images, as they are, whose class it says."""


def middles(data: Data) -> dict[str, float]:
    """Return where factors are halved: at the medians of the training part."""
    if not data.names("factors"):
        return {}
    middle = np.median(data.get("factors", places(data, 4000)), axis=0)
    return dict(zip(data.names("factors"), middle.tolist(), strict=True))


def look_up(data: Data, where: Int[np.ndarray, " N"], halved_at: Middles) -> Known:
    """Return what is known of images at some places; raise ValueError for data without attributes and factors."""
    names = list(data.names("attributes"))
    columns = [data.get("attributes", where)] if names else []
    extra = [name for name in data.names("factors") if name not in names]
    if extra:
        factors = data.get("factors", where)
        halves = [factors[:, data.names("factors").index(name)] > halved_at[name] for name in extra]
        columns.append(np.stack(halves, 1).astype(np.uint8))
    if not columns:
        raise ValueError(f"{data.name}: this data has neither attributes nor factors; use faces, shapes or car-racing")
    return Known(
        (*names, *extra), np.concatenate(columns, 1), data.get("label", where) if data.names("label") else None
    )


def train_judge(run: TrainingRun, data: Data, name: str, steps: int, device: str) -> Judge:
    """Return the judge of an attribute or of the classes, trained now or found in the run folder.

    Args:
        run: whose folder it is kept in.
        data: what the model was trained on.
        name: of an attribute or factor, or `classes`.
        steps: how long it learns.
        device: where.

    Raises:
        ValueError: the data do not know that name.
    """
    folder = run.path / "attribute" / "judges" / name
    if not (folder / "config.json").is_file() or load_metadata(folder)["steps"] != steps:
        _train(run, data, name, steps, device, folder)
    module = load_component(folder, MODELS)

    @torch.no_grad()
    def see(images: Tensor) -> Tensor:
        return torch.cat([module(part).argmax(1) for part in images.split(256)])

    return Judge(see, float(load_metadata(folder)["right"]))


def _train(run: TrainingRun, data: Data, name: str, steps: int, device: str, folder: Path) -> None:
    source, halved_at, seed = _own_images(run, data), middles(data), run.config.seed + 1
    classes = len(data.names("label")) if name == CLASSES else 2
    options = {**SIZES, "image_size": data.item.shape[0], "channels": data.item.shape[2], "classes": classes}
    module = MODELS.create("cnn-classifier", options, seed)

    def batch(part: Data, where: Int[np.ndarray, " N"]) -> tuple[Tensor, Tensor]:
        return part.tensor("image", where), torch.from_numpy(look_up(part, where, halved_at).target(name))

    def batches(step: int) -> Iterator[object]:
        rng = np.random.default_rng([seed, step])
        while True:
            yield batch(source, rng.integers(len(source), size=BATCH))

    settings = FitConfig(steps=steps, schedule="cosine")
    for _ in fit(module, batches, settings, seed=seed, device=device):
        pass
    images, truth = batch(data.held_out(), places(data.held_out(), 1000))
    with torch.no_grad():
        right = (module.cpu()(images).argmax(1) == truth).double().mean()
    save_component(module, folder, {"of": name, "steps": steps, "right": float(right)})


def _own_images(run: TrainingRun, data: Data) -> Data:
    options = run.config.data.options
    if "seed" not in options:
        return data
    return load(Choice(run.config.data.type, {**options, "seed": options["seed"] + OTHER_SEED}))
