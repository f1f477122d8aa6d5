import numpy as np
import pytest
import torch

from generative import ComponentError
from generative.capabilities import draw
from generative.data import Field, load_data
from generative.data.music.rolls import roll_names, sounding, unnumbered
from generative.models.composing.muse_gan import BarGenerator, MuseGAN, MuseGANConfig, critic_network
from generative.objectives import adversarial


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> MuseGAN:
    torch.manual_seed(0)
    return MuseGAN(MuseGANConfig(**{"pitches": 20, "inputs": 4, "width": 16, "critic_width": 4, **options}))


def numbers(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def test_it_has_the_weights_of_the_book():
    """Foster 2019: the critic 1,446,401, a bar generator 1,521,921 with the running means of its batch norms."""
    book = MuseGANConfig(pitches=83)
    assert book.octaves == 7 and numbers(critic_network(book)) == 1_446_401
    bar = BarGenerator(128, 1024, 16, 7)
    running = sum(each.numel() for name, each in bar.named_buffers() if "running" in name)
    assert numbers(bar) + running == 1_521_921


@pytest.mark.parametrize("holds", [True, False])
def test_rolls_come_back_from_what_the_critic_sees(holds):
    module = made(holds=holds)
    rolls = torch.randint(0, 22 if holds else 21, (3, 32, 4), generator=noise())
    inside = module._inside(rolls)
    assert inside.shape == (3, 4, 2, 16, 24) and set(inside.unique().tolist()) == {-1.0, 1.0}
    assert ((inside > 0).sum(-1) == 1).all()  # one pitch or a rest at every step
    names = roll_names(40, 59, holds)
    back = module._outside(inside)
    for one, other in zip(rolls.numpy(), back.numpy(), strict=True):
        assert (sounding(unnumbered(one, names)) == sounding(unnumbered(other, names))).all()
    assert torch.equal(module._outside(module._inside(back)), back)


def test_a_rest_is_a_pitch_of_its_own_and_what_the_data_lack_is_never_played():
    module = made()
    scores = torch.zeros(1, 4, 2, 16, 24)
    scores[..., 23] = 1
    assert not module._outside(scores).any()
    played = draw(module, 20, noise())
    assert played.min() >= 0 and played.max() <= 21
    with torch.no_grad():
        for bar in module.average.network.bars:
            bar.layers[-1].bias.fill_(50.0)
    assert draw(module, 20, noise()).max() <= 21


def test_the_penalty_is_on_the_norm_of_a_whole_piece():
    weight = torch.randn(4, 2, 16, 24, generator=noise())
    real, other = (torch.randn(3, 4, 2, 16, 24, generator=noise(seed)) for seed in (1, 2))

    def linear(piece):
        return (piece * weight).sum((1, 2, 3, 4))

    penalty = adversarial.gradient_penalty(linear, real, other, noise())
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-4)


def test_each_input_reaches_its_voices_and_bars_alone():
    module = made().eval()
    z, other = torch.randn(2, 6, module.config.latent, generator=noise()).unbind(0)
    before = module.generator(z)

    def changed(part: str, voice: int = 1) -> torch.Tensor:
        after = module.generator(module.exchanged(z, other, part, voice))
        return (after != before).any(-1).any(-1).any(0)  # (V bars)

    for part in ("chords", "style"):
        assert changed(part).all()
    for part in ("melody", "groove"):
        found = changed(part)
        assert found[1].all() and not found[[0, 2, 3]].any()
    same = z.clone()
    same[:, : module.config.inputs] = 0  # without chords and melodies over time, all bars are alike
    with torch.no_grad():
        for each in (module.generator.chords, *module.generator.melodies):
            each.layers[3].weight.zero_()
    bars = module.generator(same)
    torch.testing.assert_close(bars[:, :, 0], bars[:, :, 1])
    for part, voice in (("rhythm", 0), ("groove", 4)):
        with pytest.raises(ValueError, match="give one of chords, style, melody, groove, and 0 to 3"):
            module.exchanged(z, other, part, voice)


def test_a_straight_through_piece_is_binary_and_has_a_gradient():
    module = made(binarise="straight-through")
    piece = module.generator(torch.randn(3, module.config.latent, generator=noise()))
    assert ((piece > 0.99).sum(-1) == 1).all() and ((piece < -0.99).sum(-1) == 23).all()
    (gradient,) = torch.autograd.grad(piece[..., 0].sum(), [module.generator.bars[0].layers[-1].weight])
    assert gradient.abs().sum() > 0


def test_the_data_decide_the_sizes():
    data = load_data("progressions", {"count": 50})
    known = MuseGAN.sizes(data.fields)
    pitches = len(data.item.names) - 2
    assert known == {"bars": 2, "steps": 16, "voices": 4, "pitches": pitches, "holds": True}
    MuseGAN(MuseGANConfig(**known, inputs=2, width=8, critic_width=2))._inside(data.tensor("roll", np.arange(4)))
    short = {"roll": Field("roll", (16, 4), "int64", roll_names(40, 50), (13,), 5.0)}
    with pytest.raises(ComponentError, match="needs two or more whole bars"):
        MuseGAN.sizes(short)
    for options in ({"bars": 1}, {"steps": 12}, {"width": 6}, {"pitches": 0}, {"ema": 1.0}, {"critic_rate": 0.0}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            MuseGANConfig(**options)
