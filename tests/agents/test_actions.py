import json

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.actions import ActionSpec

CAR = gym.spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
PAPER = ("tanh", "tanh", "relu-tanh")


def test_zero_weights_drive_straight_with_half_gas_and_no_brake():
    spec = ActionSpec.from_space(CAR, PAPER)
    assert spec.squash_action(torch.zeros(2, 3)).tolist() == [[0.0, 0.5, 0.0]] * 2
    assert spec.idle().tolist() == [0.0, 0.5, 0.0]


def test_squash_is_the_papers_formula():
    raw = torch.linspace(-4, 4, 41)
    action = ActionSpec.from_space(CAR, PAPER).squash_action(raw[:, None].expand(-1, 3))
    assert torch.equal(action[:, 0], raw.tanh())
    torch.testing.assert_close(action[:, 1], (raw.tanh() + 1) / 2)
    assert torch.equal(action[:, 2], raw.tanh().clip(0, 1))


def test_squash_stays_within_odd_bounds_and_keeps_leading_axes():
    space = gym.spaces.Box(np.array([-0.3, 7.1], np.float32), np.array([0.7, 7.3], np.float32))
    spec = ActionSpec.from_space(space, ("tanh", "relu-tanh"))
    action = spec.squash_action(torch.randn(5, 4, 2, generator=torch.Generator().manual_seed(0)) * 30)
    assert action.shape == (5, 4, 2) and action.dtype == torch.float32
    for dimension in range(2):
        column = action[..., dimension]
        assert column.min() == space.low[dimension] and column.max() == space.high[dimension]


def test_default_squash_is_tanh_everywhere():
    assert ActionSpec.from_space(CAR).squash == ("tanh",) * 3


def test_squashing_constants_made_in_inference_mode_serve_autograd_later():
    spec = ActionSpec(1, (-1.5,), (2.5,), ("tanh",), False)
    with torch.inference_mode():
        spec.squash_action(torch.zeros(1, 1))
    raw = torch.zeros(1, 1, requires_grad=True)
    spec.squash_action(raw).sum().backward()
    assert raw.grad is not None and raw.grad.item() == 2.0


def test_discrete_action_is_the_one_hot_of_the_largest():
    spec = ActionSpec.from_space(gym.spaces.Discrete(3))
    assert (spec.size, spec.discrete, spec.squash) == (3, True, ())
    action = spec.squash_action(torch.tensor([[0.1, -3.0, 0.2], [5.0, 1.0, 0.0]]))
    assert action.tolist() == [[0, 0, 1], [1, 0, 0]] and action.dtype == torch.float32
    choices = spec.to_env(action.numpy())
    assert choices.dtype == np.int64 and choices.tolist() == [2, 0]


def test_to_env_clips_a_batch_into_the_space():
    spec = ActionSpec.from_space(CAR, PAPER)
    batch = spec.to_env(np.array([[-3, 0.25, 9], [0.5, -1, 0]], np.float32))
    assert batch.dtype == np.float32 and batch.tolist() == [[-1, 0.25, 1], [0.5, 0, 0]]
    assert all(CAR.contains(row) for row in batch)


@pytest.mark.parametrize("space", [CAR, gym.spaces.Discrete(4)])
def test_from_env_is_the_inverse_of_to_env(space):
    spec = ActionSpec.from_space(space)
    space.seed(0)
    batch = np.stack([space.sample() for _ in range(9)])
    action = spec.from_env(batch)
    assert action.dtype == np.float32 and action.shape == (9, spec.size)
    again = spec.to_env(action)
    assert again.dtype == batch.dtype and np.array_equal(again, batch)


@pytest.mark.parametrize("batch", [np.array([0, 4]), np.array([-1, 0]), np.zeros((2, 4))])
def test_from_env_refuses_what_the_space_does_not_have(production, batch):
    with pytest.raises(ValueError, match="batch"):
        ActionSpec.from_space(gym.spaces.Discrete(4)).from_env(batch)


def test_to_env_names_the_row_that_is_not_finite():
    with pytest.raises(ValueError, match=r"action\[1\].*not finite"):
        ActionSpec.from_space(CAR).to_env(np.array([[0, 0, 0], [0, np.nan, 0]], np.float32))


def test_wrong_sizes_are_refused(production):
    spec = ActionSpec.from_space(CAR)
    with pytest.raises(ValueError, match="2 entries"):
        spec.squash_action(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"needs \(W, 3\)"):
        spec.to_env(np.zeros((4, 2), np.float32))


@pytest.mark.parametrize("spec", [ActionSpec.from_space(CAR, PAPER), ActionSpec.from_space(gym.spaces.Discrete(5))])
def test_spec_survives_json(spec):
    assert ActionSpec.from_mapping(json.loads(json.dumps(spec.to_mapping()))) == spec


def test_mapping_with_other_keys_is_refused():
    with pytest.raises(ValueError, match="needs"):
        ActionSpec.from_mapping({"size": 3})


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (gym.spaces.Box(-np.inf, np.inf, (2,)), "unbounded"),
        (gym.spaces.Box(0, 1, (2, 2)), "1-D"),
        (gym.spaces.Box(0, 5, (2,), dtype=np.int64), "float"),
        (gym.spaces.Discrete(3, start=1), "starts at 1"),
        (gym.spaces.MultiBinary(3), "only Box and Discrete"),
    ],
)
def test_other_spaces_are_refused_with_the_reason(space, reason):
    with pytest.raises(ValueError, match=reason):
        ActionSpec.from_space(space)


def test_bad_squash_is_refused():
    with pytest.raises(ValueError, match=r"half-tanh.*known are relu-tanh, tanh"):
        ActionSpec.from_space(CAR, ("tanh", "half-tanh", "relu-tanh"))
    with pytest.raises(ValueError, match="needs 3 entries"):
        ActionSpec.from_space(CAR, ("tanh",))
    with pytest.raises(ValueError, match="needs 0 entries"):
        ActionSpec(3, (0.0,) * 3, (1.0,) * 3, ("tanh",) * 3, True)


def test_an_env_may_name_squashes_for_its_box_and_be_discrete():
    assert ActionSpec.from_space(gym.spaces.Discrete(3), ("tanh",) * 3) == ActionSpec.from_space(gym.spaces.Discrete(3))


def test_effort_is_how_far_two_sided_actions_are_from_zero():
    spec = ActionSpec(4, (-1.0, 0.0, -2.0, 0.0), (1.0, 1.0, 4.0, 1.0), ("tanh",) * 4, False)
    actions = np.array([[0, 1, 0, 1], [-1, 0, 0, 0], [0.5, 0, -2, 1], [1, 1, 4, 1]], dtype=np.float32)
    np.testing.assert_allclose(spec.effort(actions), [0, 0.5, 0.5, 1])
    np.testing.assert_allclose(spec.effort(torch.from_numpy(actions)[None]).numpy(), [[0, 0.5, 0.5, 1]])
    gas_only = ActionSpec(1, (0.0,), (1.0,), ("tanh",), False)
    np.testing.assert_array_equal(gas_only.effort(np.ones((2, 1), dtype=np.float32)), [0, 0])
