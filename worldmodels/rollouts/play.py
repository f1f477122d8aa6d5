"""The one loop between policies and environments.

Every stage that plays (collection, evolution, evaluation) plays through `play`: a queue of episodes over a fixed number
of slots, one batched policy call for all of them. The batch keeps its width when slots run empty, because the last bits
of a network's output depend on it; so the result of an episode depends on the episode alone, not on its company.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from agents import ActionSpec, Policy
from envs import VectorEnv
from generative.core.facts import Facts
from worldmodels.rollouts.episode import Episode


@dataclass(frozen=True)
class Play:
    """An episode to play."""

    track: int
    """Seed of the environment's reset."""
    key: int = 0
    """What the policy's `begin` gets."""


@dataclass(frozen=True)
class Played:
    """What came of an episode."""

    score: float
    """Sum of the rewards, in float64 and in order of time; with a training wrapper, its charges included."""
    steps: int
    """Actions taken."""
    frames: int
    """Frames of the environment: steps times action repeat, or less at the end."""
    terminated: bool
    truncated: bool
    lap: bool
    """Whether the environment reported a finished lap."""
    state: np.ndarray
    """float32 (S): the simulator's state at the end."""
    episode: Episode | None = None
    """The recording, if one was asked for."""
    effort: float = 0.0
    """Sum over frames of `ActionSpec.effort`: how much was steered."""


@dataclass
class Clock:
    """Where the time of a rollout goes, in seconds."""

    environment: float = 0.0
    policy: float = 0.0


@dataclass
class _Slot:
    number: int
    play: Play
    score: float = 0.0
    steps: int = 0
    frames: int = 0
    effort: float = 0.0
    lap: bool = False
    goal: bool = False
    obs: list[np.ndarray] = field(default_factory=list)
    action: list[np.ndarray] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    state: list[np.ndarray] = field(default_factory=list)


def play(
    env: VectorEnv,
    policy: Policy,
    spec: ActionSpec,
    plays: Sequence[Play],
    *,
    record: bool = False,
    clock: Clock | None = None,
) -> Iterator[tuple[int, Played]]:
    """Play the episodes, as many at a time as `env` has slots, and yield `(index, result)` as each one ends."""
    clock = clock or Clock()
    slots: list[_Slot | None] = [None] * env.num_envs
    waiting = list(enumerate(plays))[::-1]
    obs = np.zeros((env.num_envs, *(env.single_observation_space.shape or ())), dtype=np.uint8)
    while waiting or any(slots):
        begun = time.perf_counter()
        fresh = [index for index, slot in enumerate(slots) if slot is None][: len(waiting)]
        if fresh:
            obs = _begin(env, policy, slots, waiting, fresh, record)
        active = np.array([slot is not None for slot in slots])
        thinking = time.perf_counter()
        action = policy.act(obs, active)
        effort = spec.effort(action)
        acting = time.perf_counter()
        obs, reward, terminated, truncated, info = env.step(spec.to_env(action))
        states = env.simulator_states() if record else None
        for index, slot in enumerate(slots):
            if slot is None:
                continue
            slot.score += float(reward[index])
            slot.steps += 1
            slot.frames += int(info["frames"][index])
            slot.effort += float(effort[index]) * int(info["frames"][index])
            slot.lap = slot.lap or bool(info["lap_finished"][index])
            slot.goal = slot.goal or bool(info["goal_reached"][index])
            if record and states is not None:
                slot.obs.append(obs[index].copy())
                slot.action.append(action[index].copy())
                slot.reward.append(float(reward[index]))
                slot.state.append(states[index].copy())
        clock.policy += acting - thinking
        clock.environment += time.perf_counter() - acting + thinking - begun
        for index, slot in enumerate(slots):
            if slot is not None and (terminated[index] or truncated[index]):
                state = env.simulator_states()[index].copy()
                yield slot.number, _finish(slot, bool(terminated[index]), bool(truncated[index]), state, record)
                slots[index] = None


def _begin(
    env: VectorEnv,
    policy: Policy,
    slots: list[_Slot | None],
    waiting: list[tuple[int, Play]],
    fresh: list[int],
    record: bool,
) -> np.ndarray:
    """Put the next episodes into the fresh slots and return all slots' observations."""
    mask = np.zeros(env.num_envs, dtype=bool)
    seeds: list[int | None] = [None] * env.num_envs
    for index in fresh:
        number, item = waiting.pop()
        slots[index] = _Slot(number, item)
        mask[index], seeds[index] = True, item.track
        policy.begin(index, item.key)
    obs, _ = env.reset(seed=seeds, options={"reset_mask": mask})
    if record:
        states = env.simulator_states()
        for index in fresh:
            slot = slots[index]
            assert slot is not None
            slot.obs.append(obs[index].copy())
            slot.state.append(states[index].copy())
    return obs


def _finish(slot: _Slot, terminated: bool, truncated: bool, state: np.ndarray, record: bool) -> Played:
    facts: Facts = {"terminated": terminated, "truncated": truncated}
    episode = None
    if record:
        episode = Episode(
            obs=np.stack(slot.obs),
            action=np.stack(slot.action).astype(np.float32),
            reward=np.array(slot.reward, dtype=np.float32),
            state=np.stack(slot.state),
            track=slot.play.track,
            goal_reached=slot.goal,
            **facts,
        )
    return Played(
        slot.score, slot.steps, slot.frames, lap=slot.lap, state=state, episode=episode, effort=slot.effort, **facts
    )
