"""Runs, agents, environments and dreams by name, and in the hands of gymnasium and Stable-Baselines3."""

import shutil

import gymnasium as gym
import numpy as np
import pytest

from envs import EnvConfig, VectorEnv
from scripts.stages import evaluate, evolve
from tests.strange import on_path  # noqa: F401  # a fixture
from worldmodels import Run, RunError, load_agent, load_dream, make_env, open_run
from worldmodels.files import read_lines


@pytest.fixture(scope="module")
def finished(_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("opening") / "runs" / "mine"
    shutil.copytree(_trained.path, path)
    run = Run(path)
    for stage in (evolve, evaluate):
        for _ in stage(run):
            pass
    return run


@pytest.fixture
def here(finished, monkeypatch):
    """The folder above `runs`, as a user stands in it."""
    monkeypatch.chdir(finished.path.parents[1])


@pytest.mark.parametrize("name", ["mine", "runs/mine", "path", "run"])
def test_a_run_is_opened_by_any_of_its_names(finished, here, name):
    named = {"path": finished.path, "run": finished}.get(name, name)
    assert open_run(named).config == finished.config
    assert load_agent(named).env_config == finished.config.env
    assert load_dream(named, "latents").observation_space.shape == (finished.config.vision.options.latent,)
    env = make_env(named)
    assert env.observation_space.shape == (32, 32, 3)
    env.close()


def test_an_environment_is_made_from_an_id_or_a_configuration():
    for env in (make_env("WorldModels/Toy-v0"), make_env(EnvConfig(id="WorldModels/Toy-v0", crop=(0, 0)))):
        assert env.reset(seed=0)[0].shape == (64, 64, 3)
        env.close()
    with pytest.raises(RunError, match=r"nowhere is no run folder.*nor is 'nowhere' the id of a known environment"):
        make_env("nowhere")
    with pytest.raises(RunError, match="CartPole-v1"):
        make_env("CartPole-v1")
    with pytest.raises(RunError, match="no run folder"):
        load_dream("nowhere")
    with pytest.raises(RunError, match="no run folder"):
        load_agent("nowhere")


def frames_of(run, tracks, size=None):
    env = make_env(run)
    frames = [[env.reset(seed=track)[0]] for track in tracks]
    for row, track in zip(frames, tracks, strict=True):
        env.reset(seed=track)
        row += [env.step(env.action_space.sample())[0] for _ in range(5)]
    env.close()
    return np.array(frames)


def test_predict_acts_as_act_does_however_many_rows_there_are(finished):
    agent = load_agent(finished)
    frames = frames_of(finished, [0, 1, 2])
    wanted = []
    for row in frames:
        agent.reset()
        wanted.append([agent.act(frame) for frame in row])
    state, starts = None, np.ones(3, dtype=bool)
    for step in range(frames.shape[1]):
        actions, state = agent.predict(frames[:, step], state, starts, deterministic=True)
        starts = np.zeros(3, dtype=bool)
        np.testing.assert_allclose(actions, [row[step] for row in wanted], atol=1e-5)
    single, _ = agent.predict(frames[0, 0])
    np.testing.assert_allclose(single, wanted[0][0], atol=1e-5)


def test_a_state_is_a_value_and_an_episodes_start_forgets(finished):
    agent = load_agent(finished)
    frames = frames_of(finished, [0, 1])
    _, state = agent.predict(frames[:, 0])
    once, after = agent.predict(frames[:, 1], state)
    agent.predict(frames[:, 2], after)
    again, _ = agent.predict(frames[:, 1], state)
    np.testing.assert_array_equal(once, again)
    fresh, _ = agent.predict(frames[:, 1])
    begun, _ = agent.predict(frames[:, 1], after, np.array([True, False]))
    np.testing.assert_array_equal(begun[0], fresh[0])
    assert np.abs(begun[1] - fresh[1]).max() > 0  # this row remembers


def test_predict_refuses_what_does_not_go_together(finished):
    agent = load_agent(finished)
    frames = frames_of(finished, [0, 1])
    _, state = agent.predict(frames[:, 0])
    with pytest.raises(RunError, match="1 frames, 2 rows of state"):
        agent.predict(frames[:1, 0], state)
    with pytest.raises(RunError, match="3 episode_start"):
        agent.predict(frames[:, 0], None, np.ones(3, dtype=bool))
    for wrong in (frames[:, 0].astype(np.float32), frames, np.zeros(3, np.uint8)):
        with pytest.raises(RunError, match="uint8"):
            agent.predict(wrong)


@pytest.mark.slow
def test_stable_baselines_measures_the_agent_as_we_do(finished):
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation")
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")

    class Tracks(gym.Wrapper):
        """Plays test tracks 0 and on, one an episode."""

        def __init__(self, env, first):
            super().__init__(env)
            self.track = first - 1

        def reset(self, **kwargs):
            self.track += 1
            return self.env.reset(seed=self.track)

    rows = {row["track"]: row["return"] for row in read_lines(finished.folder("evaluate") / "episodes.jsonl")}
    env = vec_env.VecMonitor(vec_env.DummyVecEnv([lambda at=at: Tracks(make_env(finished), at) for at in (0, 2)]))
    found, _ = evaluation.evaluate_policy(load_agent(finished), env, n_eval_episodes=4, return_episode_rewards=True)
    assert sorted(found) == pytest.approx(sorted(rows[track] for track in range(4)), abs=1e-3)


def test_gymnasium_makes_the_dream_of_a_run(finished, here):
    env = gym.make("WorldModels/Dream-v0", run="mine")
    assert env.observation_space.shape == (32, 32, 3)
    first, _ = env.reset(seed=3)
    own = load_dream("mine")
    np.testing.assert_array_equal(first, own.reset(seed=3)[0])
    action = env.action_space.sample()
    obs, reward, *_ = env.step(action)
    wanted, earned, *_ = own.step(action)
    np.testing.assert_array_equal(obs, wanted)
    assert reward == earned
    assert gym.make("WorldModels/Dream-v0", run=finished, observe="latents").reset(seed=0)[0].dtype == np.float32
    with pytest.raises(RunError, match="no run folder"):
        gym.make("WorldModels/Dream-v0", run="nowhere")
    with pytest.raises(RunError, match="render_mode='human'"):
        gym.make("WorldModels/Dream-v0", run="mine", render_mode="human")


def test_gymnasium_makes_our_vector_environments(finished, here):
    for env_id, kwargs in (("WorldModels/Dream-v0", {"run": "mine"}), ("WorldModels/Toy-v0", {})):
        env = gym.make_vec(env_id, num_envs=3, **kwargs)
        assert isinstance(env, VectorEnv)
        assert env.metadata["autoreset_mode"] is gym.vector.AutoresetMode.DISABLED
        obs, _ = env.reset(seed=[5, 6, 5])
        np.testing.assert_array_equal(obs[0], obs[2])
        assert (obs[0] != obs[1]).any()
        env.step(env.action_space.sample())
        env.close()
    dreams = gym.make_vec("WorldModels/Dream-v0", num_envs=2, run="mine")
    assert dreams.envs[0].memory is dreams.envs[1].memory


@pytest.mark.parametrize("env_id", ["WorldModels/CarRacing-v3", "WorldModels/FastCarRacing-v3"])
def test_many_cars_at_once_have_their_limit_of_steps(env_id):
    env = gym.make_vec(env_id, num_envs=2, max_episode_steps=2, domain_randomize=False)
    assert isinstance(env, VectorEnv)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[3] for _ in range(2)]
    assert not ends[0].any() and ends[1].all()
    env.close()


def test_an_environment_of_a_package_opens_by_its_id(on_path):  # noqa: F811
    with pytest.raises(RunError, match="envs:PickObservation"):  # the package is imported; its pictures are in a Dict
        make_env("strange:Strange-v0")
    with pytest.raises(RunError, match="there is no package `no_such`"):
        make_env("no_such:Env-v0")
