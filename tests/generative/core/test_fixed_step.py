"""Components that declare `fixed_step` keep what they promise, or a replay on a GPU would be another training."""

import itertools
import sys

import pytest
import torch
from torch import nn

from generative import FitConfig, fit
from generative.core.component import Objective, Part, has_fixed_step
from generative.models.autoencoders.vae import VAE, VAEConfig
from generative.training.batches import each_tensor
from generative.training.training_step import TrainingStep
from generative.training.variants import phases_of
from tests.generative.small_models import MADE, SMALL, at, batch, make
from tests.operations import check_fixed

TRAINED = [case for case, made in MADE.items() if any(each.requires_grad for each in made.parameters())]
GAN = SMALL["dcgan points"]
OPTIONS = {
    **{case: SMALL[case] for case in TRAINED},
    "autoencoder denoising": {**SMALL["autoencoder"], "noise": 0.1},
    "dcgan spectral": {**GAN, "lipschitz": "spectral-norm"},
    "dcgan r1": {**GAN, "lipschitz": "r1", "norm": "layer", "critic_dropout": 0.2, "label_noise": 0.1},
    "dcgan clip": {**GAN, "lipschitz": "clip", "gan_loss": "hinge"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OPTIONS)
def test_every_step_is_the_same_operations_and_none_waits(monkeypatch, case):
    module = make(case, OPTIONS[case])
    assert has_fixed_step(module)
    first = phases_of(module, FitConfig())[:1]  # one that grows begins with the smallest images
    batches = (batch(module, 4, seed) for seed in itertools.count())
    shrunk = (each_tensor(found, lambda part: at(first[0].resolution, part) if first else part) for found in batches)
    check_fixed(monkeypatch, module, shrunk)


class Lazy(VAE):
    """Pays for the size of its weights in every third step, and its loss fades in."""

    fixed_step = True

    def __init__(self, config, told):
        super().__init__(config)
        self.told, self.batches_per_step, self.parts = told, 1, {"encoder": Part(), "decoder": Part()}
        self.register_buffer("fade", torch.zeros(()), persistent=False)

    def variant(self, step, fit):
        self.fade.fill_(step / fit.steps)
        return step % 3 == 0 if self.told else None

    def objectives(self, batches, step, generator):
        yield Objective("decoder", self.fade * self.loss(batches[0], generator)[0], {})
        if step % 3 == 0:
            yield Objective("encoder", sum(each.square().sum() for each in self.encoder.parameters()), {})


def test_steps_of_one_variant_are_the_same_operations(monkeypatch):
    check_fixed(monkeypatch, *lazy(True))


def test_a_difference_that_no_variant_tells_is_found(monkeypatch):
    with pytest.raises(AssertionError):
        check_fixed(monkeypatch, *lazy(False))


def lazy(told):
    module = Lazy(VAEConfig(**SMALL["vae"]), told)
    return module, (batch(module, 8, seed) for seed in itertools.count())


def small_vae(kind: type[VAE]) -> VAE:
    return kind(VAEConfig(**SMALL["vae"]))


class Counting(VAE):
    fixed_step = True
    steps = 0

    def loss(self, obs, generator):
        self.steps += 1
        loss, metrics = super().loss(obs, generator)
        return loss * min(1.0, self.steps / 10), metrics


class Looking(VAE):
    fixed_step = True

    def loss(self, obs, generator):
        loss, metrics = super().loss(obs, generator)
        return loss / max(1.0, loss.item() * 0), metrics


class Copying(VAE):
    fixed_step = True

    def loss(self, obs, generator):
        loss, metrics = super().loss(obs, generator)
        return loss * torch.tensor(2.0), metrics


class Choosing(VAE):
    fixed_step = True

    def loss(self, obs, generator):
        return super().loss(obs[obs.mean((1, 2, 3)) > 0], generator)


@pytest.mark.parametrize("kind", [Counting, Looking, Copying, Choosing])
def test_a_broken_promise_is_found(monkeypatch, kind):
    module = small_vae(kind)
    with pytest.raises(AssertionError):
        check_fixed(monkeypatch, module, (batch(module, 8, seed) for seed in itertools.count()))


def test_a_class_promises_for_itself():
    class Further(VAE):
        pass

    assert has_fixed_step(small_vae(VAE)) and not has_fixed_step(small_vae(Further))
    assert not has_fixed_step(nn.Linear(1, 1))


@pytest.mark.parametrize("case", ["vae", "wgan-gp", "vq-vae", "cnn-classifier"])
def test_replayed_steps_give_the_numbers_of_plain_ones(monkeypatch, case):
    """What is copied into fixed tensors and served from there is what a plain step is given."""

    class Fixed(TrainingStep):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.replays = True

    def trained():
        module = make(case)

        def stream(start):  # every third batch is a smaller one
            return (batch(module, 5 if seed % 3 == 2 else 8, seed) for seed in itertools.count(start))

        rows = list(fit(module, stream, FitConfig(steps=6), seed=0, log_every=1))
        return module.state_dict(), [{**row, "samples_per_second": 0} for row in rows]

    plain, rows = trained()
    monkeypatch.setattr(
        sys.modules["generative.training.fit"], "TrainingStep", Fixed
    )  # the package has a function of that name
    replayed, same = trained()
    assert rows == same
    assert all(torch.equal(plain[name], replayed[name]) for name in plain)
