import gymnasium as gym
import numpy as np
import pytest

from agents.actions import ActionSpec
from agents.policies import POLICIES, PolicyConfig, WithNoise, make_policy

BOX = gym.spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
CHOICE = gym.spaces.Discrete(4)
CAR = ActionSpec.from_space(BOX, ("tanh", "tanh", "relu-tanh"))
KEYS = ActionSpec.from_space(CHOICE)


def play(policy, steps, width=1, slot=0):
    """Actions (steps, A) of one slot; the others are never active."""
    obs = np.zeros((width, 8, 8, 3), np.uint8)
    active = np.arange(width) == slot
    return np.stack([policy.act(obs, active)[slot] for _ in range(steps)])


@pytest.mark.parametrize("seed", [0, 12345])
def test_uniform_is_the_stream_of_the_action_space(seed):
    for space, spec in ((BOX, CAR), (CHOICE, KEYS)):
        policy = make_policy("uniform", spec, 1)
        policy.begin(0, seed)
        space.seed(seed)
        expected = np.stack([np.asarray(space.sample()) for _ in range(20)])
        assert np.array_equal(spec.to_env(play(policy, 20)), expected)


@pytest.mark.parametrize("spec", [CAR, KEYS])
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_an_episode_is_the_same_in_any_slot_and_company(spec, name, noise):
    config = PolicyConfig(type=name, noise=noise)
    alone = make_policy(config, spec, 1)
    alone.begin(0, 42)
    expected = play(alone, 40)
    assert expected.dtype == np.float32 and np.array_equal(expected, spec.clip(expected))

    crowd = make_policy(config, spec, 3)
    obs = np.zeros((3, 8, 8, 3), np.uint8)
    for slot in range(3):
        crowd.begin(slot, slot)
    for _ in range(7):
        crowd.act(obs, np.array([True, True, False]))
    crowd.begin(1, 42)
    rows = [crowd.act(obs, np.array([step % 3 == 0, True, False]))[1] for step in range(40)]
    assert np.array_equal(np.stack(rows), expected)


@pytest.mark.parametrize("name", ["uniform", "action-hold", "brownian"])
def test_another_seed_is_another_episode(name):
    policy = make_policy(name, CAR, 2)
    policy.begin(0, 1)
    policy.begin(1, 2)
    assert not np.array_equal(play(policy, 5, 2, 0), play(policy, 5, 2, 1))


def test_held_uniform_holds_for_the_range_of_steps():
    policy = make_policy(PolicyConfig(type="action-hold", hold=(5, 20)), CAR, 1)
    policy.begin(0, 0)
    actions = play(policy, 6000)
    changes = np.flatnonzero((actions[1:] != actions[:-1]).any(axis=1)) + 1
    lengths = np.diff(changes)
    assert lengths.min() == 5 and lengths.max() == 20
    assert abs(lengths.mean() - 12.5) < 0.8
    assert np.allclose(actions[changes].mean(axis=0), [0.0, 0.5, 0.5], atol=0.08)


def test_a_new_episode_holds_nothing_from_the_last():
    policy = make_policy("action-hold", CAR, 1)
    policy.begin(0, 0)
    first = play(policy, 1)
    policy.begin(0, 1)
    assert not np.array_equal(play(policy, 1), first)


def test_brownian_steps_have_variance_dt_and_stay_inside():
    policy = make_policy(PolicyConfig(type="brownian", dt=1e-6), CAR, 1)
    policy.begin(0, 3)
    steps = np.diff(play(policy, 2000).astype(np.float64), axis=0)
    assert np.allclose(steps.std(axis=0), 1e-3, rtol=0.08)
    policy = make_policy("brownian", CAR, 1)
    policy.begin(0, 3)
    actions = play(policy, 2000)
    assert np.array_equal(actions.min(axis=0), BOX.low) and np.array_equal(actions.max(axis=0), BOX.high)
    assert np.abs(np.diff(actions, axis=0)).max() < 5 * np.sqrt(1 / 50)


def test_brownian_starts_uniformly():
    policy = make_policy("brownian", CAR, 1)
    starts = []
    for seed in range(500):
        policy.begin(0, seed)
        starts.append(play(policy, 1)[0])
    assert np.allclose(np.mean(starts, axis=0), [0.0, 0.5, 0.5], atol=0.1)
    assert np.allclose(np.std(starts, axis=0), np.array([2, 1, 1]) / np.sqrt(12), rtol=0.1)


@pytest.mark.slow
def test_outputs_of_an_ornstein_uhlenbeck_process():
    outputs = []
    for seed in range(200):
        policy = make_policy(PolicyConfig(type="ornstein-uhlenbeck", correlation_time=5.0), CAR, 1)
        policy.begin(0, seed)
        steer = play(policy, 60)[:, 0].clip(-0.999999, 0.999999)
        outputs.append(np.arctanh(steer))
    raw = np.stack(outputs)  # (200 60)
    power = (1 + 0.5**2) / 3  # the mean square of an amplitude uniform on [0, 1] is a third
    assert raw.std() == pytest.approx(np.sqrt(power), rel=0.15)
    lag = 5
    together = (raw[:, lag:] * raw[:, :-lag]).mean()
    assert together == pytest.approx((np.exp(-1) + 0.5**2) / 3, abs=0.06)
    spread = raw.std(1)  # episodes differ: some are tame
    assert spread.min() < 0.1 and spread.max() > 0.6


def test_ornstein_uhlenbeck_hardly_brakes():
    policy = make_policy("ornstein-uhlenbeck", CAR, 1)
    brake = np.concatenate([play(begun(policy, seed), 50)[:, 2] for seed in range(100)])
    assert 0.4 < (brake == 0).mean() < 0.6


def test_ornstein_uhlenbeck_varies_about_its_bias():
    plain, biased = (
        make_policy(PolicyConfig(type="ornstein-uhlenbeck", bias=bias), CAR, 1) for bias in ((), (0.0, -1.0, -1.5))
    )
    actions = np.concatenate([play(begun(biased, seed), 50) for seed in range(100)])
    assert (actions[:, 2] == 0).mean() > 0.9 and 0.1 < np.median(actions[:, 1]) < 0.25
    mine, theirs = (play(begun(policy, 3), 20)[:, 0] for policy in (plain, biased))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)  # steering has none
    for bias, message in (((0.0,), "give 3 numbers"), ((0.0, 0.0, float("nan")), "finite")):
        with pytest.raises(ValueError, match=message):
            make_policy(PolicyConfig(type="ornstein-uhlenbeck", bias=bias), CAR, 1)


def test_brownian_over_choices_walks_among_neighbours():
    policy = make_policy(PolicyConfig(type="brownian", dt=1e-3), KEYS, 1)
    policy.begin(0, 0)
    choices = KEYS.to_env(play(policy, 3000))
    assert set(choices) == {0, 1, 2, 3} and np.abs(np.diff(choices)).max() == 1


def test_constant_idles_or_does_what_it_is_told():
    assert play(begun(make_policy("constant", CAR, 1)), 2).tolist() == [[0.0, 0.5, 0.0]] * 2
    told = make_policy(PolicyConfig(type="constant", action=(0.5, 1.0, 0.25)), CAR, 1)
    assert play(begun(told), 1).tolist() == [[0.5, 1.0, 0.25]]
    with pytest.raises(ValueError, match="within low"):
        make_policy(PolicyConfig(type="constant", action=(0.5, 2.0, 0.0)), CAR, 1)
    with pytest.raises(ValueError, match="one-hot"):
        make_policy(PolicyConfig(type="constant", action=(0.5, 0.5, 0.0, 0.0)), KEYS, 1)
    with pytest.raises(ValueError, match="needs 3 numbers"):
        make_policy(PolicyConfig(type="constant", action=(0.5,)), CAR, 1)


def test_noise_has_its_scale_and_leaves_the_policy_alone():
    steady = make_policy(PolicyConfig(type="constant", action=(0.0, 0.5, 0.5)), CAR, 1)
    noisy = begun(WithNoise(steady, CAR, 0.05))
    actions = play(noisy, 2000)
    assert np.allclose(actions.std(axis=0), [0.1, 0.05, 0.05], rtol=0.08)
    assert np.allclose(actions.mean(axis=0), [0.0, 0.5, 0.5], atol=0.01)
    assert abs(np.corrcoef(actions[:-1, 0], actions[1:, 0])[0, 1]) < 0.05
    assert play(steady, 1).tolist() == [[0.0, 0.5, 0.5]]


def test_noise_on_two_choices_changes_eight_per_cent():
    spec = ActionSpec.from_space(gym.spaces.Discrete(2))
    actions = play(begun(WithNoise(make_policy("constant", spec, 1), spec, 0.5)), 3000)
    assert abs(actions[:, 1].mean() - 0.0786) < 0.015


def test_noise_is_not_the_stream_of_the_policy_itself():
    walk = play(begun(make_policy(PolicyConfig(type="brownian", dt=1e-6), CAR, 1)), 1000)
    noisy = play(begun(make_policy(PolicyConfig(type="brownian", dt=1e-6, noise=1e-3), CAR, 1)), 1000)
    steps, noise = np.diff(walk[:, 0]), (noisy - walk)[:, 0]
    assert 0 < np.abs(noise).max() < 0.012
    for lag in (0, 1):
        assert abs(np.corrcoef(steps, noise[lag : lag + len(steps)])[0, 1]) < 0.12


def test_misuse_is_refused(production):
    policy = make_policy("uniform", CAR, 2)
    obs = np.zeros((2, 8, 8, 3), np.uint8)
    policy.begin(0, 0)
    with pytest.raises(RuntimeError, match=r"begin\(1, seed\)"):
        policy.act(obs, np.array([True, True]))
    with pytest.raises(ValueError, match="serves 2 slots"):
        policy.act(obs[:1], np.array([True]))
    with pytest.raises(ValueError, match="slots 0 to 1"):
        policy.begin(2, 0)
    with pytest.raises(ValueError, match="did you mean 'brownian'"):
        make_policy("browian", CAR, 1)
    with pytest.raises(ValueError, match="scale"):
        WithNoise(policy, CAR, -1.0)
    for field, value in (("hold", (0, 5)), ("hold", (6, 5)), ("dt", 0.0), ("noise", -0.1)):
        with pytest.raises(ValueError, match=field):
            PolicyConfig(**{field: value})


def begun(policy, seed=0):
    policy.begin(0, seed)
    return policy
