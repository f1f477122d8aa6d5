import math

import pytest
import torch

from generative import FitConfig, fit
from generative.data import load_data
from generative.models.writing.transformer import Seq2SeqTransformer, Seq2SeqTransformerConfig
from generative.networks.attention.transformer import sinusoids
from generative.sampling.decoding import AnswerDecoding


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> Seq2SeqTransformer:
    torch.manual_seed(0)
    sizes = {"vocabulary": 6, "width": 16, "heads": 2}
    return Seq2SeqTransformer(Seq2SeqTransformerConfig(**{**sizes, **options})).eval()


def batch(n: int = 4, length: int = 7):
    tokens = torch.randint(1, 6, (2, n, length), generator=noise(3))
    masks = torch.arange(length) < torch.tensor([[[7], [3], [5], [1]], [[2], [7], [4], [5]]])
    return tokens[0], masks[0], tokens[1], masks[1]


def test_the_content_of_padding_changes_nothing():
    module, (source, source_mask, target, target_mask) = made(), batch()
    changed = [each.where(mask, each % 5 + 1) for each, mask in ((source, source_mask), (target, target_mask))]
    whole, again = (
        module.loss((one, source_mask, two, target_mask), noise()) for one, two in ((source, target), changed)
    )
    assert not torch.equal(changed[0], source) and whole[0].item() == pytest.approx(again[0].item(), rel=1e-6)
    short = []
    for row in range(4):
        ends = int(source_mask[row].sum()), int(target_mask[row].sum())
        one, two = source[row : row + 1, : ends[0]], target[row : row + 1, : ends[1]]
        short.append(module.loss((one, torch.ones_like(one).bool(), two, torch.ones_like(two).bool()), noise())[0])
    mean = (torch.stack(short) * target_mask.sum(1)).sum() / target_mask.sum()
    assert whole[0].item() == pytest.approx(mean.item(), rel=1e-5)


@torch.no_grad()
def test_what_is_cached_equals_what_is_read_at_once_and_later_tokens_are_not_seen():
    module, (source, mask, *_) = made(layers=3), batch()
    target = torch.randint(0, 6, (4, 40), generator=noise(4))  # longer than any source
    whole, state = module.scores((source, mask), target), module.read(source, mask)
    for place, token in enumerate(module._before(target).unbind(1)):
        scores, state = module.advance(token, state)
        torch.testing.assert_close(scores, whole[:, place], atol=1e-5, rtol=1e-5)
    changed = target.clone()
    changed[:, 20] = (target[:, 20] + 1) % 6
    differs = (module.scores((source, mask), changed) - whole).abs().amax((0, 2)) > 1e-6
    assert not differs[:21].any() and differs[21:].all()


def test_positions_are_those_of_the_paper():
    found = sinusoids(torch.arange(50), 16)
    for place, entry in ((0, 0), (0, 1), (7, 4), (49, 15)):
        angle = place / 10_000 ** (2 * (entry // 2) / 16)
        expected = math.cos(angle) if entry % 2 else math.sin(angle)
        assert found[place, entry].item() == pytest.approx(expected, abs=1e-5)


def test_order_matters_on_both_sides():
    module, (source, _, target, _) = made(), batch()
    mask = torch.ones_like(source).bool()
    before = module.scores((source, mask), target)[:, -1]
    for one, two in ((source[:, [1, 0, 2, 3, 4, 5, 6]], target), (source, target[:, [1, 0, 2, 3, 4, 5, 6]])):
        moved = ((one != source) | (two != target)).any(1)
        changed = (module.scores((one, mask), two)[:, -1] - before).abs().amax(1)
        assert moved.any() and (changed[moved] > 1e-4).all()


def test_smoothing_is_of_training_alone():
    module, given = made(smoothing=0.3), batch()
    plain, metrics = module.loss(given, noise())
    assert metrics["bits_per_token"].item() == pytest.approx(plain.item() / math.log(2))
    smooth, same = module.train().loss(given, noise())
    assert same["bits_per_token"].item() == pytest.approx(metrics["bits_per_token"].item(), rel=1e-6)
    scores, mask = module.scores(given[:2], given[2]), given[3]
    expected = torch.nn.functional.cross_entropy(scores[mask], given[2][mask], label_smoothing=0.3)
    assert smooth.item() == pytest.approx(expected.item(), rel=1e-5) and smooth != plain


def test_one_matrix_embeds_and_scores():
    module, (source, mask, target, _) = made(), batch()
    before = module.scores((source.clamp(max=3), mask), target.clamp(max=3))
    with torch.no_grad():
        module.embedding.weight[5] += torch.randn(16, generator=noise())
    changed = module.scores((source.clamp(max=3), mask), target.clamp(max=3)) - before
    assert changed[..., 5].abs().min() > 1e-3 and not changed[..., :5].any()


def test_numbers_of_parameters_are_those_of_the_base_model():
    """Six layers of width 512 with 37,000 tokens: the paper's table says 65 million; biases and one token more."""
    with torch.device("meta"):
        module = Seq2SeqTransformer(Seq2SeqTransformerConfig(vocabulary=37_000, width=512, layers=6, heads=8))
    count = sum(each.numel() for each in module.parameters())
    attention, network, norm = 4 * (512 * 512 + 512), 512 * 2048 * 2 + 2048 + 512, 2 * 512
    assert count == 37_001 * 512 + 6 * (3 * attention + 2 * network + 5 * norm) and 60e6 < count < 66e6


@torch.no_grad()
def test_a_map_for_each_decoder_block_says_where_it_looks_in_the_source():
    module, (source, mask, target, _) = made(layers=3), batch()
    found = module.maps((source, mask), target)
    assert len(found) == 3
    for each in found:
        assert each.shape == (4, 2, 7, 7) and not each.masked_select(~mask[:, None, None].expand_as(each)).any()
        torch.testing.assert_close(each.sum(3), torch.ones(4, 2, 7))


def test_an_answer_is_what_the_scores_say():
    module, (source, mask, *_) = made(), batch()
    found = module.answer(source, mask, sampling=AnswerDecoding(length=6), generator=noise())
    likeliest = module.scores((source, mask), found).argmax(2)
    inside = (found == 0).cumsum(1) - (found == 0).long() == 0  # up to the end
    assert torch.equal(likeliest[inside], found[inside]) and not found[~inside].any()


@pytest.mark.long
@pytest.mark.slow
def test_words_are_turned_round():
    data = load_data("reverse", {"count": 4000, "length": 6, "letters": 5})
    torch.manual_seed(0)
    module = Seq2SeqTransformer(Seq2SeqTransformerConfig(**Seq2SeqTransformer.sizes(data.fields), width=64))
    config = FitConfig(steps=400, learning_rate=3e-3, schedule="inverse-root", warmup=100, gradient_clip=1.0)
    list(fit(module, data.batches(32, 0, module.inputs), config, seed=0, log_every=50))
    held = next(data.held_out().batches(200, 0, module.inputs)())
    assert module.eval().loss(held, noise())[1]["right"] > 0.9


@pytest.mark.parametrize("options", [{"vocabulary": 0}, {"width": 9}, {"dropout": 1.0}, {"smoothing": -0.1}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        Seq2SeqTransformerConfig(**{"heads": 2, **options})
