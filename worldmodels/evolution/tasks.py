"""What a process of the evolution holds: environments, networks, and the two ways to try candidates with them.

A result depends on its task alone: all networks are called at a fixed batch width, all noise comes from the task's
seeds.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from agents import ActionSpec, Policy, PolicyConfig, make_policy
from envs import VectorEnv, draws_on_demand, env_facts, make_env
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.agent.predictor import PredictorPolicy, build_predictor
from worldmodels.evolution.dreamer import Dreamer
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.rollouts.episode import encode_episode
from worldmodels.rollouts.play import Clock, Play, Played, play
from worldmodels.rollouts.translated import Translated


class RealTask(NamedTuple):
    """Candidates to try in the real environment."""

    parameters: np.ndarray
    """float32 (C N)."""
    pairs: Sequence[tuple[int, int]]
    """`(row of parameters, track)` for each episode."""
    training: bool
    """With the training-only wrappers or without."""
    record: bool = False
    """Whether episodes come back recorded."""


class DreamTask(NamedTuple):
    """Candidates to try in the dream."""

    parameters: np.ndarray
    """float32 (C N)."""
    seeds: Sequence[int]
    """One a dream."""


class BlindTask(NamedTuple):
    """Tracks for a policy that does not look: uniform random actions, as a baseline."""

    tracks: Sequence[int]


class Tried(NamedTuple):
    """What came of a task."""

    played: list[Played]
    """Real episodes, in the order of the task's pairs or tracks."""
    dreamt: np.ndarray | None
    """float64 (C E): returns of the dreams."""
    environment_seconds: float
    network_seconds: float
    recorded: tuple[bytes, ...] = ()
    """The episodes' files, where they were asked for."""


class TrialWorker:
    """Tries candidates; built once in each process."""

    def __init__(self, setup: TrialSetup):
        self.setup = setup
        self._envs: dict[bool, VectorEnv] = {}
        self._predictor = build_predictor(setup.agent) if setup.agent else None
        if not setup.agent:
            self._vision = setup.bundle.load_encoder()
            self._memory = setup.bundle.load_memory()
            self._controller = setup.bundle.build_controller()
        self._dreamer = None if setup.dream is None else Dreamer(setup)

    def __call__(self, task: RealTask | DreamTask | BlindTask) -> Tried:
        """Carry out a task."""
        if isinstance(task, DreamTask):
            return self._dream(task)
        if isinstance(task, BlindTask):
            return self._blind(task)
        spec = self.setup.bundle.spec
        return self._play(self._policy(task), [track for _, track in task.pairs], task.training, spec, task.record)

    def close(self) -> None:
        """Free the environments."""
        for env in self._envs.values():
            env.close()

    def _policy(self, task: RealTask) -> Policy:
        bundle = self.setup.bundle
        if self._predictor is not None:
            return PredictorPolicy(self._predictor, bundle.spec, self.setup.width)
        perception = bundle.perception(self.setup.width, self._vision, self._memory)
        return ControllerPolicy(perception, self._controller, bundle.spec, task.parameters, plan=task.pairs)

    def _env(self, training: bool) -> VectorEnv:
        if training not in self._envs:
            envs = [make_env(self.setup.bundle.env, training) for _ in range(self.setup.width)]
            if self.setup.translator is not None:
                translate = self.setup.translator.load()
                envs = [Translated(env, translate) for env in envs]
            self._envs[training] = VectorEnv(envs)
        return self._envs[training]

    def _play(
        self, policy: Policy, tracks: Sequence[int], training: bool, spec: ActionSpec, record: bool = False
    ) -> Tried:
        clock = Clock()
        plays = [Play(track, key) for key, track in enumerate(tracks)]
        found: list[Played | None] = [None] * len(plays)
        for index, played in play(self._env(training), policy, spec, plays, record=record, clock=clock):
            found[index] = played
        every = [played for played in found if played]
        recorded = tuple(self._encode(played) for played in every) if record else ()
        return Tried(
            [replace(played, episode=None) for played in every], None, clock.environment, clock.policy, recorded
        )

    def _encode(self, played: Played) -> bytes:
        facts = {"env": env_facts(self.setup.bundle.env), "policy": "agent", "env_frames": played.frames}
        assert played.episode is not None
        return encode_episode(replace(played.episode, meta=facts))

    def _blind(self, task: BlindTask) -> Tried:
        spec = self.setup.bundle.spec
        policy = make_policy(PolicyConfig(type="uniform"), spec, self.setup.width)
        env = self._env(False)
        bases: list[Any] = [single.unwrapped for single in env.envs if draws_on_demand(single)]
        for base in bases:
            base.draw = False  # nobody looks
        try:
            return self._play(_Keyed(policy, task.tracks), task.tracks, False, spec)
        finally:
            for base in bases:
                base.draw = True

    def _dream(self, task: DreamTask) -> Tried:
        assert self._dreamer is not None
        begun = time.perf_counter()
        dreamt = self._dreamer(task.parameters, task.seeds)
        return Tried([], dreamt, 0.0, time.perf_counter() - begun)


class _Keyed:
    """Seeds a policy by track instead of by position, so that an episode does not depend on its task."""

    def __init__(self, policy: Policy, tracks: Sequence[int]):
        self._policy, self._tracks = policy, tracks

    def begin(self, slot: int, seed: int) -> None:
        self._policy.begin(slot, self._tracks[seed])

    def act(self, obs: np.ndarray, active: np.ndarray) -> np.ndarray:
        return self._policy.act(obs, active)
