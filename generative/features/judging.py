"""How a judge of a data set learns, and where it is kept.

A judge goes by what it learned from: the key of its folder is a hash of images and answers from all over its data, and
of how it was trained. So data that are drawn otherwise, or another program, never find a judge that does not know them.
The ones of bundled data are shipped (`judges/`), others lie in the user's cache.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from generative.core.cache import cache_folder
from generative.core.facts import Facts
from generative.core.options import ComponentError, did_you_mean
from generative.core.storage import load_component, load_metadata, save_component
from generative.data import Data
from generative.features.judge import JUDGES, Judge, JudgeConfig, accuracies
from generative.features.questions import CLASSES, QUARTERS, Questions, questions_of
from generative.hardware.device import seeded
from generative.training.fit import fit
from generative.training.fit_config import FitConfig

FOLDER = Path(__file__).parent / "judges"
"""Judges that are shipped."""
VERSION = 2
"""Of the way judges learn and see; one that learned otherwise is not found any more."""
PROBES = 64
"""Images that tell one data set from another."""
LOOKED_AT = 4000
"""Items that factors are cut by, and features settled on, at most."""
TESTED = 1000
"""Held-out items that say how often a judge is right."""


@dataclass(frozen=True)
class Learning:
    """How a judge learns."""

    steps: int = 2000
    """Optimiser steps."""
    batch: int = 64
    """Images of a step; half of them are spoiled."""
    learning_rate: float = 0.005
    """At the beginning; it falls to 0."""
    seed: int = 0
    """Of weights, order and spoiling."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 4)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")


@dataclass(frozen=True)
class Lessons:
    """What a judge learns from: some items of the training part of a data set, and what can be asked of them."""

    data: Data
    """Images, and what is known of them."""
    items: Int64[np.ndarray, " N"]
    """Positions in it."""
    questions: Questions

    @classmethod
    def of(cls, data: Data, items: Int64[np.ndarray, " N"] | None = None) -> "Lessons":
        """Return the lessons of some items, all by default; raise ComponentError for data that are no images."""
        if data.item.kind != "image":
            raise ComponentError(f"{data.name}: has {data.main}s; a judge looks at images")
        items = np.arange(len(data)) if items is None else items
        names = data.names("factors")
        values = data.get("factors", items[:LOOKED_AT]).T if names else ()
        factors = dict(zip(names, values, strict=True))
        return cls(data, items, questions_of(data.names("label"), data.names("attributes"), factors))

    def images(self, positions: Int64[np.ndarray, " N"]) -> Tensor:
        """Return images in [0, 1]."""
        return self.data.tensor(self.data.main, positions)

    def answers(self, positions: Int64[np.ndarray, " N"]) -> Int64[Tensor, "N Q"]:
        """Return the true answers."""
        return true_answers(self.questions, self.data, positions)

    def config(self) -> JudgeConfig:
        """Return the sizes of a judge of these images."""
        height, width, channels = self.data.item.shape
        return JudgeConfig(height, width, channels, dict(self.questions.answers))

    def key(self, learning: Learning) -> str:
        """Return what tells a judge that learned so from others, 16 hexadecimal digits."""
        where = self.items[np.linspace(0, len(self.items) - 1, min(PROBES, len(self.items))).astype(np.int64)]
        facts = {"config": asdict(self.config()), "learning": asdict(learning), "items": len(self.items)}
        facts["version"] = VERSION
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.data.get(self.data.main, where)).tobytes())
        digest.update(self.answers(where).numpy().tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class KeptJudge:
    """A judge from its folder."""

    judge: Judge
    questions: Questions
    """What it is asked."""
    right: Facts
    """Share of held-out images that it answers rightly, by question."""
    key: str
    """Name of its folder."""

    def truth(self, data: Data, positions: Int64[np.ndarray, " N"]) -> Int64[Tensor, "N Q"]:
        """Return the true answers of some items of the data that it knows."""
        return true_answers(self.questions, data, positions)

    def sees(self, name: str, images: Float[Tensor, "N C H W"]) -> Int64[Tensor, " N"]:
        """Return the answers to a question; of a factor that is asked by quarters, whether it lies in the upper half.

        Raises:
            ComponentError: it is not asked that.
        """
        if name not in self.questions.answers:
            raise ComponentError(f"{name!r}: no such question;{did_you_mean(name, self.questions.answers)}")
        said = self.judge.says(images)[name]
        if len(self.questions.borders.get(name, ())) == QUARTERS - 1:
            return (said[:, QUARTERS // 2 :].sum(1) > 0.5).long()
        return said.argmax(1)


def true_answers(questions: Questions, data: Data, positions: Int64[np.ndarray, " N"]) -> Int64[Tensor, "N Q"]:
    """Return what is known of some items, as numbers of answers."""
    labels = data.get("label", positions) if CLASSES in questions.answers else None
    known = []
    for field in ("attributes", "factors"):
        names = data.names(field)
        known.append(dict(zip(names, data.get(field, positions).T, strict=True)) if names else {})
    return torch.from_numpy(questions.table(labels, known[0], known[1], len(positions)))


def kept_judge(lessons: Lessons, learning: Learning) -> KeptJudge | None:
    """Return the judge that learned these lessons, shipped or from the user's cache; None where there is none yet."""
    key = lessons.key(learning)
    for folder in (FOLDER / key, cache_folder() / "judges" / key):
        if (folder / "config.json").is_file():
            judge = load_component(folder, JUDGES)
            assert isinstance(judge, Judge)
            return KeptJudge(judge, lessons.questions, load_metadata(folder)["right"], key)
    return None


def learn(lessons: Lessons, learning: Learning, *, device: str = "cpu", folder: Path | None = None) -> Iterator[Facts]:
    """Train a judge, keep it, and yield the rows of its training.

    Args:
        lessons: what it learns from.
        learning: how.
        device: where.
        folder: in which folder it gets one under its key; the user's cache by default.
    """
    with seeded(learning.seed, torch.device("cpu")):
        judge = Judge(lessons.config())

    def batches(step: int) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            rows = np.random.default_rng([learning.seed, step]).integers(len(lessons.items), size=learning.batch)
            yield lessons.images(lessons.items[rows]), lessons.answers(lessons.items[rows])
            step += 1

    settings = FitConfig(steps=learning.steps, learning_rate=learning.learning_rate, schedule="cosine")
    yield from fit(judge, batches, settings, seed=learning.seed, device=device, log_every=max(1, learning.steps // 20))
    judge.cpu().eval()
    judge.settle(lessons.images(lessons.items[:LOOKED_AT]))
    held = lessons.data.held_out()
    where = np.arange(min(len(held), TESTED))
    right = accuracies(judge, held.tensor(held.main, where), true_answers(lessons.questions, held, where))
    key = lessons.key(learning)
    facts = {"of": lessons.data.name, "items": len(lessons.items), "learning": asdict(learning), "right": right}
    save_component(judge, (folder or cache_folder() / "judges") / key, facts)
