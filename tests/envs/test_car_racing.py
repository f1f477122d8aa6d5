import gc
import json
import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  registers the ids
from envs import car_racing
from envs.car_racing import CarRacing, CentreLine, wrap_angle

NAMES = CarRacing.simulator_state_names


@pytest.fixture
def env(monkeypatch):
    """A CarRacing whose frames cost nothing: physics is what these tests look at."""
    env = CarRacing()
    monkeypatch.setattr(env, "draw_state_pixels", lambda: np.zeros((96, 96, 3), np.uint8))
    env.reset(seed=3)
    return env


def state_of(env):
    return dict(zip(NAMES, env.simulator_state().tolist(), strict=True))


def road_at(env, tile):
    """Position, heading, and unit vectors forward and left of a tile."""
    _, heading, x, y = env.track[tile]
    forward = np.array([-np.sin(heading), np.cos(heading)])
    left = np.array([-np.cos(heading), -np.sin(heading)])
    return np.array([x, y]), heading, forward, left


def place(env, tile, ahead=0.0, to_the_left=0.0, turned_left=0.0):
    position, heading, forward, left = road_at(env, tile)
    env.car.hull.position = (position + ahead * forward + to_the_left * left).tolist()
    env.car.hull.angle = heading + turned_left


def circle(radius, turn, tiles=400):
    """A round track driven counter-clockwise (turn=1) or clockwise (turn=-1)."""
    angle = turn * np.arange(tiles) * 2 * np.pi / tiles
    heading = angle if turn > 0 else angle + np.pi
    return [(0.0, *row) for row in zip(heading, radius * np.cos(angle), radius * np.sin(angle), strict=True)]


def test_registered_and_listed_last():
    spec = gym.spec("WorldModels/CarRacing-v3")
    assert spec.max_episode_steps == 1000 and spec.entry_point == "envs.car_racing:CarRacing"
    assert NAMES[-1] == "on_road" and len(set(NAMES)) == len(NAMES)
    assert CarRacing.action_squash == ("tanh", "tanh", "relu-tanh")


@pytest.mark.slow
def test_equals_gymnasium_bit_for_bit():
    ours, theirs = gym.make("WorldModels/CarRacing-v3"), gym.make("CarRacing-v3")
    rng = np.random.default_rng(0)
    frame, other = ours.reset(seed=5)[0], theirs.reset(seed=5)[0]
    assert (frame == other).all()
    for _ in range(30):
        action = rng.uniform([-1, 0, 0], [1, 1, 0.3]).astype(np.float32)
        frame, reward, *ends, info = ours.step(action)
        other, other_reward, *other_ends, other_info = theirs.step(action)
        assert frame.dtype == np.uint8 and (frame == other).all()
        assert (reward, ends, info) == (other_reward, other_ends, other_info)


@pytest.mark.parametrize("options", [{"continuous": False}, {"domain_randomize": True}])
def test_gymnasium_options_remain(options):
    ours, theirs = CarRacing(**options), gym.make("CarRacing-v3", **options).unwrapped
    assert ours.action_space == theirs.action_space
    ours.reset(seed=1), theirs.reset(seed=1)
    if "domain_randomize" in options:
        assert (ours.road_color == theirs.road_color).all() and ours.road_color[0] != 102
    else:
        assert (ours.step(3)[0] == theirs.step(3)[0]).all()


def test_rgb_array_is_drawn_whatever_draw_says():
    env = CarRacing(render_mode="rgb_array")
    env.reset(seed=1)
    env.draw = False
    first = env.render()
    for _ in range(20):
        env.step(np.array([1, 1, 0], np.float32))
    assert first.shape == (400, 600, 3) and (env.render() != first).any()


def test_draws_only_what_is_seen(monkeypatch):
    drawn = []
    draw = CarRacing.draw_state_pixels
    monkeypatch.setattr(CarRacing, "draw_state_pixels", lambda self: drawn.append(self.t) or draw(self))
    env = CarRacing()
    env.draw = False
    first, _ = env.reset(seed=1)
    assert len(drawn) == 1
    for _ in range(5):
        assert env.step(np.array([0, 1, 0], np.float32))[0] is first
    assert len(drawn) == 1
    env.draw = True
    assert (env.step(np.array([0, 1, 0], np.float32))[0] != first).any()
    assert len(drawn) == 2
    env.draw = False
    assert (env.reset(seed=2)[0] != first).any()
    assert len(drawn) == 3


def test_start_is_at_rest_in_the_middle_of_the_road(env):
    state = state_of(env)
    assert abs(state["lateral_offset"]) < 0.02 and abs(state["heading_error"]) < 0.02
    assert abs(state["speed"]) < 0.01 and state["on_road"] == 1.0
    assert (
        state["tiles_visited"] == pytest.approx(env.tile_visited_count / len(env.track)) and 0 < state["tiles_visited"]
    )
    position, heading, _, _ = road_at(env, 0)
    assert (state["x"], state["y"]) == pytest.approx(position, abs=0.01)
    assert state["heading"] == pytest.approx(heading, abs=0.02)


def test_left_is_positive(env):
    straight = int(np.argmin(np.abs(env._centre_line.curvature[:, 1])))
    place(env, straight, to_the_left=2.0, turned_left=0.3)
    state = state_of(env)
    assert state["lateral_offset"] == pytest.approx(2.0, abs=0.02)
    assert state["heading_error"] == pytest.approx(0.3, abs=0.01)
    place(env, straight, to_the_left=-3.0, turned_left=-0.5)
    state = state_of(env)
    assert state["lateral_offset"] == pytest.approx(-3.0, abs=0.02)
    assert state["heading_error"] == pytest.approx(-0.5, abs=0.01)
    place(env, straight, turned_left=2 * np.pi + 0.1)  # whole turns do not count
    assert state_of(env)["heading_error"] == pytest.approx(0.1, abs=0.01)


def test_velocity_is_told_in_the_car_s_directions(env):
    place(env, 20, turned_left=0.4)
    angle = env.car.hull.angle
    forward, left = np.array([-np.sin(angle), np.cos(angle)]), np.array([-np.cos(angle), -np.sin(angle)])
    env.car.hull.linearVelocity = (3 * forward + 4 * left).tolist()
    state = state_of(env)
    assert state["forward_velocity"] == pytest.approx(3, abs=1e-4)
    assert state["lateral_velocity"] == pytest.approx(4, abs=1e-4)
    assert state["speed"] == pytest.approx(5, abs=1e-4)


def test_driving_right_decreases_heading_and_offset(env):
    place_before = state_of(env)
    for _ in range(40):
        env.step(np.array([1, 0.5, 0], np.float32))
    state = state_of(env)
    assert state["wheel_angle"] < -0.3 and state["angular_velocity"] < -0.1
    assert state["heading"] < place_before["heading"] - 0.2
    assert state["lateral_offset"] < -0.5 and state["heading_error"] < -0.2
    assert state["speed"] > 5 and state["wheel_speed_rear_left"] > 5


def test_offset_grows_at_speed_times_sine_of_heading_error(env):
    straight = int(np.argmin(np.abs(env._centre_line.curvature[:, 1])))
    before, after = [], []
    for ahead in (0.0, 1.0, 2.0, 3.0):
        error, step = 0.2, 0.1
        place(env, straight, ahead=ahead, turned_left=error)
        before.append(state_of(env)["lateral_offset"])
        place(
            env,
            straight,
            ahead=ahead + step * np.cos(error),
            to_the_left=step * np.sin(error),
            turned_left=error,
        )
        after.append(state_of(env)["lateral_offset"])
    assert np.subtract(after, before) == pytest.approx([0.1 * np.sin(0.2)] * 4, abs=2e-3)


@pytest.mark.parametrize("turn", [1, -1])
def test_curvature_and_offsets_on_a_circle(turn):
    line = CentreLine(circle(200.0, turn))  # tiles of 3.14 m
    assert line.curvature == pytest.approx(np.full((400, 3), turn / 200), rel=1e-3)
    for angle in np.linspace(0, 2 * np.pi, 23):  # at tiles and between them, once round
        _, offset, heading = line.locate(198.0 * np.cos(angle), 198.0 * np.sin(angle))
        assert offset == pytest.approx(2.0 * turn, abs=0.01)  # inside is left only when driving counter-clockwise
        direction = angle if turn > 0 else angle + np.pi
        assert wrap_angle(heading - direction) == pytest.approx(0, abs=1e-3)


def test_curvature_looks_ahead_not_back():
    straight = [(0.0, 0.0, 0.0, 3.5 * i) for i in range(20)]  # heading 0 runs along +y
    bend = [(0.0, 0.1 * (i + 1), -1.0 - i, 70.0 + i) for i in range(20)]
    curvature = CentreLine(straight + bend).curvature
    assert curvature[0] == pytest.approx([0, 0, 0])
    assert curvature[17, 0] > 0 and curvature[14, 0] == 0  # 10 m sees three tiles
    assert curvature[10, 2] > 0 and curvature[10, 1] == 0


def test_on_road_counts_wheels(env):
    assert state_of(env)["on_road"] == 1.0
    for tiles, wheel in ((3, 0), (2, 1), (1, 2), (0, 3)):
        env.car.wheels[wheel].tiles.clear()
        assert state_of(env)["on_road"] == tiles / 4


def test_same_seed_same_states_and_other_seed_other():
    def drive(seed):
        env = CarRacing()
        env.draw = False
        env.reset(seed=seed)
        states = [env.simulator_state()]
        for t in range(60):
            env.step(np.array([np.sin(t / 7), 0.6, 0], np.float32))
            states.append(env.simulator_state())
        return np.stack(states)

    first, second, other = drive(8), drive(8), drive(9)
    assert first.dtype == np.float32 and first.shape == (61, len(NAMES)) and np.isfinite(first).all()
    assert (first == second).all() and (first != other).any()


def test_reset_reuses_the_environment_without_a_trace():
    def drive(env):
        env.reset(seed=4)
        for t in range(50):
            env.step(np.array([np.cos(t / 9), 0.5, 0.1], np.float32))
        return env.simulator_state()

    used = CarRacing()
    used.draw = False
    used.reset(seed=17)
    for _ in range(30):
        used.step(np.array([-1, 1, 0], np.float32))
    fresh = CarRacing()
    fresh.draw = False
    assert (drive(used) == drive(fresh)).all()


def test_state_is_cheap(env):
    """It looks at no tile after the other: that would be several steps of the interpreter for each of them."""
    env.simulator_state()
    steps = []

    def trace(frame, event, argument):
        frame.f_trace_opcodes = frame.f_code.co_filename == car_racing.__file__
        if event == "opcode":
            steps.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        env.simulator_state()
    finally:
        sys.settrace(before)
    assert 0 < len(steps) < 3 * len(env.unwrapped.track), len(steps)


def test_state_needs_a_reset():
    with pytest.raises(ResetNeeded, match="call reset"):
        CarRacing().simulator_state()


def test_needs_no_display_and_stays_silent():
    code = (
        "import json, os, envs, gymnasium\n"
        "env = gymnasium.make('WorldModels/CarRacing-v3', disable_env_checker=True)\n"
        "obs, _ = env.reset(seed=0)\n"
        "print(json.dumps([list(obs.shape), int(obs.max()) > 100]))\n"
    )
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "PYGAME_HIDE_SUPPORT_PROMPT"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[96, 96, 3], True]  # nothing else was printed


@pytest.mark.slow
def test_resets_free_their_tracks(env):
    process = psutil.Process()

    def reset(times):
        for seed in range(times):
            env.reset(seed=seed % 5)
        gc.collect()

    reset(20)
    before = process.memory_info().rss
    reset(60)
    # A track kept alive is half a megabyte; Box2D itself loses 2.5 kB with every car.
    assert process.memory_info().rss - before < 4e6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Box action space:UserWarning")
def test_closed_environments_leave_nothing_and_can_be_reset():
    def bodies():
        gc.collect()
        return sum(type(each).__name__ == "b2Body" for each in gc.get_objects())

    before = bodies()
    for seed in range(2):
        env = gym.make("WorldModels/CarRacing-v3").unwrapped
        first = env.reset(seed=seed)[0]
        assert bodies() > before + 200
        env.close()
        with pytest.raises(ResetNeeded):
            env.simulator_state()
        env.close()
    assert np.array_equal(env.reset(seed=seed)[0], first)
    env.step(np.array([0.0, 1.0, 0.0]))
    env.close()
    assert bodies() == before


def test_gymnasium_checks_pass():
    check_env(gym.make("WorldModels/CarRacing-v3").unwrapped, skip_render_check=True)


def test_reward_rate_is_the_reward_without_its_spikes(env):
    earned, rated = 0.0, 0.0
    for _ in range(300):
        state = state_of(env)
        steer = state["heading_error"] + 0.05 * state["lateral_offset"] - 4 * state["curvature_10"]
        _, reward, *_ = env.step(np.array([np.clip(steer, -1, 1), 0.3 * (state["speed"] < 30), 0], np.float32))
        earned, rated = earned + reward, rated + state_of(env)["reward_rate"]
    assert earned > 100 and rated == pytest.approx(earned, rel=0.1)


def test_reward_rate_is_the_cost_of_time_beside_the_road_and_backwards(env):
    env.car.hull.linearVelocity = (30 * road_at(env, 0)[2]).tolist()
    assert state_of(env)["reward_rate"] == pytest.approx(30 / 50 / 3.5 * 1000 / len(env.track) - 0.1, rel=1e-3)
    env.car.hull.linearVelocity = (-30 * road_at(env, 0)[2]).tolist()
    assert state_of(env)["reward_rate"] == pytest.approx(-0.1)
    for wheel in env.car.wheels:
        wheel.tiles.clear()
    env.car.hull.linearVelocity = (30 * road_at(env, 0)[2]).tolist()
    assert state_of(env)["reward_rate"] == pytest.approx(-0.1)
