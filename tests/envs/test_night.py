"""The same tracks and drives by night, in snow."""

import gymnasium as gym
import numpy as np

from envs import EnvConfig, make_env
from envs.fast_car_racing import FastCarRacing
from envs.night import DARK, LIGHT, NightCarRacing, headlights

ACTION = np.array([0.1, 0.3, 0.0], np.float32)


def after(env, frames=60):
    env.reset(seed=7)
    for _ in range(frames):
        step = env.step(ACTION)
    return step


def test_a_seed_has_carracings_track_drive_and_reward_in_another_light():
    usual, night = FastCarRacing(), NightCarRacing()
    steps = after(usual), after(night)
    assert usual.track == night.track and steps[0][1:4] == steps[1][1:4]
    assert (usual.simulator_state() == night.simulator_state()).all()
    frames = [each[0].astype(int) for each in steps]
    assert (frames[0] != frames[1]).any(-1)[:84].mean() > 0.9
    assert (frames[0][84:] == frames[1][84:]).all()  # the bar of indicators has its own light
    assert usual.usual_colours and not night.usual_colours


def test_light_is_before_the_car_and_dark_is_not_black():
    light = headlights()
    assert light.shape == (84, 96, 3) and light.min() > DARK - 1e-6 and light.max() <= 1
    assert (light == LIGHT).all() and light[40, 48, 0] > light[40, 10, 0] + 0.1 > light[83, 2, 0]


def test_snow_in_the_dark_has_the_colour_of_road_in_the_light():
    """No function of a pixel's colour tells one from the other."""
    frames, roles = [], []
    night, usual = NightCarRacing(), FastCarRacing()
    for seed in range(3):
        for env in (night, usual):
            env.reset(seed=seed)
            for _ in range(50):  # standing at the start, until the camera is near
                frame = env.step(np.zeros(3, np.float32))[0][:70]
            (frames if env is night else roles).append(frame.astype(int))
    colours, usual_colours = np.stack(frames)[..., 2].ravel(), np.stack(roles).reshape(-1, 3)
    road = np.abs(usual_colours - [102, 102, 102]).max(1) < 12
    field = (usual_colours[:, 1] > 190) & (usual_colours[:, 0] < 130)
    shares = [np.bincount(colours[part] // 16, minlength=16) / part.sum() for part in (road, field)]
    assert np.minimum(*shares).sum() > 0.4  # of either


def test_it_is_found_by_name_alone_and_in_batches():
    env = make_env(EnvConfig(id="WorldModels/NightCarRacing-v3", size=32))
    assert env.reset(seed=3)[0].shape == (32, 32, 3)
    batch = gym.make_vec("WorldModels/NightCarRacing-v3", num_envs=2)
    assert batch.reset(seed=[3, 4])[0].shape == (2, 96, 96, 3)
    batch.close()
