import pytest
import torch

from generative import FitConfig, fit
from generative.data import load_data
from generative.models.writing.attention_maps import AnswerAttention
from generative.models.writing.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from generative.runs.run_folder import preset
from generative.sampling.decoding import AnswerDecoding

KINDS = ("none", "pooling", "additive", "dot", "multi-head")
every = pytest.mark.parametrize("attention", KINDS)
orders = pytest.mark.parametrize("order", ["bahdanau", "luong"])


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rough(**options) -> EncoderDecoder:
    torch.manual_seed(0)
    sizes = {"vocabulary": 6, "embedding": 8, "hidden": 16, "heads": 2}
    module = EncoderDecoder(EncoderDecoderConfig(**{**sizes, **options})).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
    return module


def batch(n: int = 4, length: int = 7):
    tokens = torch.randint(1, 6, (2, n, length), generator=noise(3))
    masks = torch.arange(length) < torch.tensor([[[7], [3], [5], [1]], [[2], [7], [4], [5]]])
    return tokens[0], masks[0], tokens[1], masks[1]


@every
@orders
def test_the_content_of_padding_changes_nothing(attention, order):
    module, (source, source_mask, target, target_mask) = rough(attention=attention, order=order), batch()
    changed = [each.where(mask, each % 5 + 1) for each, mask in ((source, source_mask), (target, target_mask))]
    assert not torch.equal(changed[0], source) and not torch.equal(changed[1], target)
    whole, again = (
        module.loss((one, source_mask, two, target_mask), noise()) for one, two in ((source, target), changed)
    )
    assert whole[0].item() == again[0].item() and whole[1]["right"] == again[1]["right"]
    short = []
    for row in range(4):
        ends = int(source_mask[row].sum()), int(target_mask[row].sum())
        one, two = source[row : row + 1, : ends[0]], target[row : row + 1, : ends[1]]
        mean = module.loss((one, torch.ones_like(one).bool(), two, torch.ones_like(two).bool()), noise())[0]
        short.append(mean * ends[1])
    assert whole[0].item() == pytest.approx(torch.stack(short).sum().item() / target_mask.sum().item(), rel=1e-5)
    (looked,) = module.maps((changed[0], source_mask), target)
    torch.testing.assert_close(looked, module.maps((source, source_mask), target)[0])
    if attention != "none":
        torch.testing.assert_close(looked.sum(3), torch.ones(looked.shape[:3]))
        assert not looked.masked_select(~source_mask[:, None, None].expand_as(looked)).any()


@orders
def test_only_pooling_looks_at_the_same_whatever_is_asked(order):
    for attention in KINDS[1:]:
        source, mask, target, _ = batch()
        looked = rough(attention=attention, order=order).maps((source, mask), target)[0][0]
        assert torch.allclose(looked, looked[:, :1].expand_as(looked), atol=1e-5) == (attention == "pooling")


@every
def test_the_whole_source_is_read(attention):
    module, (source, _, target, _) = rough(attention=attention), batch()
    mask = torch.ones_like(source).bool()
    before = module.scores((source, mask), target)
    for place in range(source.shape[1]):
        changed = source.clone()
        changed[:, place] = changed[:, place] % 5 + 1
        assert (module.scores((changed, mask), target) - before).abs().amax((1, 2)).min() > 1e-5


@orders
def test_a_mark_changes_the_question(order):
    module, (source, mask, target, _) = rough(marked=True, order=order), batch()
    marks = torch.zeros_like(source)
    before = module.scores((source, mask, marks), target)
    marks[:, 0] = 1
    assert not torch.allclose(before, module.scores((source, mask, marks), target), atol=1e-4)
    assert module.inputs == ("source", "source_mask", "answer", "target", "target_mask")


@every
@orders
def test_an_answer_is_what_the_scores_say(attention, order):
    module, (source, mask, *_) = rough(attention=attention, order=order), batch()
    found = module.answer(source, mask, sampling=AnswerDecoding(length=6), generator=noise())
    likeliest = module.scores((source, mask), found).argmax(2)
    inside = (found == 0).cumsum(1) - (found == 0).long() == 0  # up to the end
    assert torch.equal(likeliest[inside], found[inside]) and not found[~inside].any()


def gru(cell, given, before):
    """The gates of a GRU as torch documents them: r resets what comes of the state before, z keeps of it."""
    r, z, new = (cell.weight_ih @ given + cell.bias_ih).chunk(3)
    r_before, z_before, new_before = (cell.weight_hh @ before + cell.bias_hh).chunk(3)
    keep = (z + z_before).sigmoid()
    return (1 - keep) * (new + (r + r_before).sigmoid() * new_before).tanh() + keep * before


def looked(attention, state, features):
    """The shares of the features h_j for a state: softmax of v tanh(W s + U h_j), or of s h_j."""
    if attention.kind == "dot":
        return torch.stack([state @ each for each in features]).softmax(0)
    asked, known, score = (getattr(attention, name).weight for name in ("query", "key", "score"))
    return torch.stack([score[0] @ (asked @ state + known @ each).tanh() for each in features]).softmax(0)


def written_by_bahdanau(decoder, words, state, features):
    """arXiv 1409.0473, section 3.1 and appendix A: c_i comes of s_i-1, then s_i of s_i-1, y_i-1 and c_i."""
    for word in words:
        shares = looked(decoder.attention, state, features)  # equation 6, with a(s_i-1, h_j)
        context = shares @ features  # equation 5
        state = gru(decoder.cell, torch.cat([word, context]), state)
        yield state, context, shares


def written_by_luong(decoder, words, state, features):
    """arXiv 1508.04025, section 3.1: h_t comes of h_t-1 and y_t-1 alone, then a_t and c_t of h_t."""
    for word in words:
        state = gru(decoder.cell, word, state)
        shares = looked(decoder.attention, state, features)
        yield state, shares @ features, shares


@pytest.mark.parametrize("attention", ["additive", "dot"])
@pytest.mark.parametrize(("order", "written"), [("bahdanau", written_by_bahdanau), ("luong", written_by_luong)])
@torch.no_grad()
def test_attention_is_before_the_step_or_after_it_as_the_papers_say(attention, order, written):
    """Tokens are scored from the attentional vector of Luong's equation 5, tanh(W [c_t, h_t]), in both orders."""
    module, (source, mask, target, _) = rough(attention=attention, order=order), batch()
    scores, (shares,) = module.scores((source, mask), target), module.maps((source, mask), target)
    features, ends = module.encoder(module.embedding(source), mask)
    decoder, hidden = module.decoder, module.config.hidden
    for row, length in enumerate(mask.sum(1).tolist()):
        words = module.embedding(torch.cat([torch.tensor([6]), target[row, :-1]]))  # the start, then what was written
        steps = written(decoder, words, ends[row], features[row, :length])
        for place, (state, context, share) in enumerate(steps):
            of_state, of_context = decoder.join.weight[:, :hidden], decoder.join.weight[:, hidden:]
            joined = (of_state @ state + of_context @ context + decoder.join.bias).tanh()
            expected = decoder.head.weight @ joined + decoder.head.bias
            torch.testing.assert_close(scores[row, place], expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(shares[row, 0, place, :length], share, atol=1e-5, rtol=1e-5)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("attention", "order"), [("additive", "bahdanau"), ("dot", "luong"), ("multi-head", "luong")])
def test_words_are_turned_round(attention, order):
    data = load_data("reverse", {"count": 4000, "length": 6, "letters": 5})
    torch.manual_seed(0)
    sizes = EncoderDecoder.sizes(data.fields)
    module = EncoderDecoder(EncoderDecoderConfig(**sizes, embedding=32, hidden=64, attention=attention, order=order))
    config = FitConfig(steps=350, learning_rate=1e-2, schedule="cosine", gradient_clip=1.0)
    list(fit(module, data.batches(32, 0, module.inputs), config, seed=0, log_every=50))
    held = next(data.held_out().batches(200, 0, module.inputs)())
    assert module.loss(held, noise())[1]["right"] > 0.9


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("attention", "least", "most"), [("dot", 0.99, 1.0), ("none", 0.0, 0.5)])
def test_which_digit_came_with_which_of_eight_letters_is_known_by_attention_alone(attention, least, most):
    known = preset("encoder-decoder", "recall")
    data = load_data(known.data.type, known.data.options)
    torch.manual_seed(0)
    options = {**known.model.options, **EncoderDecoder.sizes(data.fields), "attention": attention}
    module = EncoderDecoder(EncoderDecoderConfig(**options))
    list(fit(module, data.batches(known.batch, 0, module.inputs), known.fit, seed=0, log_every=100))
    source, mask, target, _ = next(data.held_out().batches(500, 0, module.inputs)())
    said = module.eval().answer(source, mask, sampling=AnswerDecoding(), generator=noise())
    assert least <= (said[:, 0] == target[:, 0]).double().mean() <= most


@pytest.mark.parametrize("options", [{"vocabulary": 0}, {"hidden": 10}, {"dropout": 1.0}, {"heads": 0}])
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        EncoderDecoderConfig(**options)


class Source:
    classes = ()

    def names(self, field):
        return ("<end>", "a", " b", "c", "d", "e")

    def codes(self, count, seed):
        raise AssertionError("this view needs no codes")

    def held_out(self, count):
        assert count == 64
        return batch()

    def attributes(self):
        return {}


def test_the_view_has_a_cell_for_each_token_said_and_read():
    module, (source, mask, *_) = rough(attention="multi-head"), batch()
    said = module.answer(source, mask, sampling=AnswerDecoding(length=7), generator=noise())
    (looked,) = module.maps((source, mask), said)
    for item, head in ((0, 0), (1, 2)):
        shown = AnswerAttention(item=item, head=head).show(module, Source(), 0)
        expected = looked[item].mean(0) if head == 0 else looked[item, head - 1]
        rows, columns = shown.images.shape[:2]
        assert len(shown.rows) == rows and len(shown.columns) == columns
        torch.testing.assert_close(shown.images.mean((2, 3, 4)), expected[:rows, :columns])
        assert columns == 7  # the rows of sources have no end here
    with pytest.raises(ValueError, match="attention=none"):
        AnswerAttention().show(rough(attention="none"), Source(), 0)
    for options in ({"item": 4}, {"head": 3}, {"layer": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            AnswerAttention(**options).show(module, Source(), 0)
