"""Collecting rollouts: who drives, and the worker that records whole episodes and hands them back compressed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from agents import ActionSpec, Policy, PolicyConfig, WithNoise, make_policy
from envs import EnvConfig, VectorEnv, make_env
from generative.core.facts import FactsView
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.config import is_function
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.agent.predictor import PredictorPolicy, build_predictor
from worldmodels.rollouts.config import CollectConfig, PolicyName
from worldmodels.rollouts.episode import encode_episode
from worldmodels.rollouts.play import Play, play


class Order(NamedTuple):
    """One episode to record."""

    number: int
    policy: PolicyName
    track: int
    seed: int
    """Of the policy's randomness."""


class Recording(NamedTuple):
    """One recorded episode."""

    number: int
    content: bytes
    """The episode's file."""
    score: float
    frames: int


@dataclass(frozen=True)
class CollectSetup:
    """What a collecting worker is built from."""

    env: EnvConfig
    collect: CollectConfig
    bundle: Bundle | None
    """For the policies that drive with networks; `random-agent` takes only its architecture."""
    parameters: np.ndarray | None
    facts: FactsView
    """Written into every episode's record."""
    width: int
    """Environments that a worker steps together."""


class CollectWorker:
    """Records episodes; a result depends on its order alone."""

    def __init__(self, setup: CollectSetup):
        self.setup = setup
        self.width = setup.width
        self.env = VectorEnv([make_env(setup.env, setup.collect.early_stop) for _ in range(self.width)])
        single = self.env.envs[0].unwrapped
        self.spec = ActionSpec.from_space(self.env.single_action_space, getattr(single, "action_squash", None))
        self._policies: dict[str, Policy] = {}

    def __call__(self, orders: list[Order]) -> list[Recording]:
        """Record the ordered episodes, all of one policy."""
        policy = self._policy(orders[0].policy)
        plays = [Play(order.track, order.seed) for order in orders]
        recordings = []
        for index, played in play(self.env, policy, self.spec, plays, record=True):
            order = orders[index]
            assert played.episode is not None
            meta = {
                "env": dict(self.setup.facts),
                "policy": order.policy,
                "policy_seed": order.seed,
                "env_frames": played.frames,
            }
            content = encode_episode(replace(played.episode, meta=meta))
            recordings.append(Recording(order.number, content, played.score, played.frames))
        return recordings

    def close(self) -> None:
        """Free the environments."""
        self.env.close()

    def _policy(self, name: PolicyName) -> Policy:
        if name not in self._policies:
            self._policies[name] = self._build(name)
        return self._policies[name]

    def _build(self, name: PolicyName) -> Policy:
        setup = self.setup
        if name == "agent" and is_function(setup.collect.agent):
            policy = PredictorPolicy(build_predictor(setup.collect.agent), self.spec, self.width)
            return WithNoise(policy, self.spec, setup.collect.noise, setup.collect.correlation_time)
        if name == "agent" or name == "perturbed-agent" or name == "random-controller":
            assert setup.bundle is not None and setup.parameters is not None
            perception = setup.bundle.perception(self.width)
            spread = 0.0 if name == "agent" else setup.collect.perturbation
            noise, correlation_time = setup.collect.noise, setup.collect.correlation_time
            controller, candidates = setup.bundle.build_controller(), setup.parameters[None]
            if name == "random-controller":
                candidates = controller.resting(setup.collect.bias or (0.0,) * self.spec.size)[None].astype(np.float32)
            return ControllerPolicy(
                perception, controller, self.spec, candidates, noise, spread=spread, correlation_time=correlation_time
            )
        if name == "random-agent":
            assert setup.bundle is not None
            bundle = setup.bundle
            return RandomAgents(lambda: RandomAgent(bundle, self.spec), self.width)
        bias = setup.collect.bias if name == "ornstein-uhlenbeck" else ()
        return make_policy(PolicyConfig(type=name, bias=bias), self.spec, self.width)


class RandomAgent:
    """The paper's collecting policy: vision, memory and controller all drawn anew for each episode.

    Every weight is standard Cauchy times s, with s uniform in [0, 0.01] (hardmaru's `extract.py`).
    """

    def __init__(self, bundle: Bundle, spec: ActionSpec):
        self.vision, self.memory = bundle.load_encoder(), bundle.load_memory()
        self.perception = bundle.perception(1, self.vision, self.memory)
        self.controller = bundle.build_controller()
        self.spec = spec
        self.parameters = torch.zeros(1, self.controller.parameters_size)

    @torch.inference_mode()
    def begin(self, seed: int) -> None:
        """Draw new weights."""
        rng = np.random.default_rng([seed, 3])
        scale = rng.uniform(0, 0.01)

        def draw(shape: tuple[int, ...]) -> torch.Tensor:
            return torch.from_numpy((scale * rng.standard_cauchy(shape)).astype(np.float32))

        parts: list[nn.Module] = [self.vision] + ([] if self.memory is None else [self.memory])
        for part in parts:
            for parameter in part.parameters():
                parameter.copy_(draw(tuple(parameter.shape)))
        self.parameters = draw(tuple(self.parameters.shape))
        self.perception.begin(0, seed)

    def act(self, obs: np.ndarray) -> np.ndarray:
        """Return the action float32 (A) for one frame, uint8 (H W C)."""
        action = self.controller.act(self.perception.observe(obs[None]), self.parameters)
        self.perception.advance(action)
        return np.nan_to_num(action[0].numpy())  # Cauchy weights can overflow


class RandomAgents:
    """A random agent for each slot."""

    def __init__(self, build: Callable[[], RandomAgent], width: int):
        self._agents = [build() for _ in range(width)]

    def begin(self, slot: int, seed: int) -> None:
        """Draw the slot's agent anew."""
        self._agents[slot].begin(seed)

    def act(self, obs: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Return actions float32 (W A); empty slots get zeros."""
        size = self._agents[0].spec.size
        idle = np.zeros(size, dtype=np.float32)
        return np.stack([agent.act(obs[slot]) if active[slot] else idle for slot, agent in enumerate(self._agents)])
