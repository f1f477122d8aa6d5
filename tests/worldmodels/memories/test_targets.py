import numpy as np
import pytest

from worldmodels.memories.targets import (
    RewardTargetConfig,
    TerminationTargetConfig,
    episode_targets,
    event_scale,
    reward_scale,
    reward_target,
    run_length,
    step_worth,
    termination_target,
)

REWARD = np.array([4.0, -1.0, -1.0, 5.0, -1.0], dtype=np.float32)


def states(on_road: list[float]) -> np.ndarray:
    """A state with a misleading first column; the last one is what counts."""
    return np.stack([1.0 - np.array(on_road), on_road], axis=1).astype(np.float32)


def test_raw_is_the_reward():
    np.testing.assert_array_equal(reward_target(REWARD, RewardTargetConfig(type="raw")), REWARD)


def test_smoothed_by_hand_with_shorter_windows_at_the_end():
    target = reward_target(REWARD, RewardTargetConfig(type="smoothed", window=3))
    np.testing.assert_allclose(target, [2 / 3, 1.0, 1.0, 2.0, -1.0], rtol=1e-6)
    assert target.dtype == np.float32


def test_event_rate_by_hand_with_shorter_windows_at_the_end():
    target = reward_target(REWARD, RewardTargetConfig(type="event-rate", window=3))
    np.testing.assert_allclose(target, [1 / 3, 1 / 3, 1 / 3, 1 / 2, 0.0], rtol=1e-6)


def test_a_reward_of_zero_is_no_event():
    target = reward_target(np.array([0.0, 1.0, 0.0]), RewardTargetConfig(type="event-rate", window=2))
    np.testing.assert_array_equal(target, [0.5, 0.5, 0.0])


def test_a_window_of_one_step_changes_nothing():
    np.testing.assert_array_equal(reward_target(REWARD, RewardTargetConfig(window=1)), REWARD)
    rate = reward_target(REWARD, RewardTargetConfig(type="event-rate", window=1))
    np.testing.assert_array_equal(rate, [1, 0, 0, 1, 0])


def test_a_window_longer_than_the_episode_is_the_mean_of_what_is_left():
    target = reward_target(REWARD, RewardTargetConfig(window=99))
    np.testing.assert_allclose(target, [6 / 5, 2 / 4, 3 / 3, 4 / 2, -1.0], rtol=1e-6)


def test_smoothing_keeps_the_sum_of_rewards_in_the_middle_of_an_episode():
    reward = np.zeros(100, dtype=np.float32)
    reward[[30, 41, 47]] = 3.0
    assert reward_target(reward, RewardTargetConfig(window=20)).sum() == pytest.approx(9.0, rel=1e-5)


def test_long_windows_lose_no_precision():
    reward = np.full(100_000, 0.1, dtype=np.float32)
    np.testing.assert_allclose(reward_target(reward, RewardTargetConfig(window=20)), 0.1, rtol=1e-5)


def test_run_length_by_hand():
    flags = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], dtype=bool)
    np.testing.assert_array_equal(run_length(flags), [1, 2, 0, 1, 0, 0, 1, 2, 3])
    assert run_length(np.zeros(0, dtype=bool)).shape == (0,)


def test_off_road_by_hand():
    # states:       0  1  2  3  4  5  6  7; a quarter of the wheels on the road is on the road.
    state = states([1, 0, 0, 0.25, 0, 0, 0, 1])
    config = TerminationTargetConfig(off_road_steps=2)
    # Step t is over when state t + 1 is at least the second in a row off the road.
    np.testing.assert_array_equal(termination_target(7, False, state, config), [0, 1, 0, 0, 1, 1, 0])
    config = TerminationTargetConfig(off_road_steps=3)
    np.testing.assert_array_equal(termination_target(7, False, state, config), [0, 0, 0, 0, 0, 1, 0])
    config = TerminationTargetConfig(off_road_steps=4)
    np.testing.assert_array_equal(termination_target(7, True, state, config), [0, 0, 0, 0, 0, 0, 1])


def test_env_takes_the_flag_and_ignores_the_state():
    config = TerminationTargetConfig(type="env")
    np.testing.assert_array_equal(termination_target(3, True, None, config), [0, 0, 1])
    np.testing.assert_array_equal(termination_target(3, False, states([0, 0, 0, 0]), config), [0, 0, 0])


def test_off_road_without_a_state_says_what_to_choose():
    with pytest.raises(ValueError, match="choose type=env"):
        termination_target(3, True, None, TerminationTargetConfig())
    with pytest.raises(ValueError, match="T \\+ 1 states"):
        termination_target(3, True, states([1, 1, 1]), TerminationTargetConfig())


def test_episode_targets_has_both():
    targets = episode_targets(
        REWARD,
        True,
        states([1, 0, 0, 1, 1, 1]),
        RewardTargetConfig(window=3),
        TerminationTargetConfig(off_road_steps=2),
    )
    np.testing.assert_allclose(targets["reward"], [2 / 3, 1.0, 1.0, 2.0, -1.0], rtol=1e-6)
    np.testing.assert_array_equal(targets["termination"], [0, 1, 0, 0, 1])


def test_reward_scale():
    first, second = np.array([1.0, 2.0], dtype=np.float32), np.array([3.0, 6.0], dtype=np.float32)
    assert reward_scale([first, second]) == pytest.approx((3.0, np.sqrt(14 / 4)))
    assert reward_scale([np.full(5, -0.1, dtype=np.float32)]) == pytest.approx((-0.1, 1.0))


def test_event_scale_gives_back_the_mean_reward():
    event_value, step_cost = event_scale([REWARD[:2], REWARD[2:]])
    assert (event_value, step_cost) == pytest.approx((5.5, -1.0))
    rate = reward_target(REWARD, RewardTargetConfig(type="event-rate", window=1))
    assert rate.mean() * event_value + step_cost == pytest.approx(REWARD.mean())
    assert event_scale([np.array([2.0, 4.0])]) == pytest.approx((3.0, 0.0))
    with pytest.raises(ValueError, match="choose type=smoothed"):
        event_scale([np.array([-0.1, 0.0])])


@pytest.mark.parametrize(
    "make", [lambda: RewardTargetConfig(window=0), lambda: TerminationTargetConfig(off_road_steps=0)]
)
def test_a_bad_config_names_field_and_value(make):
    with pytest.raises(ValueError, match="=0: "):
        make()


@pytest.mark.parametrize("config", [RewardTargetConfig(), TerminationTargetConfig()])
def test_an_unknown_type_is_told_the_choices(config):
    object.__setattr__(config, "type", "smooth")  # while testing, the annotations already refuse it at the door
    with pytest.raises(ValueError, match="type=smooth: unknown; choose one of "):
        config.__post_init__()


def test_progress_is_what_the_simulator_says_a_step_is_worth():
    state = np.array([[9.0, 1.0], [2.0, 1.0], [4.0, 0.0]], dtype=np.float32)
    worth = step_worth(state, ("reward_rate", "on_road"), frames=4)
    np.testing.assert_array_equal(worth, [8.0, 16.0])  # of the states that the steps lead to
    target = reward_target(np.zeros(2), RewardTargetConfig(type="progress", window=2), worth)
    np.testing.assert_array_equal(target, [12.0, 16.0])


def test_progress_without_a_rate_says_what_to_choose():
    assert step_worth(np.ones((3, 2), dtype=np.float32), ("speed", "on_road"), frames=1) is None
    with pytest.raises(ValueError, match="choose type=smoothed"):
        reward_target(np.zeros(2), RewardTargetConfig(type="progress"))
