"""An environment seen through a translator: its frames become those of a world that the agent knows.

The agent stays as it is. What translates is a generative model of two domains, such as a CycleGAN, a map of colours, or
a network that paints in a style: then the world becomes one that the agent does not know.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from jaxtyping import Float, UInt8
from torch import Tensor

from generative import MODELS, component_bytes, component_from_bytes, offers, to_float, to_uint8
from generative.core.facts import FactsView
from worldmodels.errors import RunError

Translate = Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B C H W"]]
"""Images in [0, 1] to images of the other domain."""


@dataclass(frozen=True)
class Translator:
    """What translates frames, in a form that travels to other processes."""

    colours: Translate | None = None
    """A map of colours; None where a model translates."""
    model: FactsView | None = None
    """`component_bytes` of the model, which translates from its second domain to its first, or paints in a style."""

    @classmethod
    def of(cls, module: torch.nn.Module) -> "Translator":
        """Return what a trained model translates with.

        Raises:
            RunError: it does not translate.
        """
        if not (offers(module, "translate") or offers(module, "restyle")):
            raise RunError(
                f"evaluate.translator: a {type(module).__name__} does not translate; name the run of a cycle-gan or of "
                "a style-transfer"
            )
        return cls(model=component_bytes(module))

    def load(self) -> Translate:
        """Return the function."""
        if self.model is None:
            assert self.colours is not None
            return self.colours
        module: Any = component_from_bytes(self.model, MODELS).eval()
        if offers(module, "restyle"):
            return cast(Translate, module.restyle)
        return lambda images: module.translate(images, "backward")


class Translated(gym.ObservationWrapper, RecordConstructorArgs):
    """Frames uint8 (H W C) of an environment, translated one by one."""

    def __init__(self, env: gym.Env, translate: Translate) -> None:
        RecordConstructorArgs.__init__(self, translate=translate)
        gym.Wrapper.__init__(self, env)
        self._translate = translate
        shape = env.observation_space.shape or ()
        try:
            self.observation(np.zeros(shape, np.uint8))
        except ValueError as error:
            raise RunError(f"evaluate.translator: does not take frames of {shape}: {error}") from error

    @torch.no_grad()
    def observation(self, observation: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "H W C"]:
        """Return the frame as the agent knows such frames."""
        made = self._translate(to_float(torch.from_numpy(observation)[None]))
        return to_uint8(made.clamp(0, 1))[0].numpy()
