import numpy as np
import pytest
import torch

from agents import ActionSpec
from envs import EnvConfig, VectorEnv, make_env
from envs.toy import decode
from worldmodels.rollouts.play import Play, play

TOY = EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0), max_steps=50, size=32, options={"size": 32})


class Recalls:
    """Acts by a seeded stream per slot and remembers which frames it saw."""

    def __init__(self, width):
        self.rngs = [None] * width
        self.seen = {}
        self.key = [None] * width

    def begin(self, slot, key):
        self.rngs[slot], self.key[slot] = np.random.default_rng(key), key
        self.seen[key] = []

    def act(self, obs, active):
        action = np.zeros((len(obs), 3), dtype=np.float32)
        for slot in np.flatnonzero(active):
            self.seen[self.key[slot]].append(decode(obs[slot]))
            action[slot] = self.rngs[slot].random(3) * [2, 1, 1] - [1, 0, 0]
        return action


def run(width, plays, config=TOY):
    env = VectorEnv([make_env(config) for _ in range(width)])
    policy = Recalls(width)
    spec = ActionSpec.from_space(env.single_action_space)
    found = dict(play(env, policy, spec, plays, record=True))
    env.close()
    return [found[index] for index in range(len(plays))], policy


PLAYS = [Play(track, key) for key, track in enumerate((5, 9, 5, 1000, 123456, 77, 3))]


def test_every_frame_is_where_it_belongs():
    for (item, played), _ in zip(zip(PLAYS, run(3, PLAYS)[0], strict=True), PLAYS, strict=True):
        episode = played.episode
        assert [decode(frame) for frame in episode.obs] == [(item.track, step) for step in range(len(episode) + 1)]
        assert played.steps == len(episode) == played.frames
        assert episode.terminated or episode.truncated


def test_the_policy_sees_every_frame_but_the_last_once_and_in_order():
    results, policy = run(3, PLAYS)
    for item, played in zip(PLAYS, results, strict=True):
        assert policy.seen[item.key] == [(item.track, step) for step in range(played.steps)]


def test_results_do_not_depend_on_the_number_of_slots():
    one, many = run(1, PLAYS)[0], run(4, PLAYS)[0]
    for a, b in zip(one, many, strict=True):
        assert a.score == b.score
        np.testing.assert_array_equal(a.episode.obs, b.episode.obs)
        np.testing.assert_array_equal(a.episode.state, b.episode.state)


@pytest.mark.parametrize("repeat", [1, 4])
def test_effort_is_summed_over_frames(repeat):
    config = EnvConfig(id=TOY.id, crop=(0, 0), max_steps=50, size=32, options={"size": 32}, action_repeat=repeat)
    for played in run(3, PLAYS, config)[0]:
        steered = np.abs(played.episode.action[:, 0])
        frames = np.full(len(steered), repeat)
        frames[-1] = played.frames - repeat * (len(steered) - 1)
        assert played.effort == pytest.approx(float((steered * frames).sum())) and played.effort > 0


def test_recorded_actions_and_rewards_are_those_of_the_environment():
    played = run(2, PLAYS)[0][1]
    env = make_env(TOY)
    obs, _ = env.reset(seed=PLAYS[1].track)
    np.testing.assert_array_equal(obs, played.episode.obs[0])
    for step in range(played.steps):
        obs, reward, *_ = env.step(played.episode.action[step])
        np.testing.assert_array_equal(obs, played.episode.obs[step + 1])
        assert reward == pytest.approx(played.episode.reward[step], abs=1e-6)
        np.testing.assert_array_equal(env.unwrapped.simulator_state(), played.episode.state[step + 1])


def test_repeated_frames_are_counted():
    config = EnvConfig(
        id="WorldModels/Toy-v0", crop=(0, 0), max_steps=50, size=32, options={"size": 32}, action_repeat=4
    )
    played = run(2, [Play(5, 0)], config)[0][0]
    assert played.steps == -(-played.frames // 4) and played.frames > played.steps
    frames = [decode(frame)[1] for frame in played.episode.obs]
    assert frames[:4] == [0, 4, 8, 12]


def test_nothing_to_play_is_fine():
    assert run(2, [])[0] == []


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state().clone()
    run(2, PLAYS[:2])
    assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.random.get_rng_state(), before[1])
