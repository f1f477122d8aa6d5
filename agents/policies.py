"""Policies that need no training: they collect the first rollouts and bound what a trained agent must beat.

A policy serves W slots of a vector env. Every slot draws from a generator of its own, seeded by `begin`, and
only while it is active: an episode is the same alone, in any slot, and beside any number of others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite, sqrt
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from agents.actions import ActionSpec
from agents.interfaces import Policy
from agents.lookup import choose

CENTRE_SPREAD = 0.5
"""Standard deviation of the centres of Ornstein-Uhlenbeck processes, in the units of a controller's outputs."""


@dataclass(frozen=True)
class PolicyConfig:
    """Which policy, and its few figures."""

    type: Literal["uniform", "action-hold", "brownian", "ornstein-uhlenbeck", "constant"] = "brownian"
    """uniform: fresh every step; action-hold: kept for some steps; brownian: random walk; ornstein-uhlenbeck: what a
    controller would do whose outputs are Ornstein-Uhlenbeck processes; constant."""
    hold: tuple[int, int] = (5, 20)
    """Fewest and most steps for which action-hold keeps an action."""
    dt: float = 1 / 50
    """Time of one brownian step: its standard deviation is sqrt(dt), in the units of the action."""
    correlation_time: float = 8.0
    """Steps over which the outputs of ornstein-uhlenbeck lose all but 1/e of what they were."""
    bias: tuple[float, ...] = ()
    """Added to the outputs of ornstein-uhlenbeck before they are squashed, one for each action; empty adds nothing."""
    action: tuple[float, ...] = ()
    """What constant does; empty for what a controller of zero weights does."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to every action, as a part of each dimension's range."""

    def __post_init__(self) -> None:
        choose(POLICIES, self.type, "policy.type")
        if not 1 <= self.hold[0] <= self.hold[1]:
            raise ValueError(f"hold={self.hold}: must be 1 <= fewest <= most steps")
        if not (isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt={self.dt}: must be positive and finite; ctallec's world-models takes 1/50")
        if not (isfinite(self.correlation_time) and self.correlation_time > 0):
            raise ValueError(f"correlation_time={self.correlation_time}: must be a positive, finite number of steps")
        if not all(map(isfinite, self.bias)):
            raise ValueError(f"bias={self.bias}: give finite numbers")
        if not (isfinite(self.noise) and self.noise >= 0):
            raise ValueError(f"noise={self.noise}: must be finite and at least 0 (none)")


class SlotPolicy:
    """What the policies share: a generator per slot. A policy adds `_start` and `_next` for one slot."""

    def __init__(self, config: PolicyConfig, spec: ActionSpec, width: int) -> None:
        if width < 1:
            raise ValueError(f"width={width}: a policy needs at least one slot")
        self.config = config
        self.spec = spec
        self._rngs: list[np.random.Generator | None] = [None] * width

    def begin(self, slot: int, seed: int) -> None:
        """Start an episode in one slot: what it does follows from the seed alone."""
        if not 0 <= slot < len(self._rngs):
            raise ValueError(f"slot={slot}: this policy serves slots 0 to {len(self._rngs) - 1}")
        self._rngs[slot] = rng = np.random.default_rng(seed)
        self._start(slot, rng)

    def act(
        self, obs: UInt8[np.ndarray, "W height width channels"], active: Bool[np.ndarray, " W"]
    ) -> Float32[np.ndarray, "W A"]:
        """Actions of the active slots; the others idle and draw nothing.

        Raises:
            ValueError: `active` has another width.
            RuntimeError: an active slot never began.
        """
        if active.shape != (len(self._rngs),):
            raise ValueError(f"active has shape {active.shape}, this policy serves {len(self._rngs)} slots")
        actions = np.tile(self.spec.idle(), (len(active), 1))
        for slot in np.flatnonzero(active):
            rng = self._rngs[slot]
            if rng is None:
                raise RuntimeError(f"slot {slot} is active but never began; call begin({slot}, seed) first")
            actions[slot] = self._next(int(slot), rng)
        return actions

    def _start(self, slot: int, rng: np.random.Generator) -> None:
        pass

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


class Uniform(SlotPolicy):
    """A fresh uniform action every step: number for number `space.seed(seed)` and then `space.sample()`."""

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        return _sample(self.spec, rng)


class ActionHold(SlotPolicy):
    """A uniform action kept for a random number of steps, so that the car gets somewhere, then elsewhere."""

    def __init__(self, config: PolicyConfig, spec: ActionSpec, width: int) -> None:
        super().__init__(config, spec, width)
        self._left = [0] * width
        self._held = np.zeros((width, spec.size), np.float32)

    def _start(self, slot: int, rng: np.random.Generator) -> None:
        self._left[slot] = 0

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        if self._left[slot] == 0:
            fewest, most = self.config.hold
            self._left[slot] = int(rng.integers(fewest, most + 1))
            self._held[slot] = _sample(self.spec, rng)
        self._left[slot] -= 1
        return self._held[slot]


class Brownian(SlotPolicy):
    """A random walk a += sqrt(dt) N(0, 1), clipped to the bounds, as in ctallec/world-models.

    Like there it starts from a uniform action, so that episodes differ from their first step. Over a discrete
    space a point walks in the same way on [0, 1], cut into as many equal parts as there are choices: the next
    choice is mostly the same or a neighbour in their order.
    """

    def __init__(self, config: PolicyConfig, spec: ActionSpec, width: int) -> None:
        super().__init__(config, spec, width)
        self._low = np.zeros(1) if spec.discrete else np.array(spec.low)
        self._high = np.ones(1) if spec.discrete else np.array(spec.high)
        self._position = np.zeros((width, len(self._low)))
        self._fresh = [True] * width

    def _start(self, slot: int, rng: np.random.Generator) -> None:
        self._position[slot] = rng.uniform(self._low, self._high)
        self._fresh[slot] = True

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        if not self._fresh[slot]:
            step = sqrt(self.config.dt) * rng.standard_normal(self._position[slot].shape)
            self._position[slot] = np.clip(self._position[slot] + step, self._low, self._high)
        self._fresh[slot] = False
        if not self.spec.discrete:
            return self._position[slot]
        choice = min(int(self._position[slot, 0] * self.spec.size), self.spec.size - 1)
        return np.eye(self.spec.size, dtype=np.float32)[choice]


class OrnsteinUhlenbeck(SlotPolicy):
    """Outputs that vary about an episode's own centre, squashed to actions as a controller's are.

    Each output is an Ornstein-Uhlenbeck process around a centre of its own, wild or tame by an amplitude between 0
    and 1 that is drawn for the episode too. So some episodes hardly steer and follow the road to its first bend, and
    what is squashed by "relu-tanh", CarRacing's brake, rests at zero half of the time: uniform actions brake at every
    step and never let the car get up to speed.
    """

    def __init__(self, config: PolicyConfig, spec: ActionSpec, width: int) -> None:
        super().__init__(config, spec, width)
        if config.bias and len(config.bias) != spec.size:
            raise ValueError(f"bias={config.bias}: give {spec.size} numbers, one for each action")
        self._bias = np.array(config.bias or (0.0,) * spec.size)
        self._keep = exp(-1 / config.correlation_time)
        self._amplitude = np.zeros((width, spec.size), np.float32)
        self._centre = np.zeros((width, spec.size), np.float32)
        self._position = np.zeros((width, spec.size), np.float32)

    def _start(self, slot: int, rng: np.random.Generator) -> None:
        self._amplitude[slot] = rng.uniform(0, 1, self.spec.size)
        self._centre[slot] = CENTRE_SPREAD * rng.standard_normal(self.spec.size)
        self._position[slot] = rng.standard_normal(self.spec.size)

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        moved = sqrt(1 - self._keep**2) * rng.standard_normal(self.spec.size)
        self._position[slot] = self._keep * self._position[slot] + moved
        raw = self._bias + self._amplitude[slot] * (self._centre[slot] + self._position[slot])
        return self.spec.squash_action(torch.from_numpy(raw[None].astype(np.float32)))[0].numpy()


class Constant(SlotPolicy):
    """One action for ever, by default that of a controller whose weights are all zero."""

    def __init__(self, config: PolicyConfig, spec: ActionSpec, width: int) -> None:
        super().__init__(config, spec, width)
        self._action = np.array(config.action or spec.idle(), np.float32)
        if self._action.shape != (spec.size,):
            raise ValueError(f"action={config.action}: needs {spec.size} numbers")
        if not np.array_equal(spec.clip(self._action), self._action):
            valid = "a one-hot vector" if spec.discrete else f"within low={spec.low}, high={spec.high}"
            raise ValueError(f"action={config.action}: must be {valid}")

    def _next(self, slot: int, rng: np.random.Generator) -> np.ndarray:
        return self._action


class WithNoise:
    """Any policy with Gaussian exploration noise on its actions, clipped to valid ones.

    The noise loses all but 1/e of itself over `correlation_time` steps; with 0 it is drawn anew at every step.

    The standard deviation is `scale` times each dimension's range (high - low). A discrete action is the
    largest entry after noise on its one-hot vector: of two choices, scale 0.5 changes 8 %.
    """

    def __init__(self, policy: Policy, spec: ActionSpec, scale: float, correlation_time: float = 0.0) -> None:
        if not (isfinite(scale) and scale >= 0):
            raise ValueError(f"scale={scale}: must be finite and not negative")
        self._policy = policy
        self._spec = spec
        self._scale = scale * (np.array(spec.high) - np.array(spec.low))
        self._rngs: dict[int, np.random.Generator] = {}
        self._keep = exp(-1 / correlation_time) if correlation_time > 0 else 0.0
        self._deviation: dict[int, np.ndarray] = {}

    def begin(self, slot: int, seed: int) -> None:
        """Start an episode in one slot; the noise has its own stream, derived from the seed."""
        self._policy.begin(slot, seed)
        self._rngs[slot] = np.random.default_rng([seed, 1])
        if self._keep:
            self._deviation[slot] = self._rngs[slot].standard_normal(self._spec.size)

    def act(
        self, obs: UInt8[np.ndarray, "W height width channels"], active: Bool[np.ndarray, " W"]
    ) -> Float32[np.ndarray, "W A"]:
        """The policy's actions, noisy in active slots."""
        actions = self._policy.act(obs, active).copy()
        for slot in np.flatnonzero(active):
            noise = self._rngs[int(slot)].standard_normal(self._spec.size)
            if self._keep:
                noise = self._keep * self._deviation[int(slot)] + sqrt(1 - self._keep**2) * noise
                self._deviation[int(slot)] = noise
            actions[slot] = self._spec.clip(actions[slot] + self._scale * noise)
        return actions


POLICIES: dict[str, Callable[[PolicyConfig, ActionSpec, int], Policy]] = {
    "uniform": Uniform,
    "action-hold": ActionHold,
    "brownian": Brownian,
    "ornstein-uhlenbeck": OrnsteinUhlenbeck,
    "constant": Constant,
}


def make_policy(config: PolicyConfig | str, spec: ActionSpec, width: int) -> Policy:
    """Build the policy that the config, or just a name, asks for; within `WithNoise` if it wants noise."""
    if isinstance(config, str):
        config = PolicyConfig(type=config)  # type: ignore[arg-type]  # checked by the config
    policy = choose(POLICIES, config.type, "policy.type")(config, spec, width)
    return WithNoise(policy, spec, config.noise) if config.noise else policy


def _sample(spec: ActionSpec, rng: np.random.Generator) -> np.ndarray:
    if spec.discrete:
        return np.eye(spec.size, dtype=np.float32)[rng.integers(spec.size)]
    return rng.uniform(spec.low, spec.high).astype(np.float32)
