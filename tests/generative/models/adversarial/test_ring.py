"""The ring of eight Gaussians: what collapses is diagnosed, and a Wasserstein critic with a penalty covers it all.

The data are `RingConfig`'s: radius 2, deviation 0.02. A mode is covered when one of 1,000 samples lies within three
deviations of its centre.
"""

from typing import Any

import numpy as np
import pytest
import torch

from generative import MODELS, FitConfig, fit
from generative.capabilities import draw
from generative.data import Data, RingConfig
from generative.diagnosis import Evidence, diagnose
from generative.metrics import high_quality_share, modes_covered

POINTS = {"layout": "points", "norm": "none", "critic_norm": "none", "latent": 2, "width": 64}
COVERING = {**POINTS, "penalty": 0.1, "critic_steps": 3, "ema": 0.99}
COLLAPSING = {**POINTS, "critic_rate": 0.05, "momentum": 0.9, "ema": 0.0}
"""The generator outruns the critic and follows wherever that points."""


@pytest.fixture(scope="module")
def ring() -> Data:
    return RingConfig(count=20_000).load()


def verdicts(module: Any, rows: Any, ring: Data) -> list[str]:
    """What the rows of a training and 1,000 samples show."""
    train, held_out = (torch.from_numpy(part.get("point", np.arange(1000))) for part in (ring, ring.held_out()))
    samples = draw(module.eval(), 1000, torch.Generator().manual_seed(0))
    return [each.problem for each in diagnose(Evidence(rows, "", train=train, held_out=held_out, samples=samples))]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_penalised_wasserstein_critic_covers_all_modes(ring, seed):
    module = MODELS.create("wgan-gp", COVERING, seed)
    config = FitConfig(steps=500, learning_rate=2e-3, schedule="cosine")
    rows = list(fit(module, ring.batches(128, seed), config, seed=seed, log_every=10))
    samples, centres = draw(module, 1000, torch.Generator().manual_seed(0)), torch.from_numpy(ring.modes.centres)
    radius = 3 * ring.modes.spread
    assert modes_covered(samples, centres, radius=radius) == 8
    assert high_quality_share(samples, centres, radius=radius) > 0.05
    assert verdicts(module, rows, ring) == ["unreal"]  # after so few steps: all modes, and points between


@pytest.mark.slow
def test_a_non_saturating_preset_made_to_collapse_is_diagnosed(ring):
    module = MODELS.create("dcgan", COLLAPSING, 0)
    config = FitConfig(steps=200, learning_rate=5e-3)
    rows = list(fit(module, ring.batches(64, 0), config, seed=0, log_every=10))
    assert verdicts(module, rows, ring) == ["mode collapse", "unreal"]
    samples = draw(module, 1000, torch.Generator().manual_seed(0))
    assert modes_covered(samples, torch.from_numpy(ring.modes.centres), radius=0.3) <= 3
