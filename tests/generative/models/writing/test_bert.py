import math

import pytest
import torch

from generative import ComponentError
from generative.data import Field
from generative.models.writing.attention_maps import TextAttention
from generative.models.writing.bert import BERT, BERTConfig


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> BERT:
    torch.manual_seed(0)
    sizes = {"vocabulary": 5, "width": 16, "layers": 2, "heads": 2, "context": 16, "dropout": 0.0}
    return BERT(BERTConfig(**{**sizes, **options})).eval()


def texts(n: int, length: int) -> torch.Tensor:
    return torch.randint(0, 5, (n, length), generator=noise(5))


@torch.no_grad()
def test_it_reads_both_sides_and_not_what_is_hidden():
    module, tokens = made(), texts(1, 11)
    hidden = torch.arange(11) == 4
    scores = module.fill(tokens, hidden[None])
    for place in range(11):
        changed = tokens.clone()
        changed[0, place] = (tokens[0, place] + 1) % 5
        differs = (module.fill(changed, hidden[None])[0, 4] - scores[0, 4]).abs().max() > 1e-5
        assert differs == (place != 4)


@torch.no_grad()
def test_places_and_segments_matter():
    module, tokens = made(layers=1), torch.zeros(1, 10, dtype=torch.int64)
    nothing = torch.zeros(1, 10, dtype=torch.bool)
    features = module._read(tokens, 5)[0][0]
    assert len({tuple(each.tolist()) for each in features.round(decimals=5)}) == 10
    module.position.weight.zero_()
    features = module._read(tokens, 5)[0][0]
    torch.testing.assert_close(features[:5], features[:1].expand(5, -1))
    torch.testing.assert_close(features[5:], features[5:6].expand(5, -1))
    assert (features[0] - features[5]).abs().max() > 1e-4  # what is left is the segment
    assert module.fill(tokens, nothing).shape == (1, 10, 5)


def test_about_half_of_the_pairs_belong_together():
    tokens = torch.arange(4000)[:, None].expand(-1, 8)
    pairs, follows = made(vocabulary=4000)._pairs(tokens, noise())
    assert torch.equal(pairs[:, :4], tokens[:, :4])
    assert torch.equal((pairs == tokens).all(1), follows) and abs(follows.double().mean() - 0.5) < 0.03
    assert (pairs[~follows, 4:] == pairs[~follows, 4:5]).all()  # the whole half of one other text


def test_the_loss_is_of_hidden_tokens_and_pairs():
    module = made(vocabulary=100)
    loss, metrics = module.loss(texts(64, 16), noise())
    assert metrics["bits_per_token"].item() == pytest.approx(math.log2(100), rel=0.02)
    assert loss.item() - metrics["bits_per_token"].item() * math.log(2) == pytest.approx(math.log(2), abs=0.05)
    again, _ = module.loss(texts(64, 16), noise(1))
    assert again != loss


@torch.no_grad()
def test_labels_are_told_of_texts_as_reading_learnt_to_read_them():
    """In two halves: a model that begins with the weights of one that read sees the same places and segments."""
    reading, labelled, text = made(), made(labelled=True, classes=2), texts(5, 10)
    labelled.load_state_dict(
        reading.state_dict() | {"classifier.weight": torch.eye(2, 16), "classifier.bias": torch.zeros(2)}, strict=False
    )
    torch.testing.assert_close(labelled.classify(text), reading._pooled(reading._read(text, 5)[1])[:, :2])
    said = reading.next_sentence(reading._pooled(reading._read(text, 5)[1]))[:, 0]
    torch.testing.assert_close(reading.goes_on(text), said)


def test_labels_take_the_place_of_hidden_tokens():
    module = made(labelled=True, classes=3)
    assert module.inputs == ("tokens", "label") and made().inputs == ("tokens",)
    scores = module.classify(texts(6, 9))
    assert scores.shape == (6, 3)
    loss, metrics = module.loss((texts(6, 9), torch.arange(6) % 3), noise())
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(6) % 3)
    assert loss.item() == pytest.approx(expected.item()) and set(metrics) == {"right"}
    with pytest.raises(ValueError, match="labels: must be 0 to 2"):
        module.loss((texts(6, 9), torch.arange(6)), noise())


def test_a_labelled_model_has_the_weights_that_reading_needs():
    reading, labelled = made().state_dict(), made(labelled=True).state_dict()
    own = {name.split(".")[0] for name in labelled.keys() - reading.keys()}
    assert own == {"classifier"}
    assert {name.split(".")[0] for name in reading.keys() - labelled.keys()} == {"guess", "bias", "next_sentence"}


def test_what_it_cannot_read_is_refused():
    with pytest.raises(ValueError, match="context=16: texts have 17 tokens"):
        made().loss(texts(2, 17), noise())
    fields = {"tokens": Field("tokens", (9,), "int64", (), (5,))}
    assert BERT.sizes(fields) == {"vocabulary": 5, "labelled": False}
    labels = {"label": Field("label", (), "int64", ("x", "y"), (2,))}
    assert BERT.sizes({**fields, **labels}) == {"vocabulary": 5, "labelled": True, "classes": 2}
    fields["tokens_mask"] = Field("mask", (9,), "bool")
    with pytest.raises(ComponentError, match="bert needs pieces of running text, and these are padded"):
        BERT.sizes(fields)


@torch.no_grad()
def test_maps_say_where_blocks_look_and_a_view_shows_one():
    module, tokens = made(), texts(64, 9)
    found = module.maps(tokens)
    assert len(found) == 2 and found[0].shape == (64, 2, 9, 9)
    assert (found[0].sum(3) < 1).all() and found[0].triu(1).any()  # some look at [CLS] and [SEP]

    class Source:
        classes = ()

        def names(self, field):
            return ("a", " b", "c", "d", "e")

        def codes(self, count, seed):
            raise AssertionError("this view needs no codes")

        def held_out(self, count):
            return (tokens[:count],)

        def attributes(self):
            return {}

    shown = TextAttention(item=3, length=6, layer=2, head=1).show(module, Source(), 0)
    torch.testing.assert_close(shown.images.mean((2, 3, 4)), module.maps(tokens[3:4, :6])[1][0, 0])
    assert list(shown.rows) == list(shown.columns) and len(shown.rows) == 6


def test_numbers_of_parameters_are_those_of_the_base_model():
    """12 layers of width 768, 30,522 tokens and 512 places: the paper says 110 million; ours has three places more."""
    with torch.device("meta"):
        sizes = BERTConfig(vocabulary=30_522 - 3, width=768, layers=12, heads=12, context=512 - 3)
        module = BERT(sizes)
    counts = {name: each.numel() for name, each in module.named_parameters()}
    heads = sum(each for name, each in counts.items() if name.startswith(("guess", "bias", "next_sentence")))
    assert sum(counts.values()) - heads == 109_482_240


@pytest.mark.parametrize(
    "options", [{"vocabulary": 0}, {"width": 9}, {"context": 1}, {"dropout": 1.0}, {"decay": -1.0}, {"classes": 0}]
)
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        BERTConfig(**{"heads": 2, **options})
