"""The ring of eight Gaussians: what collapses is diagnosed, and a Wasserstein critic with a penalty covers it all.

The data are `RingConfig`'s: radius 2, deviation 0.02. A mode is covered when one of 1,000 samples lies within three
deviations of its centre.
"""

from typing import Any

import numpy as np
import pytest
import torch

from generative import MODELS, FitConfig, fit
from generative.data import PointData, RingConfig
from generative.metrics import high_quality_share, modes_covered
from generative.monitor import MonitorConfig, TrainingStopped, judge, sample_evidence, watch

POINTS = {"layout": "points", "norm": "none", "critic_norm": "none", "latent": 2, "width": 64}
COVERING = {**POINTS, "penalty": 0.1, "critic_steps": 3, "ema": 0.99}
COLLAPSING = {**POINTS, "critic_rate": 0.05, "momentum": 0.9, "ema": 0.0}
"""The generator outruns the critic and follows wherever that points."""


@pytest.fixture(scope="module")
def ring() -> PointData:
    return RingConfig(count=20_000).load()


def gather(ring: PointData) -> Any:
    train, held_out = ring.points(np.arange(1000)), ring.held_out().points(np.arange(1000))
    return sample_evidence(torch.from_numpy(train), torch.from_numpy(held_out))


def cover(ring: PointData, seed: int) -> tuple[int, float, list[str]]:
    """Modes covered, share of samples at a mode, and the verdicts."""
    module = MODELS.create("wgan-gp", COVERING, seed)
    config = FitConfig(steps=500, learning_rate=2e-3, schedule="cosine", log_every=10)
    rows = list(fit(module, ring.batches(128, seed), config, seed=seed))
    verdicts = [verdict.problem for verdict in judge(module, rows, gather(ring))]
    samples, centres = module.sample(1000, 1.0, torch.Generator().manual_seed(0)), torch.from_numpy(ring.modes)
    radius = 3 * ring.spread
    return modes_covered(samples, centres, radius=radius), high_quality_share(samples, centres, radius=radius), verdicts


@pytest.mark.slow
def test_a_penalised_wasserstein_critic_covers_all_modes(ring):
    modes, quality, verdicts = cover(ring, 0)
    assert modes == 8 and quality > 0.05 and verdicts == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_it_does_so_from_other_seeds(ring, seed):
    modes, quality, verdicts = cover(ring, seed)
    assert modes == 8 and quality > 0.05 and verdicts == []


def test_a_non_saturating_preset_made_to_collapse_is_diagnosed_and_stopped(ring):
    module = MODELS.create("dcgan", COLLAPSING, 0)
    rows = fit(module, ring.batches(64, 0), FitConfig(steps=400, learning_rate=5e-3, log_every=10), seed=0)
    done = []
    with pytest.raises(TrainingStopped, match=r"mode collapse \(samples cover .*; use a Wasserstein loss") as stopped:
        done.extend(watch(rows, module, MonitorConfig(every=2, grace=15, patience=2), gather=gather(ring)))
    assert [verdict.problem for verdict in stopped.value.verdicts] == ["mode collapse"]
    samples = module.sample(1000, 1.0, torch.Generator().manual_seed(0))
    assert modes_covered(samples, torch.from_numpy(ring.modes), radius=0.3) <= 3
