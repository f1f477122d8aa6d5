"""What the memory's reward and termination heads are trained on.

CarRacing pays a tile the moment a wheel touches it. That moment is invisible in a 64 x 64 frame, so a head that
regresses the raw reward explains next to nothing of it; the mean of the next steps, or the rate of paid events in them,
is visible: it is speed along the track. But a mean over the next steps is also a guess at what the recorded driver does
next, and a dream pays for looking like a place where drivers did well; where the simulator tells what a moment is worth
(`reward_rate`), the head can learn that instead, at once and without the spikes. And an episode never ends for driving
over grass, so a dream whose only end is the environment's own punishes nothing: the off-road target ends the dream
where driving has failed.

A step is one action of the agent, after action repeat. Arrays follow the project's alignment: `action[t]`
taken in `state[t]` gives `reward[t]` and `state[t + 1]`; `target[t]` is what the heads predict from
`(z[t], action[t])`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from generative.core.options import check_numbers

RewardTarget = Literal["raw", "smoothed", "event-rate", "progress"]
TerminationTarget = Literal["env", "off-road"]


def _check_choice(value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"type={value}: unknown; choose one of {', '.join(choices)}.")


@dataclass(frozen=True)
class RewardTargetConfig:
    """What the reward head predicts."""

    type: RewardTarget = "smoothed"
    """raw: the reward; smoothed: mean of the next `window` rewards; event-rate: share of them above 0; progress: mean
    of what the next `window` steps are worth by the simulator's state, its `reward_rate` (CarRacing: speed along the
    road)."""
    window: int = 20
    """Steps ahead, this one included, that all but raw look at."""

    def __post_init__(self) -> None:
        _check_choice(self.type, get_args(RewardTarget))
        if self.window < 1:
            raise ValueError(f"window={self.window}: a window holds this step at least; give 1 or more.")
        check_numbers(self)


@dataclass(frozen=True)
class TerminationTargetConfig:
    """What the termination head predicts."""

    type: TerminationTarget = "off-road"
    """env: the environment's own end, unless in success; off-road: that, or no wheel on the road for
    `off_road_steps`."""
    off_road_steps: int = 25
    """Consecutive steps off the road after which the dream is over."""

    def __post_init__(self) -> None:
        _check_choice(self.type, get_args(TerminationTarget))
        if self.off_road_steps < 1:
            raise ValueError(f"off_road_steps={self.off_road_steps}: give 1 step or more.")
        check_numbers(self)


def episode_targets(
    reward: Float[np.ndarray, " T"],
    lost: bool,
    state: Float[np.ndarray, "T+1 S"] | None,
    reward_config: RewardTargetConfig,
    termination_config: TerminationTargetConfig,
    worth: Float[np.ndarray, " T"] | None = None,
) -> dict[str, Float32[np.ndarray, " T"]]:
    """Compute the targets of one whole episode: `reward` and `termination`, one value per step.

    Args:
        reward: the recorded rewards, raw.
        lost: whether the last step ended the episode in failure (False when it was cut, or ended in success).
        state: the simulator's state; its last entry is the share of wheels on the road; None if not recorded.
        reward_config: what the reward target is.
        termination_config: what the termination target is.
        worth: what each step is worth by the simulator's state (`step_worth`); None if it does not tell.

    Raises:
        ValueError: the off-road target is asked for and `state` is None, or progress and `worth` is None.
    """
    return {
        "reward": reward_target(reward, reward_config, worth),
        "termination": termination_target(len(reward), lost, state, termination_config),
    }


def step_worth(state: Float[np.ndarray, "_ S"], names: Sequence[str], frames: int) -> Float32[np.ndarray, " T"] | None:
    """Read what each of T steps is worth on average off the simulator's states (T+1 rows); None if these do not tell.

    Args:
        state: the recorded states.
        names: of its columns.
        frames: of a step, over which the action is repeated.
    """
    if "reward_rate" not in names:
        return None
    worth: np.ndarray = state[1:, list(names).index("reward_rate")] * np.float32(frames)
    return worth.astype(np.float32)


def reward_target(
    reward: Float[np.ndarray, " T"], config: RewardTargetConfig, worth: Float[np.ndarray, " T"] | None = None
) -> Float32[np.ndarray, " T"]:
    """Compute what the reward head predicts after each step of one episode.

    Near the end the window holds what is left of the episode, and the mean is over that. Smoothing
    approximately preserves an episode's sum: a reward is paid out in equal parts over the `window` steps up
    to it, except that one in the first `window - 1` steps has fewer steps to be paid in, and one in the last
    `window - 1` weighs more, because the means there are over fewer steps.

    Raises:
        ValueError: progress is asked for and `worth` is None.
    """
    if config.type == "raw":
        return reward.astype(np.float32)
    if config.type == "progress" and worth is None:
        raise ValueError(
            "type=progress: the simulator's state of these rollouts has no `reward_rate`; choose type=smoothed, or"
            " collect in an environment that tells it."
        )
    values = worth if worth is not None and config.type == "progress" else reward
    if config.type == "event-rate":
        values = reward > 0
    steps = len(reward)
    start = np.arange(steps)
    end = np.minimum(start + config.window, steps)
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return ((total[end] - total[start]) / (end - start)).astype(np.float32)


def termination_target(
    steps: int,
    lost: bool,
    state: Float[np.ndarray, "_ S"] | None,
    config: TerminationTargetConfig,
) -> Float32[np.ndarray, " T"]:
    """Compute what the termination head predicts after each of `steps` steps: 1 where the dream should end.

    With off-road, step t is an end when the last `off_road_steps` states up to `state[t + 1]` are all off the
    road; so are the steps after it until the car is back.

    Raises:
        ValueError: off-road is asked for and `state` is None or has not `steps` + 1 rows.
    """
    target = np.zeros(steps, dtype=np.float32)
    if lost and steps:
        target[-1] = 1.0
    if config.type == "env":
        return target
    if state is None:
        raise ValueError(
            "type=off-road: these rollouts carry no simulator state; choose type=env, or collect in an"
            " environment that has `simulator_state()`."
        )
    if len(state) != steps + 1:
        raise ValueError(f"state: {len(state)} rows for {steps} steps; T steps have T + 1 states.")
    off_road = state[:, -1] == 0
    target[run_length(off_road)[1:] >= config.off_road_steps] = 1.0
    return target


def run_length(flags: Bool[np.ndarray, " T"]) -> Int[np.ndarray, " T"]:
    """Count, at every position, the consecutive True values that end there."""
    position = np.arange(1, len(flags) + 1)
    last_false = np.maximum.accumulate(np.where(flags, 0, position)) if len(flags) else position
    return position - last_false


def reward_scale(targets: Sequence[Float[np.ndarray, " _"]]) -> tuple[float, float]:
    """Measure mean and standard deviation of targets in the reward's units (deviation 1 if constant)."""
    values = np.concatenate(targets).astype(np.float64)
    std = float(values.std())
    return float(values.mean()), std if std > 1e-8 else 1.0


def event_scale(rewards: Sequence[Float[np.ndarray, " _"]]) -> tuple[float, float]:
    """Measure `(event_value, step_cost)` of raw rewards: rate * event_value + step_cost is their mean.

    An event is a step with a reward above 0. The cost is the mean reward of the other steps (0 if there are
    none), the value is how much more an event brings.

    Raises:
        ValueError: no step has a reward above 0.
    """
    values = np.concatenate(rewards).astype(np.float64)
    event = values > 0
    if not event.any():
        raise ValueError(
            "type=event-rate: no recorded step has a reward above 0; collect with a policy that earns"
            " something, or choose type=smoothed."
        )
    step_cost = 0.0 if event.all() else float(values[~event].mean())
    return float(values[event].mean()) - step_cost, step_cost
