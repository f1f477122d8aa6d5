"""Who drives while rollouts are recorded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents import ActionSpec, ControllerConfig, make_controller
from generative import VAE, VAEConfig
from tests.small import small_config
from worldmodels.agent.build import env_shape
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.agent.features import Perception
from worldmodels.memories import MDNRNN, MDNRNNConfig
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order
from worldmodels.rollouts.config import CollectConfig
from worldmodels.rollouts.episode import EpisodeFile

ENV = small_config().env


def setup(**collect):
    spec = env_shape(ENV).spec
    vision = VAE(VAEConfig(latent=4, image_size=32, width=8))
    memory = MDNRNN(MDNRNNConfig(latent=4, action=spec.size, hidden=8))
    features, controller = FeaturesConfig(), ControllerConfig()
    bundle = Bundle(ENV, spec, features, controller, **bundle_parts(vision, memory))
    parameters = np.full(bundle.build_controller().parameters_size, 0.3, np.float32)
    config = CollectConfig(**{"agent": "somewhere", "noise": 0.0, "policies": ("agent",), **collect})
    return CollectSetup(ENV, config, bundle, parameters, {}, 2)


def recorded(tmp_path, given, policy, seeds):
    worker = CollectWorker(given)
    actions = []
    recordings = worker([Order(number, policy, 5, seed) for number, seed in enumerate(seeds)])
    for recording in sorted(recordings, key=lambda recording: recording.number):
        path = tmp_path / f"{policy}{recording.number}.zip"
        path.write_bytes(recording.content)
        actions.append(EpisodeFile(path).steps()[0])
    worker.close()
    return actions


def test_a_perturbed_agent_drives_another_way_each_episode(tmp_path):
    given = setup(perturbation=0.5)
    plain = recorded(tmp_path, given, "agent", [1, 2])
    moved = recorded(tmp_path, given, "perturbed-agent", [1, 2])
    assert np.array_equal(plain[0][0], plain[1][0])
    assert not np.array_equal(moved[0][0], moved[1][0]) and not np.array_equal(moved[0][0], plain[0][0])
    again = recorded(tmp_path, given, "perturbed-agent", [1])
    assert np.array_equal(again[0], moved[0])


def test_a_random_controller_owes_the_agent_nothing(tmp_path):
    given = setup(perturbation=0.5)
    other = replace(given, parameters=-given.parameters)
    ours, theirs = (recorded(tmp_path, each, "random-controller", [7])[0] for each in (given, other))
    assert np.array_equal(ours, theirs)
    assert not np.array_equal(ours, recorded(tmp_path, given, "random-controller", [8])[0])


@pytest.mark.parametrize("policy", ["random-controller", "ornstein-uhlenbeck"])
def test_what_is_random_varies_about_the_bias_it_is_given(tmp_path, policy):
    braking = []
    for bias in ((), (0.0, -1.0, -4.0)):
        given = setup(perturbation=0.1, policies=(policy,), bias=bias)
        actions = np.concatenate(recorded(tmp_path, given, policy, range(6)))
        braking.append((actions[:, 2] > 0).mean())
    assert braking[0] > 0.2 and braking[1] < 0.1


@pytest.mark.parametrize(("correlation_time", "correlation"), [(0.0, 0.0), (8.0, np.exp(-1 / 8))])
def test_noise_lasts_as_long_as_it_is_told(correlation_time, correlation):
    spec = ActionSpec(1, (-50.0,), (50.0,), ("tanh",), False)
    vision = VAE(VAEConfig(latent=4, image_size=32, width=8)).eval()
    perception = Perception(vision, None, FeaturesConfig(reads="vision"), 1)
    controller = make_controller(ControllerConfig(), 4, spec)
    policy = ControllerPolicy(
        perception, controller, spec, np.zeros((1, 5)), noise=0.01, correlation_time=correlation_time
    )
    policy.begin(0, 3)
    with torch.inference_mode():
        noise = np.array([float(policy._explore(torch.zeros(1, 1))[0, 0]) for _ in range(4000)])
    assert noise.std() == pytest.approx(1.0, rel=0.15)  # a hundredth of the range of 100
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] == pytest.approx(correlation, abs=0.05)


def test_policies_that_need_an_agent_ask_for_one():
    for policy in ("agent", "perturbed-agent", "random-controller"):
        with pytest.raises(ValueError, match=f"`{policy}`"):
            CollectConfig(policies=(policy,))
