import pytest
import torch

from generative import ComponentError
from generative.data import load_data
from generative.models.composing.muse_net import MuseNet, MuseNetConfig, MuseNetSampling
from generative.sampling.decoding import Decoding


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> MuseNet:
    torch.manual_seed(0)
    sizes = {"vocabulary": 4, "width": 8, "layers": 2, "heads": 2, "context": 16, "dropout": 0.0}
    sizes |= {"classes": 3, "voices": 2, "bar": 4}
    module = MuseNet(MuseNetConfig(**{**sizes, **options})).eval()
    with torch.no_grad():
        for each in module.parameters():
            each.mul_(6)  # else all scores are nearly alike
    return module


def tokens(n: int, length: int) -> torch.Tensor:
    return torch.randint(0, 4, (n, length), generator=noise(5))


def styles(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


@pytest.mark.parametrize("relative", [False, True])
@torch.no_grad()
def test_cached_scores_are_the_full_ones_at_every_place_also_past_the_window(relative):
    module, piece = made(relative=relative), tokens(2, 43)
    read = module._whole(piece, styles(2, 1), torch.tensor([[8, 40], [0, 90]]))
    cache, found = None, []
    for part in read.split([1, 5, *[1] * 38], 1):
        scores, cache = module.cached(part, cache)
        found.append(scores)
    torch.testing.assert_close(torch.cat(found, 1), module(read), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_everything_after_the_prefix_sees_the_style_in_every_window():
    module, piece = made(), tokens(1, 43)
    scores = [module(module._whole(piece, styles(style))) for style in (0, 1)]
    assert ((scores[0] - scores[1]).abs().amax(2) > 1e-4).all()
    module.embedding.weight[4:] = module.embedding.weight[4]  # without prefixes that differ nothing does
    scores = [module(module._whole(piece, styles(style))) for style in (0, 1)]
    assert torch.equal(*scores)


def test_a_style_learnt_is_the_style_composed():
    """The pieces of style k are the token k again and again; nothing but the prefix says which."""
    torch.manual_seed(0)
    module = MuseNet(MuseNetConfig(vocabulary=4, width=16, layers=1, heads=2, context=8, classes=3, voices=2, bar=4))
    optimiser = torch.optim.Adam(module.parameters(), 0.03)
    labels, place = torch.arange(12) % 3, torch.tensor([0, 4]).expand(12, 2)
    for step in range(40):
        optimiser.zero_grad()
        module.loss((labels[:, None].expand(-1, 8), labels, place), noise(step))[0].backward()
        optimiser.step()
    module.eval()
    assert torch.equal(module.sample(3, MuseNetSampling(length=8), noise()), torch.arange(3)[:, None].expand(-1, 8))
    assert (module.sample(3, MuseNetSampling(length=8), noise(), styles(2, 2, 2)) == 2).all()
    opening = torch.full((2, 3), 1)
    assert (module.generate(opening, 5, MuseNetSampling(style=1), noise()) == 1).all()


@torch.no_grad()
def test_a_token_that_is_composed_has_the_vectors_of_its_time():
    """Whatever is read together: token by token, and in windows, each token keeps voice, step, bar and part."""
    module, seen = made(), []
    module.position.register_forward_pre_hook(lambda _, given: seen.append(torch.stack(given[1:], 2)))
    module.generate(tokens(2, 5), 20, Decoding(), noise(), torch.tensor([[4, 24], [0, 13]]))
    number = torch.cat([each[0, :, 0] for each in seen])
    read = {int(each): row for each, row in zip(number, torch.cat(seen, 1)[0], strict=True)}
    assert sorted(read) == list(range(-1, 24))
    assert all(row.tolist() == [each, 4, 24] for each, row in read.items())


@torch.no_grad()
def test_times_are_those_of_the_piece():
    module = made()
    times = module.position
    for each in (times.beat, times.voice, times.bars, times.part, times.left):
        each.weight.zero_()
    still = times(torch.arange(6), torch.arange(6)[None], *torch.tensor([[[20]], [[40]]]).expand(2, 1, 6))
    wanted = {"beat": [0, 0, 1, 1, 2, 2], "voice": [0, 1] * 3, "bars": [5] * 6, "left": [4] * 6}
    wanted["part"] = [64, 64, 67, 67, 70, 70]  # 128ths of 40 steps, from the 20th on
    for name, rows in wanted.items():
        table = getattr(times, name)
        table.weight[:, 0] = torch.arange(len(table.weight)) + 1.0
        moved = times(torch.arange(6), torch.arange(6)[None], *torch.tensor([[[20]], [[40]]]).expand(2, 1, 6))
        assert (moved - still)[0, :, 0].round().int().tolist() == [each + 1 for each in rows], name
        table.weight.zero_()


def test_data_say_voices_bars_and_styles():
    fields = load_data("progressions", {"count": 30, "bars": 1}).fields
    known = MuseNet.sizes(fields)
    assert {name: known[name] for name in ("context", "voices", "bar", "classes")} == {
        "context": 64, "voices": 4, "bar": 16, "classes": 2,
    }  # fmt: skip
    assert made().inputs == ("tokens", "label", "place") and made(classes=1).inputs == ("tokens", "place")
    with pytest.raises(ComponentError, match="muse-net needs the field 'roll'"):
        MuseNet.sizes({name: each for name, each in fields.items() if name != "roll"})
    with pytest.raises(ValueError, match="labels: must be 0 to 2"):
        made().log_prob(tokens(1, 4), styles(3))


@pytest.mark.parametrize("options", [{"classes": 0}, {"voices": 0}, {"bar": 0}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        MuseNetConfig(**options)
