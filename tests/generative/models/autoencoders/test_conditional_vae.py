import pytest
import torch

from generative import MODELS, FitConfig, fit
from generative.capabilities import draw
from tests.generative.models.shapes import squares


def labelled(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Squares, white on black where the label is 0 and black on white where it is 1."""
    labels = torch.randint(0, 2, (n,), generator=torch.Generator().manual_seed(seed + 1))
    obs = squares(n, seed)
    return torch.where(labels[:, None, None, None] == 1, 1 - obs, obs), labels


def stream(start: int):
    while True:
        yield labelled(32, start)
        start += 1


OPTIONS = {"image_size": 16, "channels": 1, "latent": 4, "width": 8, "classes": 2}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.slow
def test_the_label_decides_what_it_says_and_the_latent_the_rest():
    module = MODELS.create("conditional-vae", OPTIONS, 0)
    list(fit(module, stream, FitConfig(steps=300, learning_rate=3e-3), seed=0))
    obs, labels = labelled(100, 10**6)
    error = (module.reconstruct(obs, labels) - obs).square().sum((1, 2, 3)).mean()
    assert error < 0.6 * (obs - 0.5).square().sum((1, 2, 3)).mean()
    drawn = draw(module, 40, noise())
    assert drawn[::2].mean() < 0.35 and drawn[1::2].mean() > 0.65  # labels in turn by default
    same = draw(module, 40, noise(), torch.ones(40, dtype=torch.int64))
    assert same.mean() > 0.65
    # The same latent under the other label is about the negative, not the same image.
    z, _ = module.encode(obs, labels)
    assert (module.decode(z, 1 - labels) - (1 - obs)).square().mean() < (
        module.decode(z, 1 - labels) - obs
    ).square().mean()


def test_the_loss_is_the_formula():
    module = MODELS.create("conditional-vae", {**OPTIONS, "beta": 3.0}, 0).double()
    obs, labels = labelled(5, 0)
    obs = obs.double()
    loss, metrics = module.loss((obs, labels), noise(3))
    mean, std = module.encode(obs, labels)
    z = mean + std * torch.randn(5, 4, generator=noise(3))
    error = (module.decode(z, labels) - obs).square().sum((1, 2, 3)).mean()
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(mean, std), normal(torch.zeros_like(mean), torch.ones_like(std)))
    torch.testing.assert_close(metrics["kl"], kl.sum(1).mean())
    torch.testing.assert_close(loss, error + 3.0 * kl.sum(1).mean())


def test_labels_out_of_range_are_refused():
    module = MODELS.create("conditional-vae", OPTIONS, 0)
    for wrong in (2, -1):
        with pytest.raises(ValueError, match=r"labels: must be 0 to 1"):
            module.encode(squares(1, 0), torch.tensor([wrong]))
