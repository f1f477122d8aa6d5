"""Sequences of operations that are recorded on a GPU; here they are plain calls with the same numbers."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from generative.hardware.cuda_graphs import Replayed, fused, many_times

CPU = torch.device("cpu")


def test_off_a_gpu_it_is_a_call():
    x = torch.zeros(3)
    twice = Replayed(lambda: x * 2, CPU)
    for value in (1.0, -4.0, 7.0, 0.5):
        x.fill_(value)
        assert twice().tolist() == [2 * value] * 3


def test_off_a_gpu_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    with many_times():
        assert fused(torch.add)(torch.ones(2), 1).tolist() == [2, 2]


def test_on_a_gpu_only_what_is_called_many_times_is_compiled(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: lambda *_: "compiled")
    with FakeTensorMode():
        call = fused(lambda x: "plain")
        x = torch.empty(2, device="cuda")
    assert call(x) == "plain"
    with many_times():
        assert call(x) == "compiled"
    assert call(x) == "plain"


@pytest.mark.gpu
def test_a_replay_draws_from_where_the_generators_are_set_and_sees_what_was_copied_in():
    device = torch.device("cuda")
    x, generator = torch.zeros(5, device=device), torch.Generator(device)

    def function():
        return x + torch.randn(5, device=device, generator=generator) + torch.rand(5, device=device)

    replayed = Replayed(function, device, [generator])
    for seed in (3, 4, 5, 3, 6, 3):
        found = []
        for call in (function, replayed):
            x.fill_(seed)
            generator.manual_seed(seed)
            torch.cuda.manual_seed(seed + 1)
            found.append(call().clone())
        assert torch.equal(*found)


@pytest.mark.gpu
def test_a_function_that_does_not_compile_is_called_as_it_is(monkeypatch):
    def odd(x):
        return x + 2

    def lacking(*_, **__):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: lacking)
    with pytest.warns(UserWarning, match="odd is not compiled for the GPU and runs slower: no compiler"):
        call = fused(odd)
        with many_times():
            assert call(torch.ones(2, device="cuda")).tolist() == [3, 3]
    assert call(torch.ones(2, device="cuda")).tolist() == [3, 3]


@pytest.mark.gpu
def test_a_compiled_function_gives_the_numbers_of_the_plain_one():
    def smooth(x, scale):
        return torch.sigmoid(x) * scale + x.sin()

    x = torch.randn(1000, device="cuda")
    with many_times():
        torch.testing.assert_close(fused(smooth)(x, 3.0), smooth(x, 3.0))
