"""Each failure provoked in a real training, its verdict, and the healthy training beside it that gets none.

Mode collapse is provoked in `test_ring`.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from generative import MODELS, FitConfig, fit
from generative.capabilities import draw
from generative.core.component import Objective, Part
from generative.data import RingConfig
from generative.diagnosis import Evidence, diagnose
from tests.generative.models.shapes import squares, stream

IMAGES = {"image_size": 16, "channels": 1}
POINTS = {"layout": "points", "norm": "none", "critic_norm": "none", "latent": 2, "width": 32}
RING = RingConfig(count=20_000)


def trained(name: str, options: dict[str, Any], steps: int, rate: float = 2e-3, batches: Any = stream):
    module = MODELS.create(name, options, 0)
    config = FitConfig(steps=steps, learning_rate=rate)
    return module, list(fit(module, batches, config, seed=0, log_every=config.log_every(40)))


def problems(rows: Any, evidence: Evidence | None = None) -> list[str]:
    history = [{name: float(value) for name, value in row.items()} for row in rows]
    return [verdict.problem for verdict in diagnose(replace(evidence or Evidence(), history=history))]


@torch.no_grad()
def seen(module: Any) -> Evidence:
    """Latents and reconstructions of held-out squares."""
    obs = squares(200, seed=10**6)
    return Evidence(means=module.encode(obs)[0], real_images=obs, made_images=module.reconstruct(obs))


@pytest.mark.long
@pytest.mark.slow
def test_a_vae_with_a_heavy_divergence_collapses_and_a_light_one_does_not():
    vae = {**IMAGES, "latent": 4, "width": 8, "kl_floor": 0.0}
    _, rows = trained("vae", {**vae, "beta": 200.0}, 120)
    assert "posterior collapse" in problems(rows)
    module, rows = trained("vae", {**vae, "beta": 0.01, "width": 16}, 400)
    assert problems(rows, seen(module)) == []


def test_too_few_components_blur_and_enough_do_not():
    def kept(latent: int) -> list[str]:
        module = MODELS.create("pca", {**IMAGES, "latent": latent, "frames": 1000}, 0)
        module.estimate(stream(0), torch.Generator().manual_seed(0))
        return problems([], seen(module))

    assert kept(4) == ["blur", "colour shift"]  # what would be darker than black is black
    assert kept(100) == []


@pytest.mark.slow
def test_a_codebook_far_too_large_dies_and_restarts_revive_it():
    def used(codes: int, restart: float, decay: float) -> list[str]:
        options = {**IMAGES, "width": 8, "codes": codes, "restart": restart, "decay": decay}
        module, rows = trained("vq-vae", options, 100)
        chosen = module.codes(squares(400, seed=10**6))
        return problems(rows, Evidence(codes=chosen, codebook=codes))

    assert used(64, 0.0, 0.99) == ["dead codes"]
    assert used(8, 0.5, 0.9) == []


def points(start: int):
    return RING.load().batches(64, 0)(start)


@pytest.mark.slow
def test_tight_clipping_flattens_the_critic():
    _, rows = trained("wgan", {**POINTS, "critic_steps": 2}, 60, batches=points)
    assert problems(rows) == ["vanishing critic"]
    assert rows[0]["clip_saturation"] > 0.1
    _, rows = trained("wgan", {**POINTS, "critic_steps": 2, "clip": 0.3}, 60, rate=1e-3, batches=points)
    assert problems(rows) == []


@pytest.mark.long
@pytest.mark.slow
def test_a_sure_critic_starves_the_saturating_loss_and_not_the_other():
    """The data lie far from where the generator begins, and the critic learns a thousand times as fast."""

    def far(start: int):
        return (batch + 10 for batch in points(start))

    def starved(gan_loss: str) -> tuple[list[str], list[dict[str, float]]]:
        options = {**POINTS, "gan_loss": gan_loss, "critic_steps": 2, "critic_rate": 1000.0}
        module = MODELS.create("dcgan", options, 0)
        config = FitConfig(steps=220, learning_rate=3e-5, warmup=200)
        rows = list(fit(module, far, config, seed=0, log_every=4))
        return problems(rows), rows

    found, rows = starved("saturating")
    assert found == ["vanishing critic"] and rows[-1]["critic_accuracy"] > 0.98
    assert rows[-1]["generator_gradient"] < 0.01 * rows[0]["generator_gradient"]
    found, rows = starved("non-saturating")
    assert found == [] and rows[-1]["critic_accuracy"] > 0.98


@pytest.mark.slow
def test_a_wasserstein_critic_without_bounds_explodes():
    options = {**POINTS, "gan_loss": "wasserstein", "critic_steps": 3}
    _, rows = trained("dcgan", options, 60, rate=1e-2, batches=points)
    assert problems(rows) == ["exploding critic"]
    _, rows = trained("dcgan", {**options, "lipschitz": "spectral-norm"}, 60, rate=1e-2, batches=points)
    assert problems(rows) == []


@dataclass(frozen=True)
class DiracConfig:
    """The smallest GAN (Mescheder et al. 2018): data and samples are one number each, the critic is a line."""

    penalty: float = 0.0
    """Weight of the critic's squared slope."""


class Number(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))


class Dirac(nn.Module):
    type_name = "dirac"
    Config = DiracConfig
    batches_per_step = 1

    def __init__(self, config: DiracConfig) -> None:
        super().__init__()
        self.config = config
        self.critic, self.generator = Number(0.0), Number(1.0)
        self.parts = {"critic": Part(1.0, (0.0, 0.999)), "generator": Part(1.0, (0.0, 0.999))}

    def objectives(self, batches, step, generator):
        slope, place = self.critic.value, self.generator.value
        yield Objective(
            "critic", (slope * (place.detach() - batches[0].mean()) + self.config.penalty * slope**2).sum(), {}
        )
        yield Objective("generator", -(slope.detach() * place).sum(), {"place": place.detach().sum()})


@pytest.mark.long
@pytest.mark.slow
def test_two_players_without_a_penalty_go_round_and_with_one_they_settle():
    def curve(penalty: float) -> list[str]:
        module = Dirac(DiracConfig(penalty))
        rows = list(fit(module, lambda start: itertools.repeat(torch.zeros(4)), FITTED, seed=0, log_every=4))
        assert all(row["step"] for row in rows)
        return problems(rows, Evidence(curve="place"))

    assert curve(0.0) == ["oscillation"]
    assert curve(0.5) == []


FITTED = FitConfig(steps=1200, learning_rate=0.02)


def test_a_table_of_all_combinations_repeats_its_few_rows():
    """Without smoothing a multinomial can only say again what it has seen; naive Bayes makes up new rows."""
    sizes = (16, 16, 16)
    generator = np.random.default_rng(0)
    rows, held = (torch.from_numpy(generator.integers(0, 16, (count, 3))) for count in (60, 60))

    def judged(name: str) -> list[str]:
        module = MODELS.create(name, {"categories": sizes, "smoothing": 0.0, "count": 60}, 0)
        module.estimate(iter([rows]), torch.Generator().manual_seed(0))
        samples = draw(module, 200, torch.Generator().manual_seed(0))
        return problems([], Evidence(train=rows.float(), held_out=held.float(), samples=samples.float()))

    assert judged("multinomial") == ["memorisation"]
    assert judged("naive-bayes") == []


def test_no_evidence_is_no_verdict():
    assert diagnose(Evidence()) == []
