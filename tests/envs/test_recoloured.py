"""The same tracks and drives in other colours."""

import pickle

import gymnasium as gym
import numpy as np
import pytest

from envs import EnvConfig, make_env
from envs.car_racing import shows_road
from envs.fast_car_racing import FastCarRacing
from envs.recoloured import APART, RecolouredCarRacing, palette

ACTION = np.array([0.1, 0.3, 0.0], np.float32)
USUAL = np.array([[102, 102, 102], [102, 204, 102], [102, 230, 102]])


def colours(env):
    return np.array([env.road_color, env.bg_color, env.grass_color])


def test_a_seed_has_carracings_track_drive_and_reward_in_colours_of_its_own():
    usual, other = FastCarRacing(), RecolouredCarRacing()
    frames = usual.reset(seed=7)[0], other.reset(seed=7)[0]
    assert usual.track == other.track
    for _ in range(60):
        steps = usual.step(ACTION), other.step(ACTION)
        assert steps[0][1:4] == steps[1][1:4] and (usual.simulator_state() == other.simulator_state()).all()
    frames = [each[0].astype(int) for each in steps]
    assert (colours(usual) == USUAL).all() and (np.abs(colours(other) - USUAL).max(1) > 10).all()
    changed = (frames[0] != frames[1]).any(-1)
    assert changed[:84].mean() > 0.9 and not changed[84:].any()  # the bar of indicators is the same
    assert (frames[0][70:78, 45:51] == frames[1][70:78, 45:51]).all(-1).sum() > 10  # so is the car
    assert shows_road(frames[0][None].astype(np.uint8)).all()
    assert usual.usual_colours and not other.usual_colours and not FastCarRacing(domain_randomize=True).usual_colours


def test_colours_follow_from_the_seed_alone():
    env = RecolouredCarRacing()
    seen = []
    for seed in (1, 2, None, 1, None):
        env.reset(seed=seed)
        seen.append(colours(env))
    assert (seen[0] == seen[3]).all() and (seen[2] != seen[4]).any()
    assert all((seen[0] != each).any() for each in (seen[1], seen[2]))
    again = pickle.loads(pickle.dumps(env))
    again.reset(seed=1)
    assert (colours(again) == seen[0]).all()


def test_road_can_be_told_from_grass():
    random = np.random.default_rng(0)
    for _ in range(200):
        road, field, grass = palette(random)
        assert np.linalg.norm(road - field) >= APART and np.abs(grass - field).sum() == pytest.approx(20)
        assert 0 <= min(road.min(), grass.min()) and max(road.max(), grass.max()) < 231


def test_it_is_found_by_name_alone_and_in_batches():
    env = make_env(EnvConfig(id="WorldModels/RecolouredCarRacing-v3", size=32))
    assert env.reset(seed=3)[0].shape == (32, 32, 3)
    batch = gym.make_vec("WorldModels/RecolouredCarRacing-v3", num_envs=2)
    frames, _ = batch.reset(seed=[3, 4])
    assert (frames[0, :84] != frames[1, :84]).any()
    batch.close()
