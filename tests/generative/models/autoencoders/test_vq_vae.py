import copy

import pytest
import torch

from generative import MODELS, VQVAE, ComponentError, FitConfig, fit
from generative.models.autoencoders.vq_vae import VQVAEConfig, perplexity
from tests.generative.models.shapes import squares, stream

OPTIONS = {"image_size": 16, "channels": 1, "width": 8, "codes": 32}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**options) -> VQVAE:
    module = MODELS.create("vq-vae", {**OPTIONS, **options}, 0)
    assert isinstance(module, VQVAE)
    return module


def train(module: VQVAE, steps: int = 250) -> VQVAE:
    list(fit(module, stream, FitConfig(steps=steps, learning_rate=3e-3), seed=0))
    module.estimate(stream(0), noise())
    return module


@pytest.fixture(scope="module")
def trained() -> VQVAE:
    return train(make())


def encodings(module: VQVAE, obs: torch.Tensor) -> torch.Tensor:
    """The encoder's vectors, (N D)."""
    return module.encoder(obs).permute(0, 2, 3, 1).flatten(0, 2)


def test_it_learns_squares_with_many_of_its_codes(trained):
    facts = trained.diagnose(squares(200, seed=10**6))
    assert facts["verdict"] == "healthy" and facts["explained"] > 0.5
    assert facts["used_codes"] > 16 and 4 < facts["perplexity"] <= facts["used_codes"]


def test_the_grid_is_as_fine_as_64_numbers_allow():
    sides = {size: VQVAEConfig(image_size=size).side for size in (16, 32, 48, 64, 96)}
    assert sides == {16: 4, 32: 4, 48: 3, 64: 4, 96: 3}
    assert VQVAEConfig().latent == 64
    with pytest.raises(ValueError, match=r"grid=5: .*\[16, 8, 4, 2, 1\]"):
        VQVAEConfig(grid=5)


def test_more_than_64_numbers_are_a_model_but_no_vision():
    module = make(image_size=32, grid=8)
    assert module.encode(torch.rand(2, 1, 32, 32))[0].shape == (2, 256)
    with pytest.raises(ComponentError, match=r"256 numbers.*at most 64.*`grid`"):
        _ = module.latent_spec


def test_z_is_made_of_codes_and_decode_goes_to_the_nearest(trained):
    obs = squares(20, seed=5)
    z, std = trained.encode(obs)
    assert z.shape == (20, 64) and not std.any()
    vectors = trained.scale.undo(z).unflatten(1, (4, 4, 4)).permute(0, 2, 3, 1)  # (B G G D)
    torch.testing.assert_close(vectors, trained.codebook[trained.codes(obs)], atol=1e-4, rtol=1e-4)
    assert torch.equal(trained.decode(z), trained.reconstruct(obs))
    assert torch.equal(trained.decode(z + 1e-4 * torch.randn(z.shape, generator=noise())), trained.decode(z))
    assert not torch.equal(trained.decode(z.flip(0)), trained.decode(z))


def test_the_codebook_moves_to_the_mean_of_what_chose_it():
    module, obs = make(decay=0.0, restart=0.0), squares(16, seed=0)
    module.started.fill_(1)
    with torch.no_grad():
        module.codebook.copy_(encodings(module, obs)[:32])
    before, rows = module.codebook.clone(), encodings(module, obs).detach()
    chosen = (rows[:, None] - before).square().sum(2).argmin(1)
    module.loss(obs, noise())
    for code in range(32):
        mine = rows[chosen == code]
        torch.testing.assert_close(module.codebook[code], mine.mean(0) if len(mine) else before[code])
    assert len(chosen.unique()) < 32  # some code was not chosen, and kept its place


def test_running_means_follow_slowly():
    module, obs = make(restart=0.0), squares(16, seed=0)
    module.started.fill_(1)
    sums, rows = module.sums.clone(), encodings(module, obs).detach()
    chosen = module.codes(obs).flatten()
    module.loss(obs, noise())
    share = torch.bincount(chosen, minlength=32) / len(chosen)
    torch.testing.assert_close(module.usage, 0.99 / 32 + 0.01 * share)
    code = int(chosen[0])
    expected = 0.99 * sums[code] + 0.01 * rows[chosen == code].sum(0) / len(rows)
    torch.testing.assert_close(module.codebook[code], expected / module.usage[code])


def test_dead_codes_are_set_down_on_encodings_of_the_batch():
    alive = train(make(), steps=20)
    obs = squares(16, seed=0)
    with torch.no_grad():
        alive.codebook[20:], alive.sums[20:], alive.usage[20:] = 1e3, 1e3 * 1e-6, 1e-6
        alive.usage[:20] = 1 / 20
    for restart, dead in ((0.1, 12), (0.0, 0)):
        module = copy.deepcopy(alive).train()
        module.config = VQVAEConfig(**OPTIONS, restart=restart)
        rows = encodings(module, obs).detach()
        kept = module.codebook.clone()
        restarted = module._restart(rows, noise())
        assert restarted.item() == dead
        assert torch.equal(module.codebook[:20], kept[:20])
        if dead:
            assert (module.codebook[20:, None] - rows).square().sum(2).amin(1).max() == 0
            assert (module.usage[20:] == 1 / 32).all()
            assert not torch.equal(module.codebook[20:26], module.codebook[26:])  # on different rows
        else:
            assert torch.equal(module.codebook, kept)
    module = copy.deepcopy(alive).train()
    assert module.loss(obs, noise())[1]["restarted"].item() == 12
    assert module.codebook.abs().max() < 100


def test_an_evaluation_moves_no_code(trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.eval()
    _, metrics = trained.loss(squares(8, seed=0) * 0.5, noise())
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
    assert "restarted" not in metrics


def test_gradients_pass_the_codes_straight_through():
    module, obs = make(commitment=0.0).eval(), squares(4, seed=0)
    rows = encodings(module, obs)
    vectors = module.codebook[torch.cdist(rows, module.codebook).argmin(1)].clone().requires_grad_()
    error = (module.decoder(vectors.unflatten(0, (4, 4, 4)).permute(0, 3, 1, 2)) - obs).square().sum((1, 2, 3)).mean()
    (expected,) = torch.autograd.grad(error, vectors)
    first = next(iter(module.encoder.parameters()))
    (passed,) = torch.autograd.grad(module.loss(obs, noise())[0], first)
    (by_hand,) = torch.autograd.grad(rows, first, expected)
    assert passed.any()
    torch.testing.assert_close(passed, by_hand)
    module.config = VQVAEConfig(**OPTIONS, commitment=0.5)
    loss, metrics = module.loss(obs, noise())
    torch.testing.assert_close(metrics["commitment"], (rows - vectors).square().sum() / 4)
    torch.testing.assert_close(loss, error + 0.5 * metrics["commitment"])


def test_perplexity_is_the_number_of_codes_in_equal_use():
    assert perplexity(torch.arange(10), 10).item() == pytest.approx(10)
    assert perplexity(torch.zeros(50, dtype=torch.int64), 10).item() == pytest.approx(1)
    share = torch.tensor([0.5, 0.25, 0.25])
    expected = torch.distributions.Categorical(share).entropy().exp().item()
    assert perplexity(torch.tensor([0, 0, 1, 2]), 10).item() == pytest.approx(expected)


@pytest.mark.slow
def test_a_mostly_dead_codebook_is_recognised():
    module = make(codes=512, restart=0.0)
    module.started.fill_(1)
    with torch.no_grad():
        module.codebook[16:] = 1e3
        module.sums[16:] = 1e3 / 512
    facts = train(module).diagnose(squares(200, seed=10**6))
    assert facts["explained"] > 0.05 and facts["used_codes"] <= 16
    assert facts["verdict"] == "dead-codes" and "restart" in facts["reason"]


def test_resume_equals_uninterrupted(tmp_path):
    config = FitConfig(steps=20, learning_rate=1e-3)
    whole, killed, resumed = make(), make(), MODELS.create("vq-vae", OPTIONS, 99)
    list(fit(whole, stream, config, seed=5))
    for row in fit(killed, stream, config, seed=5, checkpoint=tmp_path, log_every=1):
        if row["step"] == 9:
            break  # the newest checkpoint is of step 8
    list(fit(resumed, stream, config, seed=5, checkpoint=tmp_path))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
