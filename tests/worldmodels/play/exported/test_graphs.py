import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch

from generative.networks.mixture import Mixture
from tests.worldmodels.play.exported.reference import dreamt
from worldmodels.agent.bundle import bundle_parts
from worldmodels.benchmark.measurements.playing import computed as computed_steps
from worldmodels.memories import MEMORIES, PointPrediction
from worldmodels.memories.contract import Prediction
from worldmodels.play.exported.folder import EXPORTED, dream_graphs
from worldmodels.play.exported.graphs import graph_bytes

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exported page")]


def computed(content, given):
    """Return what a graph computes, as tensors."""
    session = onnxruntime.InferenceSession(content)
    return [
        torch.from_numpy(array) for array in session.run(None, {name: each.numpy() for name, each in given.items()})
    ]


def with_memory(parts, name):
    """Return parts with a memory of another type, which their agent reads."""
    options = {"latent": 4, "action": 3, "hidden": 16} | ({"layers": 1} if name == "transformer" else {})
    memory = MEMORIES.create(name, options, 0).eval().half().float()
    bundle = dataclasses.replace(parts.agent.bundle, **bundle_parts(parts.vision, memory))
    return dataclasses.replace(parts, memory=memory, agent=dataclasses.replace(parts.agent, bundle=bundle))


def stepped(content, kind):
    """Return a memory's `step` as onnxruntime takes it."""
    session = onnxruntime.InferenceSession(content)

    def step(z, action, state):
        given = {"z": z, "action": action} | {f"state.{number}": part for number, part in enumerate(state)}
        out = session.run(None, {name: each.numpy() for name, each in given.items()})
        *mixture, expected, reward, end = map(torch.from_numpy, out[:6])
        predicted = kind(Mixture(*mixture), reward, torch.logit(end))
        torch.testing.assert_close(expected, predicted.expected_latent())
        return predicted, tuple(map(torch.from_numpy, out[6:]))

    return step


@pytest.mark.parametrize("name", EXPORTED)
def test_a_dream_of_80_steps_is_the_memorys_own(exported, page, name):
    if name == exported.memory.type_name:
        parts, content = exported, (page / "dream" / "step.onnx").read_bytes()
    else:
        parts = with_memory(exported, name)
        content = graph_bytes(dream_graphs(parts)["step"])
    step = stepped(content, PointPrediction if name == "lstm" else Prediction)
    ours, theirs = (dreamt(parts, 80, 3, "recorded", step=each) for each in (None, step))
    for own, mine in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, own, atol=1e-3)
    assert np.ptp(ours[0], 0).max() > 0.05 and theirs[1].sum() == pytest.approx(ours[1].sum(), rel=0.01)


def test_frames_actions_and_residuals_are_those_of_the_run(exported, page):
    read = {name: (page / "dream" / f"{name}.onnx").read_bytes() for name in ("frame", "agent", "residual")}
    generator = torch.Generator().manual_seed(0)
    z, action = torch.randn(1, 4, generator=generator), torch.rand(1, 3, generator=generator)
    frame = computed(read["frame"], {"z": z})[0]
    torch.testing.assert_close(frame, exported.vision.decode(z), atol=1e-5, rtol=0)
    assert frame.std() > 0.01

    h, c = torch.randn(2, 1, 16, generator=generator)
    own = exported.agent.bundle.build_controller().act(
        torch.cat([z, h], dim=1), torch.from_numpy(exported.agent.parameters[None])
    )
    torch.testing.assert_close(computed(read["agent"], {"past": z, "state.0": h, "state.1": c})[0], own)

    bootstrap, part = exported.starts.bootstrap(), torch.zeros(1, dtype=torch.int64)
    for _ in range(10):
        z = torch.randn(1, 4, generator=generator)
        residual = computed(read["residual"], {"z": z, "action": action, "part": part})[0]
        torch.testing.assert_close(residual, bootstrap.draw(z, action, part, part), atol=1e-2, rtol=0)


def test_the_benchmark_dreams_on_with_the_pages_graphs(page, monkeypatch):
    states = []
    run = onnxruntime.InferenceSession.run

    def seen(session, names, given):
        states.append(given)
        return run(session, names, given)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", seen)
    step = computed_steps({name: (page / "dream" / f"{name}.onnx").read_bytes() for name in ("agent", "step", "frame")})
    assert [step(), step()] == [1, 1]
    agent, memory, *frames = ({name for name in given} for given in states[4:])
    state = {"state.0", "state.1"}
    assert (agent, memory, frames) == ({"past", *state}, {"z", "action", *state}, [{"z"}] * 2)
    assert (states[5]["state.0"] != states[1]["state.0"]).any() and (states[5]["z"] == states[3]["z"]).all()


def test_weights_are_halves_and_nobodys_files_are_named(exported, page):
    sizes = {name: (page / "dream" / f"{name}.onnx").stat().st_size for name in ("step", "frame")}
    decoder, memory = (
        sum(each.numel() for each in part.parameters()) for part in (exported.vision.decoder, exported.memory)
    )
    assert 2 * decoder < sizes["frame"] < 3 * decoder and 2 * memory < sizes["step"] < 3 * memory + 20_000
    assert not any(b".py" in file.read_bytes() for file in (page / "dream").iterdir())
