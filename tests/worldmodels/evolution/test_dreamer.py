"""Candidates that are tried in dreams, by workers or by this process."""

import dataclasses

import numpy as np
import pytest

from scripts.evolve import worker_setup
from worldmodels.agent.trained import assemble
from worldmodels.dream.imagine import BLOCK
from worldmodels.evolution.dreamer import Dreamer, gpu_dreamer
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import Trials
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.parallel.serial import SerialExecutor
from worldmodels.rollouts.dataset import episode_files
from worldmodels.vision.encode import latent_file

SEEDS = [4, 5, 6]


@pytest.fixture
def setup(trained):
    """Return what workers are built from that dream with the run's memory."""
    run = trained
    run.config = dataclasses.replace(run.config, evolve=dataclasses.replace(run.config.evolve, world="dream"))
    bundle = assemble(run, [latent_file(run, file) for file in episode_files(run.folder("collect"))])
    return worker_setup(run, bundle)


def many(setup, count=BLOCK + 5):
    size = setup.bundle.build_controller().parameters_size
    return np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)


def test_the_processor_s_dreams_are_the_workers(setup):
    parameters = many(setup)
    workers = Trials(SerialExecutor(TrialWorker, setup), 4).dream_scores(parameters, SEEDS, Cost())
    np.testing.assert_array_equal(Dreamer(setup)(parameters, SEEDS), workers)


def test_a_dreamer_takes_the_dreams_from_the_workers(setup):
    """They need no memory then; the time is that of the device, and not of each worker."""
    awake, parameters, cost = setup.awake(), many(setup, 3), Cost()
    assert (awake.dream, awake.starts, awake.bundle.generator) == (None, None, None)
    trials = Trials(SerialExecutor(TrialWorker, awake), 4, dreamer=Dreamer(setup))
    np.testing.assert_array_equal(trials.dream_scores(parameters, SEEDS, cost), Dreamer(setup)(parameters, SEEDS))
    assert cost.device_seconds > 0 == cost.network_seconds
    assert np.isfinite(trials.real_scores(parameters, [1], True, cost)).all()


def test_workers_dream_where_the_device_is_the_processor(setup):
    assert gpu_dreamer(setup, "cpu") is None
    assert gpu_dreamer(setup.awake(), "auto") is None


@pytest.mark.gpu
def test_a_gpu_dreams_for_the_whole_population(setup, monkeypatch):
    parameters, dreamer = many(setup, 40), gpu_dreamer(setup, "cuda")
    found = [dreamer(parameters, SEEDS) for _ in range(4)]
    for again in found[1:]:
        np.testing.assert_allclose(again, found[0], rtol=1e-5, atol=1e-5)
    expected = Dreamer(setup)(parameters, SEEDS)
    assert np.mean(np.abs(found[0] - expected) < 1e-2 * (1 + np.abs(expected))) > 0.8
    monkeypatch.setattr("worldmodels.evolution.dreamer.SURELY", 0)
    monkeypatch.setattr(Dreamer, "_fitting", lambda self, dreams: 16)
    split = gpu_dreamer(setup, "cuda")(parameters, SEEDS)
    assert np.mean(np.abs(split - found[0]) < 1e-2 * (1 + np.abs(found[0]))) > 0.8


@pytest.mark.gpu
def test_how_many_fit_is_measured(setup):
    dreamer = gpu_dreamer(setup, "cuda")
    few, more = dreamer._fitting(200), dreamer._fitting(20)
    assert 16 <= few < more
