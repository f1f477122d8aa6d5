"""Agents of other libraries: a function of the user's builds one, named `module:function`.

What it returns has `predict(observation, state, episode_start, deterministic)` as the models and policies of
Stable-Baselines3 have it: from frames, uint8 (N H W C), to actions as the environment takes them, and to a state that
comes back with the next frames. Its weights are its own affair: this module reads no file.
"""

import hashlib
from typing import Any, Protocol, runtime_checkable

import numpy as np

from agents import ActionSpec
from envs.ids import import_package
from worldmodels.agent.build import EnvShape
from worldmodels.errors import RunError

PROBED = 4
"""Frames of noise that tell one agent from another."""


@runtime_checkable
class Predicts(Protocol):
    """What acts on frames."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """Return actions (N ...) for frames (N H W C), and the state for the next ones."""
        ...


def build_predictor(name: str) -> Predicts:
    """Return what the function of this name builds.

    Raises:
        RunError: there is no such module or function, it fails, or what it returns has no `predict`.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(import_package(module), function)()
    except Exception as error:  # whatever the user's code raises
        raise RunError(f"{name}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Predicts):
        raise RunError(f"{name}: returns a {type(found).__name__} without `predict`; see docs/ecosystem.md")
    return found


class PredictorPolicy:
    """Such an agent at the wheel of W slots."""

    def __init__(self, predictor: Predicts, spec: ActionSpec, width: int):
        """Hold the agent.

        Args:
            predictor: acts on all slots at once.
            spec: of the environment's actions.
            width: slots.
        """
        self._predictor, self._spec, self._state = predictor, spec, None
        self._starts = np.ones(width, dtype=bool)

    def begin(self, slot: int, seed: int) -> None:
        """Start an episode in one slot; the agent draws nothing."""
        self._starts[slot] = True

    def act(self, obs: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return actions float32 (W A)."""
        actions, self._state = self._predictor.predict(
            obs, state=self._state, episode_start=self._starts.copy(), deterministic=True
        )
        self._starts[:] = False
        return self._spec.from_env(np.asarray(actions))


class ForeignDriver:
    """Such an agent in one environment, with `reset` and `act` as `Agent` has them."""

    def __init__(self, predictor: Predicts, spec: ActionSpec):
        self._policy, self._spec = PredictorPolicy(predictor, spec, 1), spec

    def reset(self, seed: int = 0) -> None:
        """Begin an episode."""
        self._policy.begin(0, seed)

    def act(self, obs: np.ndarray) -> Any:
        """Return the action for a frame, as the environment's `step` takes it."""
        return self._spec.to_env(self._policy.act(obs[None], np.ones(1, dtype=bool)))[0]


def fingerprint(name: str, shape: EnvShape) -> str:
    """Return what tells this agent from another of the same name: a hash of what it does on frames of noise.

    Raises:
        RunError: it cannot be built, or does not act on frames of this shape with actions of this environment.
    """
    driver, rng, digest = ForeignDriver(build_predictor(name), shape.spec), np.random.default_rng(0), hashlib.sha256()
    try:
        for _ in range(PROBED):
            frame = rng.integers(0, 256, shape.spaces[0].shape, dtype=np.uint8)
            digest.update(np.asarray(driver.act(frame)).tobytes())
    except Exception as error:  # whatever the user's code raises
        raise RunError(
            f"{name}: does not act on frames {shape.spaces[0].shape} with actions {shape.spaces[1]}: "
            f"{type(error).__name__}: {error}"
        ) from error
    return digest.hexdigest()[:16]
