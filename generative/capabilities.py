"""What a generative model can do, one narrow Protocol each, and how one asks before relying on it.

A model has a capability, or it refuses with a reason. A method of that name is the capability, unless the
model's `refusals` (a mapping from capability to reason; of the class for what it never does, of the object for what
it does not do yet) says otherwise. `require` turns a refusal into an error that also names models which have
what is asked for. Conditions such as labels follow the arguments named here.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from generative.core.component import CodeSpec
from generative.core.options import ComponentError, did_you_mean
from generative.core.registry import Registry
from generative.models import MODELS


@runtime_checkable
class Encodes(Protocol):
    """Turns data into latents."""

    def encode(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (B Z) of the latents of data (B ...)."""


@runtime_checkable
class Decodes(Protocol):
    """Turns latents into data."""

    def decode(self, z: Tensor) -> Tensor:
        """Return the data (B ...) that latents (B Z) stand for."""


@runtime_checkable
class Reconstructs(Protocol):
    """Shows what it keeps of data."""

    def reconstruct(self, obs: Tensor) -> Tensor:
        """Return data of the same shape, as it comes back."""


@runtime_checkable
class Samples(Protocol):
    """Draws new data."""

    Sampling: ClassVar[type]
    """Its dials: a frozen dataclass with a default and a text for each field; see `generative.sampling.dials`."""

    def sample(self, n: int, sampling: Any, generator: torch.Generator) -> Tensor:
        """Return n draws (n ...) under an instance of `Sampling`; a function of the generator."""


@runtime_checkable
class Scores(Protocol):
    """Is a distribution that can be evaluated."""

    def log_prob(self, obs: Tensor) -> Tensor:
        """Return the log-density or log-probability (B) in nats."""


@runtime_checkable
class Classifies(Protocol):
    """Tells what data show."""

    def classify(self, obs: Tensor) -> Tensor:
        """Return a score (logit) for each class (B K)."""


@runtime_checkable
class Interpolates(Protocol):
    """Goes from one datum to another."""

    def interpolate(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """Return the way (B S ...), both ends included."""


@runtime_checkable
class Translates(Protocol):
    """Turns data of one domain into another."""

    def translate(self, obs: Tensor, direction: str) -> Tensor:
        """Return data of the other domain (B ...)."""


@runtime_checkable
class Restyles(Protocol):
    """Paints data anew in one style."""

    def restyle(self, obs: Tensor) -> Tensor:
        """Return data (B ...) of the same shape, in the style."""


@runtime_checkable
class Generates(Protocol):
    """Goes on with a sequence."""

    Sampling: ClassVar[type]
    """Its dials, as of `Samples`."""

    def generate(self, prompt: Tensor, steps: int, sampling: Any, generator: torch.Generator) -> Tensor:
        """Return `steps` more elements (B steps ...) of sequences (B T ...)."""


@runtime_checkable
class Streams(Protocol):
    """Writes one token after the other."""

    Sampling: ClassVar[type]
    """Its dials, as of `Samples`."""

    def stream(
        self, prompt: Tensor, sampling: Any, generator: torch.Generator, stop: Collection[int] = ()
    ) -> Iterator[int]:
        """Yield the tokens that follow on a prompt (T), each as soon as it is drawn, up to the first of `stop`."""


@runtime_checkable
class Quantises(Protocol):
    """Puts data on positions that have one of a few codes each."""

    @property
    def code_spec(self) -> CodeSpec:
        """How many codes there are, and where."""

    def codes(self, obs: Tensor) -> Tensor:
        """Return the number of the code at every position (B ...) of data."""

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Return the data (B ...) that codes stand for."""


@runtime_checkable
class HasLevels(Protocol):
    """Has a `log_prob` that is the probability of images whose pixels are rounded to a few levels, from 0 to 1."""

    @property
    def levels(self) -> int:
        """Values that a pixel can have, equally far apart."""


@runtime_checkable
class Answers(Protocol):
    """Turns one sequence of tokens into another."""

    Sampling: ClassVar[type]
    """Its dials, as of `Samples`."""

    def answer(self, *given: Any, sampling: Any, generator: torch.Generator) -> Tensor:
        """Return tokens (B S) for what is given: a batch's fields but for the target and its mask."""


@runtime_checkable
class Fills(Protocol):
    """Says what hidden tokens may be."""

    def fill(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Return the scores of every token (B T K) of texts (B T), without a look at those that are hidden (B T)."""


CAPABILITIES: dict[str, type] = {
    "encode": Encodes,
    "decode": Decodes,
    "reconstruct": Reconstructs,
    "sample": Samples,
    "log_prob": Scores,
    "classify": Classifies,
    "interpolate": Interpolates,
    "translate": Translates,
    "restyle": Restyles,
    "generate": Generates,
    "stream": Streams,
    "codes": Quantises,
    "answer": Answers,
    "fill": Fills,
}
"""The capabilities by the name of their method."""


def refusal(model: nn.Module | type[nn.Module], name: str) -> str | None:
    """Return why a model, or every model of a class, does not have a capability; None where it has.

    Raises:
        ComponentError: there is no capability of this name.
    """
    if name not in CAPABILITIES:
        raise ComponentError(f"{name!r}: no such capability;{did_you_mean(name, CAPABILITIES)}")
    reasons: Any = getattr(model, "refusals", {})
    if isinstance(reasons, Mapping) and name in reasons:  # a class's may be a property, which only objects answer
        return str(reasons[name])
    return None if callable(getattr(model, name, None)) else "this kind of model does not do that"


def offers(model: nn.Module, name: str) -> bool:
    """Return whether a model has a capability now."""
    return refusal(model, name) is None


def dials(model: nn.Module | type[nn.Module]) -> type:
    """Return the dataclass of a model's dials for sampling; raise ComponentError where it has none."""
    kind = getattr(model, "Sampling", None)
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        name = getattr(model, "type_name", type(model).__name__)
        raise ComponentError(f"{name}: it draws, but has no dataclass `Sampling`; see `generative.sampling.dials`")
    return kind


def draw(model: nn.Module, n: int, generator: torch.Generator, *condition: Tensor) -> Tensor:
    """Return n draws (n ...) of a model with its dials as they are by default."""
    samples: Tensor = cast(Any, model).sample(n, dials(model)(), generator, *condition)
    return samples


def having(name: str, registry: Registry = MODELS) -> list[str]:
    """Return the models of a registry that have a capability, some of them only after a preparation."""
    return [each for each in registry.names() if refusal(registry.component_class(each), name) is None]


def require(model: nn.Module, name: str, registry: Registry = MODELS) -> None:
    """Raise a ComponentError where a model lacks a capability: why, and which models of the registry have it."""
    reason = refusal(model, name)
    if reason is not None:
        kind = getattr(model, "type_name", type(model).__name__)
        others = [each for each in having(name, registry) if each != kind]
        raise ComponentError(f"{kind} cannot `{name}`: {reason} (models that can: {', '.join(others) or 'none'})")
