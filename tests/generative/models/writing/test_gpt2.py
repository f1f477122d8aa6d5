import itertools
import math

import pytest
import torch

from generative import FitConfig, fit
from generative.models.writing.gpt2 import GPT2, GPT2Config
from generative.models.writing.language_model import TextSampling


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> GPT2:
    torch.manual_seed(0)
    sizes = {"vocabulary": 3, "width": 8, "layers": 2, "heads": 2, "context": 8}
    return GPT2(GPT2Config(**{**sizes, **options})).eval()


def rough(**options) -> GPT2:
    """With weights so large that every token matters."""
    module = made(**options)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=noise(1)) * 0.5)
    return module


def texts(n: int, length: int, vocabulary: int = 3) -> torch.Tensor:
    return torch.randint(0, vocabulary, (n, length), generator=noise(5))


def begun(tokens: torch.Tensor, vocabulary: int = 3) -> torch.Tensor:
    return torch.cat([tokens.new_full((len(tokens), 1), vocabulary), tokens], 1)


def test_probabilities_of_all_texts_sum_to_one():
    everything = torch.tensor(list(itertools.product(range(3), repeat=6)))
    for context in (4, 8):  # also where it is shorter than the text
        total = rough(context=context).log_prob(everything).double().exp().sum().item()
        assert total == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("context", [8, 7, 2])
@pytest.mark.parametrize("length", [5, 8, 9, 27])
@torch.no_grad()
def test_what_is_cached_equals_what_is_read_at_once(context, length):
    module, tokens = rough(context=context), begun(texts(3, length))
    whole = module(tokens)
    assert whole.shape == (3, length + 1, 3)
    for size in (1, 3, 100):
        cache, found = None, []
        for piece in tokens.split(size, 1):
            scores, cache = module.cached(piece, cache)
            found.append(scores)
        torch.testing.assert_close(torch.cat(found, 1), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_past_the_window_half_of_it_is_known_and_what_comes_later_never():
    module, tokens = rough(layers=1), begun(texts(1, 29))
    whole = module(tokens)
    for place in range(30):
        changed = tokens.clone()
        changed[0, place] = (tokens[0, place] + 1) % 3
        seen = (module(changed) - whole).abs().amax((0, 2)) > 1e-5
        assert not seen[:place].any() and seen[place]  # tied vectors: what is read is what is scored
        assert seen[place : min(place + 4, 30)].all() if place % 4 else seen[place : min(place + 4, 30)].any()
        assert not seen[place + 9 :].any()


def test_weights_begin_as_the_paper_says():
    module = made(vocabulary=100, width=64, layers=8, heads=4)
    spreads = {name: each.std().item() for name, each in module.named_parameters() if each.ndim == 2}
    adding = {name for name in spreads if name.endswith(("merge.weight", "network.2.weight"))}
    assert len(adding) == 16
    for name, spread in spreads.items():
        assert spread == pytest.approx(0.02 / 4 if name in adding else 0.02, rel=0.1), name
    assert not any(each.any() for name, each in module.named_parameters() if name.endswith("bias"))
    first, _ = module.loss(texts(8, 8, 100), noise())
    assert first.item() == pytest.approx(math.log(100), abs=0.1)


def test_numbers_of_parameters_are_those_of_the_paper():
    """GPT-2 small with its vocabulary has 124,439,808; one more token begins our texts."""
    with torch.device("meta"):
        module = GPT2.__new__(GPT2)
        sizes = GPT2Config(vocabulary=50_256, width=768, layers=12, heads=12, context=1024)
        GPT2.__init__(module, sizes)
    assert sum(each.numel() for each in module.parameters()) == 124_439_808


def test_the_head_is_tied():
    module, tokens = made(), begun(texts(1, 4).clamp(max=1))
    before = module(tokens)
    with torch.no_grad():
        module.embedding.weight[2] += 1.0
    changed = module(tokens) - before
    assert changed[..., 2].abs().min() > 0 and not changed[..., :2].any()


def test_decay_is_of_matrices_alone():
    module = made(decay=0.5)
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    with torch.no_grad():
        module.blocks[0].project.bias.fill_(0.3)
        before["blocks.0.project.bias"].fill_(0.3)
    module.loss = lambda batch, generator: (0.0 * sum(each.sum() for each in module.parameters()), {})
    list(fit(module, lambda start: itertools.repeat(texts(2, 4)), FitConfig(steps=1, learning_rate=0.1), seed=0))
    for name, each in module.named_parameters():
        expected = before[name] * (1 - 0.1 * 0.5 if each.ndim == 2 else 1)
        torch.testing.assert_close(each, expected, msg=name)


def test_what_is_behind_an_end_counts_for_nothing():
    module, text = rough(masked=True), texts(4, 12)
    mask = torch.arange(12) < torch.tensor([[12], [5], [1], [9]])
    assert module.inputs == ("tokens", "tokens_mask") and made().inputs == ("tokens",)
    loss, again = (module.loss((each, mask), noise())[0] for each in (text, text.where(mask, (text + 1) % 3)))
    assert loss.item() == again.item()
    short = [module.log_prob(row[None, : int(kept.sum())]) for row, kept in zip(text, mask, strict=True)]
    assert loss.item() == pytest.approx(-sum(short).item() / mask.sum().item(), rel=1e-5)
    torch.testing.assert_close(module.log_prob(text, mask), torch.cat(short))


def test_a_stream_gives_the_tokens_of_generate_one_by_one():
    module, prompt, dials = rough(), texts(1, 4), TextSampling(temperature=1.5, top_k=2)
    at_once = module.generate(prompt, 20, dials, noise(3))
    stream = module.stream(prompt[0], dials, noise(3))
    assert [next(stream) for _ in range(20)] == at_once[0].tolist()
    assert not torch.equal(at_once, module.generate(prompt, 20, dials, noise(4)))
    with pytest.raises(ValueError, match=r"7 to 7: expected \(B, T\), 0 to 2"):
        module.stream(torch.tensor([7]), dials, noise())
    with pytest.raises(ValueError, match="steps=0"):
        module.generate(prompt, 0, dials, noise())


@torch.no_grad()
def test_the_likeliest_text_is_that_of_the_scores():
    module, prompt = rough(), texts(2, 3)
    text = torch.cat([prompt, module.generate(prompt, 20, TextSampling(temperature=0.0), noise())], 1)
    assert torch.equal(module(begun(text))[:, 3:-1].argmax(2), text[:, 3:])


def test_dropout_is_of_training_alone():
    module, tokens = rough(dropout=0.5), texts(4, 6)
    assert module.loss(tokens, noise())[0] == module.loss(tokens, noise())[0]
    module.train()
    assert module.loss(tokens, noise())[0] != module.loss(tokens, noise())[0]


@torch.no_grad()
def test_maps_say_where_blocks_look():
    module, tokens = rough(), texts(2, 6)
    found = module.maps(tokens)
    assert len(found) == 2 and found[0].shape == (2, 2, 7, 7)
    for each in found:
        torch.testing.assert_close(each.sum(3), torch.ones(2, 2, 7))
        assert not each.triu(1).any() and each[:, :, 1:, 1:].tril().any()


@pytest.mark.long
@pytest.mark.slow
def test_it_learns_to_look_something_up():
    """The second of two equal tokens is followed by what the first was followed by: induction needs two layers."""
    module = made(vocabulary=8, width=32, context=16)

    def batch(step):
        half = torch.stack([torch.randperm(8, generator=noise(10_000 + 64 * step + row))[:6] for row in range(64)])
        return torch.cat([half, half], 1)

    config = FitConfig(steps=250, learning_rate=1e-2, warmup=20, gradient_clip=1.0)
    list(fit(module, lambda start: map(batch, itertools.count(start)), config, seed=0, log_every=50))
    text = batch(9_999)
    with torch.no_grad():
        right = (module(begun(text, 8))[:, 7:-1].argmax(2) == text[:, 7:]).double().mean()
    assert right > 0.95


@pytest.mark.parametrize(
    "options", [{"vocabulary": 0}, {"width": 0}, {"context": 1}, {"width": 9}, {"dropout": 1.0}, {"decay": -1.0}]
)
def test_a_senseless_option_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        GPT2Config(**{"heads": 2, **options})
