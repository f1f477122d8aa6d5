import numpy as np
import pytest
import torch

from agents import ActionSpec, ControllerConfig, make_controller
from generative import VAE, VAEConfig
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.agent.features import Perception, feature_size
from worldmodels.memories import MDNRNN, MDNRNNConfig, ShuffledMemory
from worldmodels.memories.registry import MEMORIES

SPEC = ActionSpec(3, (-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("tanh", "tanh", "relu-tanh"), False)
ROWS = 6


@pytest.fixture(scope="module")
def parts():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = VAE(VAEConfig(latent=4, image_size=32, width=8)).eval()
        memory = MDNRNN(MDNRNNConfig(latent=4, action=3, hidden=16)).eval()
    return vision, memory


def frames(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, ROWS, 32, 32, 3), dtype=np.uint8)


def perceive(parts, config, obs, actions):
    perception = Perception(*parts, config, ROWS)
    found = []
    for step in range(len(obs)):
        found.append(perception.observe(obs[step]).numpy().copy())
        perception.advance(torch.from_numpy(actions[step]))
    return np.stack(found)


def test_the_memory_has_seen_everything_before_this_frame_and_not_this_frame(parts):
    vision, memory = parts
    obs, actions = frames(5), np.random.default_rng(1).random((5, ROWS, 3), dtype=np.float32)
    found = perceive(parts, FeaturesConfig(), obs, actions)
    with torch.inference_mode():
        state = memory.initial(ROWS)
        for step in range(5):
            z, _ = vision.encode(torch.from_numpy(obs[step]).permute(0, 3, 1, 2).float() / 255)
            np.testing.assert_allclose(found[step, :, :4], z.numpy(), atol=1e-5)
            np.testing.assert_allclose(found[step, :, 4:], memory.feature(state).numpy(), atol=1e-5)
            _, state = memory.step(z, torch.from_numpy(actions[step]), state)
    assert (found[0, :, 4:] == 0).all()  # nothing remembered at the first frame


def test_frame_stacks_shift_and_start_with_copies(parts):
    obs = frames(3)
    found = perceive(parts, FeaturesConfig(reads="frame-stack", stack=3), obs, np.zeros((3, ROWS, 3), np.float32))
    z = found[:, :, -4:]
    np.testing.assert_array_equal(found[0], np.tile(z[0], 3))
    np.testing.assert_array_equal(found[2], np.concatenate([z[0], z[1], z[2]], axis=1))


@pytest.mark.parametrize("reads", ["vision", "vision+memory", "frame-stack"])
def test_a_row_does_not_depend_on_its_neighbours(parts, reads):
    config = FeaturesConfig(reads=reads)
    obs, actions = frames(4), np.random.default_rng(1).random((4, ROWS, 3), dtype=np.float32)
    order = np.array([3, 1, 5, 0, 2, 4])
    straight = perceive(parts, config, obs, actions)
    moved = perceive(parts, config, obs[:, order], actions[:, order])
    np.testing.assert_array_equal(straight[:, order], moved)


def test_a_new_episode_forgets_only_its_own_row(parts):
    obs, actions = frames(3), np.ones((3, ROWS, 3), np.float32)
    perception = Perception(*parts, FeaturesConfig(), ROWS)
    for step in range(2):
        perception.observe(obs[step])
        perception.advance(torch.from_numpy(actions[step]))
    perception.begin(2)
    remembered = perception.observe(obs[2])[:, 4:]
    assert (remembered[2] == 0).all() and (remembered[[0, 1, 3, 4, 5]] != 0).any(dim=1).all()


def test_a_shuffled_memory_is_seeded_by_row_and_blind(parts):
    bank = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    perception = Perception(parts[0], ShuffledMemory(bank), FeaturesConfig(memory="shuffled"), ROWS)
    obs = frames(4)
    for row in range(ROWS):
        perception.begin(row, seed=row % 3)
    remembered = []
    for step in range(4):
        remembered.append(perception.observe(obs[step])[:, 4:].clone())
        perception.advance(torch.full((ROWS, 3), float(step)))
    for seen in remembered:
        assert torch.equal(seen[:3], seen[3:])  # other frames, the same seeds
        assert len(seen.unique(dim=0)) == 3
        assert (seen.unsqueeze(1) == bank).all(2).any(1).all()
    assert not torch.equal(remembered[0], remembered[1])
    perception.begin(4, seed=4 % 3)
    again = perception.observe(obs[0])[:, 4:]
    assert torch.equal(again[4], remembered[0][4]) and not torch.equal(again[1], remembered[0][1])


def test_a_memory_with_wide_states_forgets_row_by_row(parts):
    memory = MEMORIES.create("transformer", {"latent": 4, "action": 3, "hidden": 16, "heads": 2, "context": 3}).eval()
    obs, actions = frames(4), np.random.default_rng(1).random((4, ROWS, 3), dtype=np.float32)
    both = []
    for begin in (False, True):
        perception = Perception(parts[0], memory, FeaturesConfig(), ROWS)
        for step in range(4):
            if begin and step == 2:
                perception.begin(1)
                perception.begin(4)
            both.append(perception.observe(obs[step]).numpy().copy())
            perception.advance(torch.from_numpy(actions[step]))
    same = (both[2] == both[6]).all(axis=1)
    np.testing.assert_array_equal(same, [True, False, True, True, False, True])
    assert (both[6][[1, 4], 4:] == 0).all() and (both[7][[1, 4], 4:] != both[3][[1, 4], 4:]).any(axis=1).all()


def test_sampled_latents_are_seeded_by_row(parts):
    obs = frames(1)[0]
    perception = Perception(*parts, FeaturesConfig(reads="vision", latent="sample"), ROWS)
    draws = []
    for seed in (1, 1, 2):
        for row in range(ROWS):
            perception.begin(row, seed)
        draws.append(perception.observe(obs).numpy())
    mean, _ = parts[0].encode(torch.from_numpy(obs).permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).all() and np.abs(draws[0] - mean.detach().numpy()).max() > 1e-3


def test_feature_sizes():
    assert feature_size(FeaturesConfig(), 32, 256) == 288
    assert feature_size(FeaturesConfig(reads="vision"), 32, 256) == 32
    assert feature_size(FeaturesConfig(reads="frame-stack", stack=4), 32, 256) == 128


def policy(parts, parameters, noise=0.0, plan=None):
    controller = make_controller(ControllerConfig(), 20, SPEC)
    return ControllerPolicy(Perception(*parts, FeaturesConfig(), ROWS), controller, SPEC, parameters, noise, plan)


def test_each_slot_drives_its_own_candidate(parts):
    size = make_controller(ControllerConfig(), 20, SPEC).parameters_size
    parameters = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)
    obs = np.repeat(frames(1)[0][:1], ROWS, axis=0)
    driver = policy(parts, parameters, plan=[(2, 0), (0, 0), (1, 0)])
    for slot in range(ROWS):
        driver.begin(slot, slot % 3)
    action = driver.act(obs, np.ones(ROWS, bool))
    np.testing.assert_array_equal(action[:3], action[3:])
    assert len(np.unique(action[:3], axis=0)) == 3
    alone = policy(parts, parameters[2:])
    alone.begin(0, 0)
    np.testing.assert_array_equal(alone.act(obs, np.ones(ROWS, bool))[0], action[0])


def test_exploration_is_seeded_bounded_and_remembered(parts):
    size = make_controller(ControllerConfig(), 20, SPEC).parameters_size
    obs = frames(2)
    actions = []
    for seed in (4, 4, 5):
        driver = policy(parts, np.zeros((1, size), np.float32), noise=0.5)
        driver.begin(0, seed)
        actions.append(driver.act(obs[0], np.ones(ROWS, bool))[0])
        after = driver.perception.observe(obs[1])[0, 4:].clone()
    np.testing.assert_array_equal(actions[0], actions[1])
    assert (actions[0] != actions[2]).any()
    assert (actions[0] >= SPEC.low).all() and (actions[0] <= SPEC.high).all()
    quiet = policy(parts, np.zeros((1, size), np.float32))
    quiet.begin(0, 5)
    quiet.act(obs[0], np.ones(ROWS, bool))
    assert (quiet.perception.observe(obs[1])[0, 4:] != after).any()  # the memory saw the noisy action
