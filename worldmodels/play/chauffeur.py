"""The agent beside the driver: it sees all that the driver does, so it can take the wheel at any moment."""

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from worldmodels.play.parts import EvolvedAgent


class Chauffeur:
    """An agent in one world. See what is there, ask for the `action` if wanted, then say which one was `taken`."""

    def __init__(self, agent: EvolvedAgent) -> None:
        self._perception = agent.perception()
        self._controller = agent.bundle.build_controller()
        self._parameters = torch.from_numpy(agent.parameters[None].astype(np.float32))
        self._features: Tensor | None = None

    def begin(self, seed: int) -> None:
        """Forget the past; `seed` is that of the latent noise, where latents are sampled."""
        self._perception.begin(0, seed)

    def see(self, frame: UInt8[np.ndarray, "H W C"]) -> None:
        """See a frame of the real environment."""
        self._features = self._perception.observe(frame[None])

    def dream(self, z: Float32[np.ndarray, " Z"]) -> None:
        """See a dreamt latent."""
        self._features = self._perception.features(torch.from_numpy(z[None].copy()))

    @torch.inference_mode()
    def action(self) -> Float32[np.ndarray, " A"]:
        """Return what the agent would do now."""
        assert self._features is not None, "see before acting"
        return self._controller.act(self._features, self._parameters)[0].numpy()

    def taken(self, action: Float32[np.ndarray, " A"]) -> None:
        """Take in what was done, by whomever."""
        self._perception.advance(torch.from_numpy(action[None].copy()))
