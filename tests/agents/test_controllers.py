import importlib.metadata
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.actions import ActionSpec
from agents.controllers import (
    CONTROLLERS,
    ControllerConfig,
    LinearController,
    MLPController,
    make_controller,
)
from agents.lookup import ENTRY_POINT_GROUP

CAR = ActionSpec.from_space(
    gym.spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32)),
    ("tanh", "tanh", "relu-tanh"),
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_parameter_counts_are_the_papers():
    assert LinearController(288, CAR).parameters_size == 867
    assert LinearController(32, CAR).parameters_size == 99
    assert MLPController(32, CAR, (40,)).parameters_size == 1443
    assert MLPController(288, CAR, (64, 64)).parameters_size == 288 * 64 + 64 + 64 * 64 + 64 + 64 * 3 + 3


@pytest.mark.parametrize("name", CONTROLLERS)
def test_zero_weights_do_the_papers_zero_action(name):
    controller = make_controller(ControllerConfig(type=name), 10, CAR)
    action = controller.act(normal(4, 10), torch.zeros(4, controller.parameters_size))
    assert action.tolist() == [[0.0, 0.5, 0.0]] * 4


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_resting_controller_does_what_its_biases_say(name):
    controller = make_controller(ControllerConfig(type=name), 10, CAR)
    parameters = torch.from_numpy(controller.resting((0.5, -1.0, -2.0))).float()
    action = controller.act(normal(4, 10), parameters.expand(4, -1))
    wanted = CAR.squash_action(torch.tensor([[0.5, -1.0, -2.0]])).expand(4, -1)
    torch.testing.assert_close(action, wanted)
    noise = 0.3 * normal(500, controller.parameters_size)
    features = normal(1, 10, seed=1).expand(500, -1)
    braking = [(controller.act(features, start + noise)[:, 2] > 0).float().mean() for start in (parameters, 0)]
    assert braking[0] < 0.1 and braking[1] > 0.4
    for bias in ((0.0, 0.0), (0.0, 0.0, float("nan"))):
        with pytest.raises(ValueError, match="3 finite numbers"):
            controller.resting(bias)


def test_bias_comes_first_then_one_weight_row_per_feature():
    controller = LinearController(4, CAR)
    parameters = torch.zeros(3, 15)
    parameters[0, 0] = 1.0  # bias of steer
    parameters[1, 3] = 1.0  # feature 0 to steer
    parameters[2, 3 + 3 * 2 + 1] = 1.0  # feature 2 to gas
    features = torch.tensor([2.0, 3.0, 5.0, 7.0]).expand(3, -1)
    action = controller.act(features, parameters)
    torch.testing.assert_close(action[:, 0], torch.tensor([1.0, 2.0, 0.0]).tanh())
    torch.testing.assert_close(action[:, 1], (torch.tensor([0.0, 0.0, 5.0]).tanh() + 1) / 2)


@pytest.mark.parametrize("layers", [(), (7,), (6, 5)])
def test_every_row_is_its_own_perceptron(layers):
    controller = MLPController(9, CAR, layers)
    features, parameters = normal(5, 9), normal(5, controller.parameters_size, seed=1)
    action = controller.act(features, parameters)
    for row in range(5):
        x, rest = features[row].double(), parameters[row].double()
        sizes = (9, *layers, 3)
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            bias, weight, rest = rest.split([n_out, n_in * n_out, len(rest) - n_out * (n_in + 1)])
            x = (x.tanh() if i else x) @ weight.reshape(n_in, n_out) + bias
        assert len(rest) == 0
        t = x.tanh()
        expected = torch.stack([t[0], (t[1] + 1) / 2, t[2].clip(0, 1)]).float()
        torch.testing.assert_close(action[row], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_row_does_not_depend_on_the_others_at_one_width(name):
    controller = make_controller(ControllerConfig(type=name), 288, CAR)
    features, parameters = normal(16, 288), normal(16, controller.parameters_size, seed=1) * 0.1
    action = controller.act(features, parameters)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    assert torch.equal(controller.act(features[order], parameters[order]), action[order])
    padded = features.clone(), parameters.clone()
    for x in padded:
        x[5:] = 0.0
    assert torch.equal(controller.act(*padded)[:5], action[:5])


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_population_acts_like_its_rows(name):
    controller = make_controller(ControllerConfig(type=name), 288, CAR)
    features, parameters = normal(6, 16, 288), normal(6, controller.parameters_size, seed=1) * 0.1
    action = controller.act_population(features, parameters)
    assert action.shape == (6, 16, 3)
    rows = controller.act(features.flatten(0, 1), parameters.repeat_interleave(16, 0)).unflatten(0, (6, 16))
    torch.testing.assert_close(action, rows, rtol=1e-4, atol=1e-5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.equal(controller.act_population(features[order], parameters[order]), action[order])
    padded = features.clone()
    padded[:, 9:] = 0.0  # episodes that have ended
    assert torch.equal(controller.act_population(padded, parameters)[:, :9], action[:, :9])


def test_acting_keeps_no_graph_and_copies_no_parameters():
    controller = LinearController(8, CAR)
    parameters = torch.zeros(2, controller.parameters_size, requires_grad=True)
    assert not controller.act(normal(2, 8), parameters).requires_grad


def test_discrete_controller_picks_a_choice():
    controller = LinearController(2, ActionSpec.from_space(gym.spaces.Discrete(3)))
    parameters = torch.zeros(2, 9)
    parameters[0, 2] = parameters[1, 1] = 1.0
    assert controller.act(normal(2, 2), parameters).tolist() == [[0, 0, 1], [0, 1, 0]]


def test_wrong_shapes_say_what_is_needed(production):
    controller = LinearController(288, CAR)
    with pytest.raises(ValueError, match="got 32 features, this controller reads 288"):
        controller.act(torch.zeros(4, 32), torch.zeros(4, 867))
    with pytest.raises(ValueError, match=r"needs \(rows, 867\)"):
        controller.act(torch.zeros(4, 288), torch.zeros(4, 99))
    with pytest.raises(ValueError, match="4 rows of features but 2"):
        controller.act(torch.zeros(4, 288), torch.zeros(2, 867))


def test_bad_configs_say_what_to_do(production):
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        ControllerConfig(type="liner")
    with pytest.raises(ValueError, match=r"bias=.*finite"):
        ControllerConfig(bias=(float("inf"),))
    with pytest.raises(ValueError, match="layers"):
        ControllerConfig(layers=(64, 0))


class Own(LinearController):
    """A controller that reads the features' signs."""

    def act_population(self, features, parameters):
        return super().act_population(features.sign(), parameters)


def packages(monkeypatch, value):
    point = importlib.metadata.EntryPoint("controller.own", value, ENTRY_POINT_GROUP)
    other = importlib.metadata.EntryPoint("vision.own", "nowhere:Vision", ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [other, point][: 2 * (group == "worldmodels.components")]
    )


def acts_by_signs():
    controller = make_controller(ControllerConfig(type="own"), 4, CAR)
    parameters = torch.randn(1, controller.parameters_size)
    one, two = (controller.act(torch.full((1, 4), value), parameters) for value in (0.1, 7.0))
    return type(controller) is Own and torch.equal(one, two)


def test_a_controller_of_one_s_own_has_a_name(monkeypatch):
    with pytest.raises(ValueError, match=r"controller\.type='own': unknown; known are linear, mlp"):
        ControllerConfig(type="own")
    monkeypatch.setitem(CONTROLLERS, "own", Own)
    assert acts_by_signs()


def test_a_controller_of_an_installed_package_has_a_name(monkeypatch):
    packages(monkeypatch, f"{__name__}:Own")
    assert acts_by_signs()
    with pytest.raises(ValueError, match=r"did you mean 'own'\? known are linear, mlp, own"):
        ControllerConfig(type="owm")


def test_a_package_that_cannot_be_imported_is_named(monkeypatch):
    packages(monkeypatch, "nowhere_at_all:Own")
    with pytest.raises(ValueError, match=r"controller\.type=own: cannot import 'nowhere_at_all:Own'"):
        ControllerConfig(type="own")
