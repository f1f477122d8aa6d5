"""Dreams that are made once and played again, as a GPU replays them."""

import dataclasses
import inspect

import jaxtyping
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from agents import ControllerConfig, make_controller
from tests.worldmodels.dreaming import CONFIG, SEEDS, SPEC, candidates, lively
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import Perception
from worldmodels.dream import ends, imagine, residuals, step
from worldmodels.dream.imagine import Imagination
from worldmodels.memories import ShuffledMemory

CALLS = [(candidates(3), SEEDS), (candidates(3)[::-1].copy(), SEEDS[::-1]), (candidates(3) * 2, [5, 6, 7, 8])]
BANK = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
FUSED = {"_joined", "_cell", "_drawn", "_moved", "_reward_and_end", "_after", "_key", "_value_at", "_earned"}
KINDS = {
    "memory": ({}, {}, None),
    "vision": ({}, {"reads": "vision"}, None),
    "frame-stack": ({}, {"reads": "frame-stack", "stack": 3}, None),
    "shuffled": ({}, {}, ShuffledMemory(BANK)),
    "residual": ({"noise": "residual", "temperature": 0.7}, {"reads": "vision"}, None),
    "no-reward-limit": ({"no_reward_limit": 3}, {}, None),
}


def imagination(kind, parts, starts, device="cpu", dtype=torch.float32, generator=None, rows=12):
    change, reads, agent = KINDS[kind]
    features, generator = FeaturesConfig(**reads), (generator or parts[1]).to(device)
    size = {"vision": 4, "frame-stack": 12}.get(features.reads, 20)
    memory = generator if agent is None else agent.to(device)
    perception = Perception(None, memory, features, rows, dtype, device)
    controller = make_controller(ControllerConfig(), size, SPEC)
    config = dataclasses.replace(CONFIG, **change)
    return Imagination(generator, perception, controller, starts, config, len(SEEDS), 0.1)


def fitting(parameters, kind):
    """Return parameters of the size that the kind's controller has."""
    size = {"vision": 15, "frame-stack": 39, "residual": 15}.get(kind, 63)
    return parameters[:, :size]


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_is_a_dream_of_its_own(parts, starts, kind):
    again = imagination(kind, parts, starts)
    for parameters, seeds in CALLS:
        fresh = imagination(kind, parts, starts)(fitting(parameters, kind), seeds)
        np.testing.assert_array_equal(again(fitting(parameters, kind), seeds), fresh)


def test_an_ensemble_has_other_members_in_each_call(parts, starts):
    world = lively("ensemble", members=2, options={"hidden": 16})
    again = imagination("vision", parts, starts, generator=world)
    for parameters, seeds in CALLS:
        fresh = imagination("vision", parts, starts, generator=world)
        np.testing.assert_array_equal(again(parameters[:, :15], seeds), fresh(parameters[:, :15], seeds))


def test_other_numbers_of_dreams_and_candidates_are_refused(parts, starts):
    found = imagination("memory", parts, starts)
    for parameters, seeds in ((candidates(4), SEEDS), (candidates(3), SEEDS[:3])):
        with pytest.raises(ValueError, match="do not fit into 3 times 4 rows"):
            found(parameters, seeds)
    with pytest.raises(ValueError, match="4 dreams do not fit into 13 rows"):
        imagination("memory", parts, starts, rows=13)


class Operations(TorchDispatchMode):
    """Notes each operation with its scalar arguments and the shapes of its tensors."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        told = tree_map_only(torch.Tensor, lambda x: tuple(x.shape), args)
        self.found.append((str(function), str(told)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_horizon_is_the_same_operations_every_time_and_waits_for_nothing(parts, starts, kind):
    """So it can be recorded: nothing follows from the numbers, and none is read on the way."""
    found, lists = imagination(kind, parts, starts), []
    with torch.inference_mode():
        found(fitting(candidates(3), kind), SEEDS)  # constants are made once
        for parameters, seeds in CALLS:
            found._set(found._drawn(fitting(parameters, kind), seeds))
            with Operations() as operations:
                found._scores()
            lists.append(operations.found)
    assert lists[0] == lists[1] == lists[2]
    assert not [name for name, _ in lists[0] if "_local_scalar_dense" in name or "nonzero" in name]


@pytest.mark.slow
def test_what_is_compiled_for_a_gpu_can_be_traced_whole(parts, starts, monkeypatch):
    """Every function that is fused, with the arguments it gets in dreams, gives the same numbers when traced."""
    seen = {}
    for module in (step, ends, residuals, imagine):
        for name, function in list(vars(module).items()):
            if getattr(function, "__wrapped__", None) is not None and function.__module__ == module.__name__:

                def noted(*args, _name=name, _function=function):
                    seen.setdefault((_name, *(type(arg) for arg in args)), (inspect.unwrap(_function), args))
                    return _function(*args)

                monkeypatch.setattr(module, name, noted)
    for kind in ("memory", "residual", "no-reward-limit"):
        with torch.no_grad():
            imagination(kind, parts, starts)(fitting(candidates(3), kind), SEEDS)
    assert {name for name, *_ in seen} >= FUSED
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks cannot be traced
    for function, args in seen.values():
        first, second = (tree_map_only(torch.Tensor, torch.clone, args) for _ in range(2))
        traced = torch.compile(function, fullgraph=True, backend="eager")
        with torch.no_grad():
            torch.testing.assert_close(traced(*first), function(*second))


@pytest.fixture
def unchecked(monkeypatch):
    """Annotations are not checked: the checks cannot be compiled."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.gpu
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore:.*TensorFloat32|.*nline softmax")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_replays_what_a_processor_dreams(parts, starts, kind):
    there = imagination(kind, parts, starts, "cuda")
    found = [there(fitting(parameters, kind), seeds) for parameters, seeds in CALLS * 3]
    here = imagination(kind, (parts[0], parts[1].cpu()), starts)
    for returns, (parameters, seeds) in zip(found, CALLS * 3, strict=True):
        expected = here(fitting(parameters, kind), seeds)
        assert np.mean(np.abs(returns - expected) < 1e-2) > 0.8  # a dream may end elsewhere by a rounding
    for first, last in zip(found[6:], found[3:6], strict=True):
        np.testing.assert_array_equal(first, last)


@pytest.mark.gpu
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore:.*TensorFloat32|.*nline softmax")
def test_a_gpu_dreams_with_any_memory(parts, starts):
    options = {
        "lstm": {"hidden": 16},
        "feed-forward": {"hidden": 16},
        "transformer": {"hidden": 16, "heads": 2, "context": 3},
        "ensemble": {"members": 2, "options": {"hidden": 16}},
    }
    for name, given in options.items():
        found = imagination("vision", parts, starts, "cuda", generator=lively(name, **given))
        expected = imagination("vision", parts, starts, generator=lively(name, **given))
        for parameters, seeds in CALLS * 2:
            returns = found(parameters[:, :15], seeds), expected(parameters[:, :15], seeds)
            assert np.mean(np.abs(returns[0] - returns[1]) < 1e-2) > 0.8


@pytest.mark.gpu
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore:.*TensorFloat32|.*nline softmax")
def test_a_gpu_dreams_in_bfloat16(parts, starts):
    parameters = candidates(3)
    half = imagination("memory", parts, starts, "cuda", torch.bfloat16)(parameters, SEEDS)
    exact = imagination("memory", parts, starts, "cuda")(parameters, SEEDS)
    assert np.isfinite(half).all() and not np.array_equal(half, exact)
