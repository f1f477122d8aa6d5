import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from torch import nn

from agents import ActionSpec, ControllerConfig, make_controller
from generative import VAE, VAEConfig
from worldmodels.dream import DreamConfig, Noise, Starts, imagine
from worldmodels.dream_env import DreamEnv
from worldmodels.memory import MDNRNN, MDNRNNConfig
from worldmodels.perception import FeaturesConfig, Perception

SPEC = ActionSpec(3, (-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("tanh", "tanh", "relu-tanh"), False)
SPACES = (gym.spaces.Box(0, 255, (32, 32, 3), np.uint8), gym.spaces.Box(np.float32(SPEC.low), np.float32(SPEC.high)))
CONFIG = DreamConfig(horizon=12, warmup=4, block=3, standstill=0.5, dtype="float32")
SEEDS = [11, 22, 33, 46]


@pytest.fixture(scope="module")
def parts():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = VAE(VAEConfig(latent=4, image_size=32, width=8)).eval()
        memory = MDNRNN(MDNRNNConfig(latent=4, action=3, hidden=16)).eval()
        for parameter in memory.parameters():
            parameter.data *= 3  # a lively world
    return vision, memory


@pytest.fixture(scope="module")
def starts():
    rng = np.random.default_rng(0)
    return Starts(
        rng.standard_normal((7, 4), dtype=np.float32),
        rng.standard_normal((5, 5, 4), dtype=np.float32),
        rng.random((5, 4, 3), dtype=np.float32),
    )


def candidates(count):
    size = make_controller(ControllerConfig(), 20, SPEC).parameters_size
    return np.random.default_rng(5).normal(size=(count, size)).astype(np.float32)


def dream(parts, starts, parameters, config=CONFIG, seeds=SEEDS, memory=None, features=None):
    vision, generator = parts
    features = features or FeaturesConfig()
    perception = Perception(vision, memory or generator, features, config.block * len(seeds))
    controller = make_controller(ControllerConfig(), 20 if features.uses_memory else 4, SPEC)
    return imagine(generator, perception, controller, parameters, seeds, starts, config)


def by_hand(parts, starts, parameters, seed, config=CONFIG):
    """One candidate in one dream, one step at a time, as plainly as it can be said."""
    _, memory = parts
    noise = Noise.draw([seed], starts, config)
    state = memory.initial(1)
    if noise.still[0]:
        z = torch.from_numpy(starts.still)[noise.still_index]
    else:
        path, actions = torch.from_numpy(starts.z)[noise.warm_index], torch.from_numpy(starts.action)[noise.warm_index]
        for step in range(actions.shape[1]):
            _, state = memory.step(path[:, step], actions[:, step], state)
        z = path[:, -1]
    total = 0.0
    controller = make_controller(ControllerConfig(), 20, SPEC)
    for step in range(config.horizon):
        action = controller.act(torch.cat([z, memory.feature(state)], 1), torch.from_numpy(parameters[None]))
        prediction, state = memory.step(z, action, state)
        z = prediction.sample(config.temperature, noise.uniform[:, step], noise.normal[:, step])
        total += float(prediction.reward)
        if noise.end[0, step] < torch.sigmoid(prediction.termination_logit):
            return total - config.termination_charge * (config.horizon - step - 1)
    return total


def test_the_batched_kernel_dreams_what_a_plain_loop_dreams(parts, starts):
    parameters = candidates(3)
    found = dream(parts, starts, parameters)
    with torch.inference_mode():
        expected = [[by_hand(parts, starts, row, seed) for seed in SEEDS] for row in parameters]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert len(np.unique(found.round(4))) == 12


def test_a_dream_does_not_depend_on_its_company(parts, starts):
    parameters = candidates(3)
    together = dream(parts, starts, parameters)
    np.testing.assert_array_equal(dream(parts, starts, parameters[:2]), together[:2])
    np.testing.assert_array_equal(dream(parts, starts, parameters[[2, 0, 1]]), together[[2, 0, 1]])


def test_an_agent_with_a_memory_of_its_own_is_warmed_up_too(parts, starts):
    twin = MDNRNN(parts[1].config).eval()
    twin.load_state_dict(parts[1].state_dict())
    parameters = candidates(2)
    np.testing.assert_allclose(
        dream(parts, starts, parameters, memory=twin), dream(parts, starts, parameters), rtol=1e-4, atol=1e-3
    )


def test_terminated_dreams_earn_no_more_and_are_charged(parts, starts):
    class Ends(nn.Module):
        """Gives 1 a step and ends every dream at its third step."""

        def initial(self, rows):
            return (torch.zeros(rows, 1),)

        def advance(self, z, action, state):
            return (state[0],)

        def feature(self, state):
            return torch.zeros(len(state[0]), 16)

        def step(self, z, action, state):
            logit = torch.where(state[0][:, 0] >= 2, 100.0, -100.0)

            class Sure:
                reward, termination_logit = torch.ones(len(z)), logit

                def sample(self, temperature, uniform, normal):
                    return z

            return Sure(), (state[0] + 1,)

    world = Ends()
    found = dream((parts[0], world), starts, candidates(1), memory=world)
    np.testing.assert_allclose(found, 3 - 0.1 * (12 - 3), rtol=1e-6)
    endless = dataclasses.replace(CONFIG, terminates=False)
    np.testing.assert_allclose(dream((parts[0], world), starts, candidates(1), endless, memory=world), 12)


def test_temperature_changes_the_dream(parts, starts):
    hot = dataclasses.replace(CONFIG, temperature=1.5)
    assert (dream(parts, starts, candidates(1)) != dream(parts, starts, candidates(1), hot)).any()


def test_the_share_of_standstill_starts(starts):
    noise = Noise.draw(list(range(4000)), starts, dataclasses.replace(CONFIG, horizon=1, standstill=0.3))
    assert abs(float(noise.still.float().mean()) - 0.3) < 0.03


@pytest.mark.parametrize("observe", ["frames", "latents"])
@pytest.mark.filterwarnings("ignore:.*check_env.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*we recommend.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*infinity.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*different render modes.*:UserWarning")
def test_the_dream_is_a_gymnasium_environment(parts, starts, observe):
    check_env(DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, observe), skip_render_check=True)


def test_frames_are_decoded_only_when_someone_looks(parts, starts, monkeypatch):
    env = DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, "latents")
    looks = []
    decode = env.vision.decode
    monkeypatch.setattr(env.vision, "decode", lambda z: looks.append(1) or decode(z))
    env.reset(seed=1)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert not looks
    assert env.render().shape == (32, 32, 3) and len(looks) == 1


def test_a_dream_ends_at_its_horizon_and_starts_where_asked(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, dataclasses.replace(CONFIG, terminates=False))
    obs, info = env.reset(seed=3, options={"start": "standstill", "index": 2})
    np.testing.assert_array_equal(info["z"], starts.still[2])
    assert obs.dtype == np.uint8 and env.observation_space.contains(obs)
    env.action_space.seed(0)
    ends = [env.step(env.action_space.sample())[3] for _ in range(CONFIG.horizon)]
    assert ends == [False] * (CONFIG.horizon - 1) + [True]
    _, info = env.reset(options={"start": "warm", "index": 1})
    np.testing.assert_array_equal(info["z"], starts.z[1, -1])


def test_bad_use_is_explained(parts, starts):
    env = DreamEnv(*parts, starts, SPACES, SPEC, CONFIG)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="not in"):
        env.step(np.array([5.0, 0, 0], np.float32))
    with pytest.raises(ValueError, match="standstill"):
        env.reset(options={"start": "middle"})
    with pytest.raises(ValueError, match="observe"):
        DreamEnv(*parts, starts, SPACES, SPEC, CONFIG, "pixels")
