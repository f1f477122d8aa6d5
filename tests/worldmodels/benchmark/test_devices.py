"""The figures of a GPU, by the same code on the processor; there is no promise of speed in here."""

import json

import numpy as np
import pytest
import torch

from worldmodels.benchmark import Settings, measure
from worldmodels.benchmark.measurements.bare_dream import BareDream, Sizes
from worldmodels.benchmark.measurements.device_dreams import dream_generations, dreams_on, many_on
from worldmodels.benchmark.measurements.device_training import memory_on, plain, sequence_batches, vision_on
from worldmodels.benchmark.measurements.networks import product_peak
from worldmodels.benchmark.measurements.optimiser import ask_and_tell
from worldmodels.benchmark.measurements.workers import efficiency, size_of
from worldmodels.memories import MDNRNN, MDNRNNConfig

TINY = Settings(pairs=1, seconds=0.001, work=0.004)
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["device-dreams", "device-many", "device-vision", "device-memory"])
def test_without_a_gpu_its_figures_are_skipped_with_the_reason(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = measure(name, TINY)
    assert "GPU" in found.skipped and found.value is None and found.ours is None and not found.pairs


@pytest.mark.slow
@pytest.mark.parametrize("measured", [dreams_on, many_on])
def test_dreams_are_measured_with_all_their_parts(measured):
    found = measured(CPU, TINY)
    assert found.ours > 0 and found.theirs > 0 and found.met is False  # 15 million steps a second and more
    detail = found.detail
    assert (detail["candidates"], detail["dreams"], detail["horizon"], detail["parameters"]) == (4, 2, 2, 99)
    assert detail["generations_per_second"] == pytest.approx(found.ours / (4 * 2 * 2))
    json.dumps(detail, allow_nan=False)


def test_generations_are_those_of_evolution_whoever_dreams_them():
    work = dream_generations(4, 2, 3)
    here, worker = work.on(CPU), work.on(None)
    for _ in range(2):
        mine, theirs = next(here), next(worker)
        assert mine["scores"] == theirs["scores"] and len(set(mine["scores"])) > 1
    assert work.steps == 24 and mine["generation"] == 1 and mine["timings"]["optimiser"] >= 0


def test_the_bare_loop_plays_until_a_dream_ends():
    sizes = Sizes(candidates=3, dreams=2, horizon=4, latent=8, action=3, reads_memory=True)
    bare = BareDream(sizes, CPU, torch.float32)
    first, again = bare(), bare()
    assert first.shape == (3, 2) and bool(torch.isfinite(first).all()) and not torch.equal(first, again)
    assert sizes.products == 4 * 256 * (8 + 3 + 256) + 256 * (3 * 8 * 5 + 2) + (8 + 256) * 3
    steady = BareDream(sizes._replace(horizon=60), CPU, torch.float32)()
    assert float((steady < -20).float().mean()) > 0.5  # nearly all have met an end, which costs 50, and only once
    assert float(steady.min()) > -100


@pytest.mark.slow
def test_training_on_a_device_is_measured():
    for found in (vision_on(CPU, TINY), memory_on(CPU, TINY)):
        assert found.ours > 0 and found.theirs > 0 and found.met in (True, False)
        json.dumps(found.detail, allow_nan=False)


def test_plain_steps_are_those_of_a_component_that_promises_nothing(monkeypatch):
    monkeypatch.setattr(MDNRNN, "fixed_step", True, raising=False)  # as components promise, each class for itself
    memory = MDNRNN(MDNRNNConfig(latent=4, action=2, hidden=8))
    assert vars(type(memory)).get("fixed_step") and "fixed_step" not in vars(type(plain(memory)))
    assert isinstance(memory, MDNRNN) and memory.type_name == "mdn-rnn"


def test_sequences_are_what_a_memory_trains_on():
    batch = sequence_batches(2, 5)[0]
    memory = MDNRNN(MDNRNNConfig(latent=32, action=3, hidden=8))
    loss, _ = memory.loss(batch, torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(loss)) and batch.mask.all() and set(batch.termination.unique().tolist()) <= {0.0, 1.0}


def test_a_peak_is_of_a_type():
    assert product_peak(0.001, CPU, torch.bfloat16, size=32) > 0


@pytest.mark.parametrize("kind", ["cma", "sep-cma"])
def test_asking_and_telling_takes_time(kind):
    seconds = ask_and_tell(kind, 6, 8, TINY)
    assert seconds.ask > 0 and seconds.tell > 0 and seconds.both == seconds.ask + seconds.tell


def test_a_driver_feeds_only_so_many_workers():
    assert efficiency(1, item=9.0, driver=1.0) == 1.0
    assert efficiency(10, item=9.0, driver=1.0) == 1.0
    assert efficiency(40, item=9.0, driver=1.0) == 0.25


def test_what_is_sent_is_counted():
    bundle = {"config": "ab", "weights": b"abcd"}
    assert size_of([bundle, (np.zeros((2, 3), np.float32), 3, None)]) == 6 + 24 + 8
    assert size_of(Settings(pairs=7)) == 4 * 8
