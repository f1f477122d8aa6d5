"""Views of a model: controls that a person can play with, each of which makes one picture or one film.

A view is a frozen dataclass of dials, each with a default and a text below it; its docstring says what is to be seen. A
model names its own in `views`, a mapping from name to class:

    class DCGAN(nn.Module):
        views: ClassVar[Views] = {"fade-in": FadeIn}

`generative show RUN VIEW` has the dials as its options, and `generative play RUN` turns them in the browser. A dial
that is a number for each of some things (`tuple[float, ...]`) has a slider for each of them where the view has a
method `sliders`. Views that need no more than a capability, such as a traversal of any latent, belong to all models
that have it: see `generative.latent.views`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Picture:
    """Images in rows and columns."""

    images: Float[Tensor, "R K C H W"]
    """In [0, 1]; what lies outside is cut off."""
    rows: Sequence[str] = ()
    """What stands left of each row, if anything."""
    columns: Sequence[str] = ()
    """What stands above each column, if anything."""


@dataclass(frozen=True)
class Film:
    """The same, in motion."""

    frames: Float[Tensor, "T R K C H W"]
    """In [0, 1]; what lies outside is cut off."""
    captions: Sequence[str] = ()
    """What stands above each frame, if anything."""
    fps: int = 12
    """Frames per second."""


@dataclass(frozen=True)
class Slider:
    """One of the numbers of a dial that has many, such as a dimension of a latent."""

    name: str
    low: float
    high: float


@runtime_checkable
class Source(Protocol):
    """What a view may ask for besides the model; nothing is read before it is asked for."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that a model is told; none where it is told none."""

    def names(self, field: str) -> Sequence[str]:
        """Return what the numbers of a field of the data stand for, such as tokens."""

    def codes(self, count: int, seed: int) -> tuple[Tensor, ...]:
        """Return at most `count` latents (N Z) to start from, and what goes beside them, such as labels (N).

        They are codes of held-out items, or draws from the prior where a model cannot encode.
        """

    def held_out(self, count: int) -> tuple[Tensor, ...]:
        """Return at most `count` held-out items: each of the model's inputs (N ...)."""

    def attributes(self) -> Mapping[str, Tensor]:
        """Return the directions (Z) of the attributes that were learned in the latent, by name."""


@runtime_checkable
class View(Protocol):
    """Dials and what they show."""

    makes: ClassVar[type[Picture] | type[Film]]
    """What `show` returns."""

    def show(self, model: Any, source: Source, seed: int) -> Picture | Film:
        """Return what is to be seen of a model in evaluation mode; the seed decides what is drawn and chosen.

        Raises:
            ValueError: a dial has a value that does not fit this model; names it.
        """


@runtime_checkable
class Slides(Protocol):
    """A view with dials of many numbers."""

    @classmethod
    def sliders(cls, model: Any, source: Source) -> Mapping[str, Sequence[Slider]]:
        """Return what the numbers of each such dial are of a model, by the dial's name."""


Views = Mapping[str, type[Any]]
"""Classes of `View`s by name; whether one is such a class, only a test can ask (PEP 544)."""
