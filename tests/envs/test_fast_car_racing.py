import math
import os
import pickle
import subprocess
import sys

import cv2
import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium.envs.box2d.car_dynamics import Car
from gymnasium.envs.box2d.car_racing import CarRacing as GymnasiumCarRacing
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

import envs  # noqa: F401  registers the ids
from envs.car_racing import CarRacing, shows_road
from envs.drawing import HULL, WHEEL_R, Camera, inward, stripe_ends
from envs.fast_car_racing import FastCarRacing, digits
from envs.make import EnvConfig, make_env
from envs.wrappers import model_frame

SCENE, BAR = np.s_[:84], np.s_[84:]
CAR = np.s_[62:84, 38:58]


class Blind(CarRacing):
    """Gymnasium's physics without frames."""

    def draw_state_pixels(self):
        return np.zeros((96, 96, 3), np.uint8)


def follow_road(env):
    """Steer towards the road five tiles ahead."""
    track = np.array(env.track)[:, 2:]
    position, angle = np.array(env.car.hull.position), env.car.hull.angle
    nearest = int(((track - position) ** 2).sum(axis=1).argmin())
    target = track[(nearest + 5) % len(track)] - position
    right, ahead = target @ (math.cos(angle), math.sin(angle)), target @ (-math.sin(angle), math.cos(angle))
    speed = math.hypot(*env.car.hull.linearVelocity)
    return np.array([np.clip(math.atan2(right, ahead), -1, 1), 0.4 * (speed < 40), 0.0], np.float32)


def skid(env):
    follow = follow_road(env)
    return np.array([np.clip(4 * follow[0], -1, 1), 1.0, 0.9 * (int(env.t * 50) % 20 > 15)], np.float32)


def leave_road(env):
    return np.array([0.05, 0.6, 0.0], np.float32)


def discrete(env):
    steering = float(follow_road(env)[0])
    return 1 if steering > 0.1 else 2 if steering < -0.1 else 3 + (int(env.t * 50) % 5 == 0)


def differences(env):
    """Mean absolute difference to gymnasium's frame: scene, bar and the square around the car."""
    ours = env.draw_state_pixels().astype(int)
    difference = np.abs(ours - GymnasiumCarRacing._render(env, "state_pixels"))
    return difference[SCENE].mean(), difference[BAR].mean(), difference[CAR].mean()


def teleport(env, position, angle):
    hull, turn = env.car.hull, angle - env.car.hull.angle
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    origin = np.array(hull.position)
    for body in env.car.drawlist:
        body.position = (rotation @ (np.array(body.position) - origin) + position).tolist()
        body.angle += turn


def drive(env, seed, policy, steps, every):
    """Differences on every `every`-th of `steps` frames, (frames, 3)."""
    env.draw = False
    env.reset(seed=seed)
    found = []
    for step in range(steps):
        if env.step(policy(env))[2]:
            break
        if step % every == 0:
            found.append(differences(env))
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "options", "steps", "every"),
    [
        pytest.param(follow_road, {}, 50, 3, id="zoom-in"),
        pytest.param(follow_road, {}, 600, 12, id="driving"),
        pytest.param(skid, {}, 500, 12, id="skidding"),
        pytest.param(leave_road, {}, 600, 12, id="grass"),
        pytest.param(follow_road, {"domain_randomize": True}, 400, 12, id="other colours"),
        pytest.param(discrete, {"continuous": False}, 400, 12, id="discrete"),
    ],
)
def test_frames_look_like_gymnasiums(policy, options, steps, every):
    found = np.concatenate([drive(FastCarRacing(**options), seed, policy, steps, every) for seed in (1, 2)])
    assert len(found) >= 30
    scene, bar, car = found.T
    assert scene.mean() < 0.5 and scene.max() < 1.5
    assert bar.mean() < 0.2 and bar.max() < 1.5
    assert car.mean() < 2  # without wheels it would be 2.2, without hull 5.4


def test_a_model_that_does_not_see_the_bar_sees_the_same():
    with_bar = make_env(EnvConfig(id="WorldModels/FastCarRacing-v3", crop=(0, 0), size=96))
    without = make_env(EnvConfig(id="WorldModels/FastCarRacing-v3", crop=(0, 84), size=84))
    whole, cropped = with_bar.reset(seed=3)[0], without.reset(seed=3)[0]
    for _ in range(20):
        action = np.array([0.1, 0.5, 0.0], np.float32)
        whole, cropped = with_bar.step(action)[0], without.step(action)[0]
    assert whole[BAR].any() and not without.unwrapped.draw_state_pixels()[BAR].any()
    np.testing.assert_array_equal(cropped, model_frame(whole, 84, (0, 84)))


@pytest.mark.parametrize(("x", "y"), [(320, 0), (0, -320), (-325, 325)])
def test_playfield_ends_where_gymnasiums_does(x, y):
    env = FastCarRacing()
    env.draw = False
    env.reset(seed=0)
    for _ in range(50):
        env.step(np.zeros(3, np.float32))
    outside = []
    for angle in (0.3, 2.0, 4.0, 5.5):
        teleport(env, np.array([x, y]), angle)
        scene, _, _ = differences(env)
        assert scene < 1
        outside.append((env.draw_state_pixels()[SCENE] == 0).all(axis=2).mean())
    assert max(outside) > 0.3  # it was in sight, and all is black behind it


def test_drawing_reads_the_state_and_changes_nothing():
    env = FastCarRacing()
    obs, _ = env.reset(seed=4)
    before = obs.copy()
    for _ in range(60):
        later = env.step(np.array([0.2, 1, 0], np.float32))[0]
    assert (obs == before).all() and not (later == before).all()  # a returned frame is nobody's scratch paper
    state = env.simulator_state()
    assert (env.draw_state_pixels() == later).all() and (env.draw_state_pixels() == later).all()
    assert (env.simulator_state() == state).all()
    other = FastCarRacing()
    other.draw = False
    other.reset(seed=4)
    for _ in range(60):
        other.step(np.array([0.2, 1, 0], np.float32))
    assert (other.draw_state_pixels() == later).all()  # skipped frames leave no trace
    for wheel in env.car.wheels:
        wheel.phase += 1.5
    assert not (env.draw_state_pixels()[CAR] == later[CAR]).all()


def test_a_repainted_tile_shows():
    env = FastCarRacing()
    env.reset(seed=0)
    for _ in range(50):
        env.step(np.zeros(3, np.float32))
    pink = (253, 8, 198)
    assert not (env.draw_state_pixels() == pink).all(axis=2).any()
    for tile in env.road:
        tile.color[:] = (255, 10, 200)
    assert (env.draw_state_pixels() == pink).all(axis=2).mean() > 0.1
    assert differences(env)[0] < 1  # gymnasium's drawing sees it as well


@pytest.mark.parametrize("options", [{}, {"continuous": False}, {"domain_randomize": True}])
def test_physics_are_gymnasiums(options, monkeypatch):
    ours, theirs = FastCarRacing(**options), GymnasiumCarRacing(**options)
    monkeypatch.setattr(theirs, "_render", lambda mode: np.zeros((96, 96, 3), np.uint8))
    rng = np.random.default_rng(0)
    for seed in (7, 8):
        ours.reset(seed=seed), theirs.reset(seed=seed)
        terminated = False
        for step in range(500):  # at first anything, then straight on until the playfield ends
            action = np.array([0, 0.3, 0], np.float32)
            if step < 60:
                action = rng.uniform([-1, 0, 0], [1, 1, 1]).astype(np.float32)
            if not ours.continuous:
                action = int(rng.integers(5)) if step < 60 else 3
            _, *outcome = ours.step(action)
            _, *other_outcome = theirs.step(action)
            assert outcome == other_outcome
            terminated = outcome[1]
            for body, other in zip(ours.car.drawlist, theirs.car.drawlist, strict=True):
                assert body.position == other.position and body.angle == other.angle
                assert body.linearVelocity == other.linearVelocity
            if terminated:
                break
        assert terminated and ours.tile_visited_count == theirs.tile_visited_count


def test_simulator_state_is_car_racings():
    ours, theirs = FastCarRacing(), Blind()
    ours.reset(seed=9), theirs.reset(seed=9)
    for _ in range(100):
        ours.step(follow_road(ours)), theirs.step(follow_road(theirs))
    assert (ours.simulator_state() == theirs.simulator_state()).all()


def test_other_render_modes_are_gymnasiums():
    ours, theirs = FastCarRacing(render_mode="rgb_array"), Blind(render_mode="rgb_array")
    ours.reset(seed=2), theirs.reset(seed=2)
    for _ in range(70):
        ours.step(follow_road(ours)), theirs.step(follow_road(theirs))
    assert (ours.render() == theirs.render()).all()


def test_registered():
    env = gym.make("WorldModels/FastCarRacing-v3", continuous=False)
    assert isinstance(env.unwrapped, FastCarRacing) and env.spec.max_episode_steps == 1000
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, TimeLimit) and again.action_space == gym.spaces.Discrete(5)


def test_pickles_as_its_arguments():
    env = FastCarRacing(continuous=False, domain_randomize=True)
    env.reset(seed=0)
    again = pickle.loads(pickle.dumps(env))
    assert not again.continuous and again.domain_randomize
    env, again = FastCarRacing(), pickle.loads(pickle.dumps(FastCarRacing()))
    assert (env.reset(seed=3)[0] == again.reset(seed=3)[0]).all()


@pytest.mark.filterwarnings("ignore:.*Box action space:UserWarning")
def test_gymnasium_checks_pass():
    check_env(gym.make("WorldModels/FastCarRacing-v3").unwrapped, skip_render_check=True)


def test_needs_no_display_and_stays_silent():
    code = (
        "import envs, gymnasium\n"
        "env = gymnasium.make('WorldModels/FastCarRacing-v3', disable_env_checker=True)\n"
        "obs, _ = env.reset(seed=0)\n"
        "assert obs.shape == (96, 96, 3) and obs.max() > 100\n"
    )
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "PYGAME_HIDE_SUPPORT_PROMPT"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


def test_inward_moves_edges_by_one():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])
    expected = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1.0]])
    both_ways = np.stack([square, square[::-1]])
    assert np.allclose(inward(both_ways), np.stack([expected, expected[::-1]]))


def test_stripe_follows_the_wheels_rotation():
    assert stripe_ends(1.0) == (0.0, 0.0)  # below the wheel
    assert np.allclose(stripe_ends(math.pi), (-WHEEL_R, -WHEEL_R * math.cos(1.2)))
    low, high = stripe_ends(math.pi - 0.6)  # half of it has come round
    assert low == -WHEEL_R and math.isclose(high, WHEEL_R * math.cos(math.pi + 0.6))


def test_hull_is_the_outline_of_gymnasiums_polygons():
    from gymnasium.envs.box2d import car_dynamics

    parts = [getattr(car_dynamics, f"HULL_POLY{number}") for number in (1, 2, 3, 4)]
    theirs, ours = np.zeros((300, 300), np.uint8), np.zeros((300, 300), np.uint8)
    for part in parts:
        cv2.fillConvexPoly(theirs, np.array(part, np.int32) + 150, 1)
    cv2.fillPoly(ours, [np.rint(HULL).astype(np.int32) + 150], 1)
    assert (ours != theirs).sum() < 60 and theirs.sum() > 8000


def test_camera_puts_the_car_where_the_window_shows_it():
    camera = Camera(x=12.0, y=-7.0, angle=0.8, t=3.0)
    x, y = 12.0, -7.0
    right, down = x * camera.xx + y * camera.yx + camera.x0, x * camera.xy + y * camera.yy + camera.y0
    assert np.allclose(((right + 7.5) / 32, (down + 7.5) / 32), (48, 72))  # 16 units, 2 canvas pixels a pixel


def test_digits_are_cached_and_survive_the_end_of_pygame():
    assert digits("0123") is digits("0123")
    assert digits("0123")[0] == slice(1, 11)
    assert (digits("0123")[1] != digits("0125")[1]).any()
    before = digits("0777")[1]
    digits.cache_clear()
    pygame.quit()
    assert (digits("0777")[1] == before).all()


def test_road_is_seen_where_it_is_and_not_on_the_lawn():
    """On the road, in the middle of nowhere, and both as blurred as a vision makes them."""
    env = make_env(EnvConfig("WorldModels/FastCarRacing-v3", size=64, crop=(0, 96), action_repeat=4))
    base = env.unwrapped
    env.reset(seed=5)
    driven = [env.step(np.array([0.0, 0.05, 0.0], np.float32))[0] for _ in range(40)][15:]  # seen from near by then
    assert base.simulator_state()[base.simulator_state_names.index("on_road")] > 0.5
    base.car.destroy()
    base.car = Car(base.world, 0.3, 0.0, 0.0)  # the track goes round this point at a distance
    lost = [env.step(np.array([0.0, 0.05, 0.0], np.float32))[0] for _ in range(10)]
    frames = np.stack([*driven, *lost])
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames])
    expected = [True] * len(driven) + [False] * len(lost)
    assert shows_road(frames).tolist() == expected and shows_road(blurred).tolist() == expected
    assert shows_road(env.reset(seed=5)[0][None]).tolist() == [False]  # a thread of road, seen from far above
    env.close()
