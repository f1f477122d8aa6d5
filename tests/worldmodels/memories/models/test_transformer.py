import pytest
import torch

from tests.worldmodels.memories.batches import generator
from worldmodels.memories import TransformerMemory, TransformerMemoryConfig


def make(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        defaults = {"latent": 3, "action": 2, "hidden": 16, "heads": 2, "layers": 2, "context": 4}
        return TransformerMemory(TransformerMemoryConfig(**(defaults | options))).eval()


def sequence(steps, rows=2):
    draw = generator()
    return torch.randn(rows, steps, 3, generator=draw), torch.randn(rows, steps, 2, generator=draw)


@pytest.mark.parametrize(("layers", "context"), [(1, 1), (1, 4), (2, 4), (3, 3)])
def test_it_looks_back_as_far_as_its_windows_reach_and_no_farther(layers, context):
    memory = make(layers=layers, context=context)
    z, action = sequence(20)
    changed = z.clone()
    changed[:, 5] += 1.0
    before, after = memory.forward_sequence(z, action)[0].reward, memory.forward_sequence(changed, action)[0].reward
    differs = ((before - after).abs() > 1e-7).all(0).tolist()
    reach = layers * (context - 1)
    assert differs == [5 <= t <= 5 + reach for t in range(20)]


@torch.no_grad()
def test_a_step_at_a_time_from_the_cache_equals_the_whole_past_the_window_too():
    memory, (z, action) = make(), sequence(20)
    whole, state = memory.unroll(z, action, None)[0], None
    for step in range(20):
        found, state = memory.unroll(z[:, step : step + 1], action[:, step : step + 1], state)
        torch.testing.assert_close(found[:, 0], whole[:, step], atol=1e-5, rtol=1e-5)


def test_only_distances_count():
    memory = make(layers=1)
    z, action = sequence(20)
    late, _ = memory.forward_sequence(z, action)
    early, _ = memory.forward_sequence(z[:, 10:], action[:, 10:])
    torch.testing.assert_close(late.reward[:, 13:], early.reward[:, 3:], atol=1e-5, rtol=1e-5)


def test_order_matters():
    memory = make(layers=1)
    z, action = sequence(4)
    swapped = [1, 0, 2, 3]
    one, two = memory.forward_sequence(z, action)[0], memory.forward_sequence(z[:, swapped], action[:, swapped])[0]
    assert ((one.reward[:, 3] - two.reward[:, 3]).abs() > 1e-5).all()


def test_the_empty_window_weighs_nothing():
    memory, wide = make(context=4), make(context=12)
    z, action = sequence(3)
    torch.testing.assert_close(memory.forward_sequence(z, action)[0].reward, wide.forward_sequence(z, action)[0].reward)


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="hidden=18: must be a multiple of twice the heads, 8"):
        TransformerMemoryConfig(hidden=18)
