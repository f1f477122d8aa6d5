"""A drive in the dream: `DreamEnv` with its dials, and what the memory expected before the noise."""

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from generative import to_uint8
from generative.core.facts import Facts
from worldmodels.dream.dials import Dials
from worldmodels.play.chauffeur import Chauffeur
from worldmodels.play.parts import RunParts

ENDS = {"termination": "terminated", "no reward": "no reward", "horizon": "time is up"}
"""What is said of the end of a dream."""


class DreamSide:
    """One dream after another."""

    steps: int
    gained: float
    facts: Facts
    expected: np.ndarray | None

    def __init__(self, parts: RunParts) -> None:
        self.env = parts.new_dream()
        self.parts, self.over = parts, ""
        self.chauffeur = None if parts.agent is None else Chauffeur(parts.agent)

    def adopt(self, parts: RunParts) -> None:
        """Dream on with other parts: they see the drive so far, then go on from here.

        Raises:
            RunError: the dials ask for residual noise, and the other memory's run has recorded no residuals.
        """
        env = parts.new_dream()
        env.turn(self.env.dials)
        steps, gained, facts, over = self.steps, self.gained, self.facts, self.over
        z, action = np.stack(self._z), np.array(self._actions, dtype=np.float32)
        self.env, self.parts = env, parts
        self.chauffeur = None if parts.agent is None else Chauffeur(parts.agent)
        self.begin(self._seed, {"start": "given", "z": z, "action": action.reshape(-1, parts.shape.spec.size)})
        self.steps, self.gained, self.facts, self.over = steps, gained, facts, over

    def begin(self, seed: int, options: Facts) -> None:
        """Begin the dream of a seed; options as of `DreamEnv.reset`."""
        z, info = self.env.reset(seed=seed, options=options)
        self._seed, self.start = seed, info["start"]
        self.steps, self.gained, self.over = 0, 0.0, ""
        self.facts, self.expected = {}, None
        path, action = self.env.warmup
        self._z: list[np.ndarray] = [*path[:-1], z]
        self._actions: list[np.ndarray] = list(action)
        if self.chauffeur is not None:
            self.chauffeur.begin(seed)
            for seen, done in zip(path, action, strict=False):
                self.chauffeur.dream(seen)
                self.chauffeur.taken(done)
            self.chauffeur.dream(z)

    def turn(self, dials: Dials) -> None:
        """Turn the dials; what is held is so at once. The agent sees it from the next step on."""
        self.env.turn(dials)
        self._z[-1] = self.env.z

    def step(self, action: Float32[np.ndarray, " A"]) -> None:
        """Dream a step."""
        taken = self.parts.shape.spec.to_env(action[None])[0]
        self.expected = self.env.expect(taken)
        z, reward, _, _, info = self.env.step(taken)
        self.steps, self.gained, self.over = self.steps + 1, self.gained + reward, ENDS.get(info.get("end", ""), "")
        self.facts = {"reward": reward, "end_probability": info["termination_probability"]}
        self._z.append(z)
        self._actions.append(action)
        if self.chauffeur is not None:
            self.chauffeur.taken(action)
            self.chauffeur.dream(z)

    @torch.inference_mode()
    def frames(self, expectation: bool) -> dict[str, UInt8[np.ndarray, "H W C"]]:
        """Return what is dreamt, and what the memory had expected before the noise."""
        frames = {"dream": self.env.render()}
        if expectation and self.expected is not None:
            z = torch.from_numpy(self.expected[None].copy())
            frames["dream_expected"] = to_uint8(self.parts.vision.decode(z))[0].numpy()
        return frames
