import copy

import torch
from torch import nn

from generative.training.average import Average


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_it_is_the_exponential_average_with_a_fast_start():
    layer = nn.Linear(2, 1, bias=False)
    average = Average(layer, 0.5)
    expected = layer.weight.detach().clone()
    for step in range(12):
        with torch.no_grad():
            layer.weight.fill_(float(step))
        average.update(layer)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        torch.testing.assert_close(average.network.weight.detach(), expected)
    assert average.updates == 12


def test_a_decay_of_0_is_a_copy_of_the_last_weights():
    layer = nn.Linear(2, 1)
    average = Average(layer, 0.0)
    with torch.no_grad():
        layer.weight.fill_(7.0)
    assert not torch.equal(average.network.weight, layer.weight)  # its own memory
    average.update(layer)
    assert torch.equal(average.network.weight, layer.weight)


def test_running_statistics_are_averaged_and_counters_copied():
    layers = network().train()
    average = Average(layers, 0.9)
    before = copy.deepcopy(average.network[1])
    layers(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) + 5)
    average.update(layers)
    theirs, ours = layers[1], average.network[1]
    torch.testing.assert_close(ours.running_mean, 0.1 * before.running_mean + 0.9 * theirs.running_mean)
    torch.testing.assert_close(ours.running_var, 0.1 * before.running_var + 0.9 * theirs.running_var)
    assert torch.equal(ours.num_batches_tracked, theirs.num_batches_tracked)


def test_it_is_never_trained_nor_changed_by_looking():
    whole = nn.ModuleDict({"average": Average(network(), 0.9)}).train()
    average = whole["average"]
    assert not any(each.training for each in average.modules())
    assert not any(each.requires_grad for each in average.parameters())
    before = copy.deepcopy(average.state_dict())
    average(torch.randn(8, 3) + 5)
    assert all(torch.equal(value, before[key]) for key, value in average.state_dict().items())
    assert set(before) > {"updates", "network.0.weight", "network.1.running_mean"}
