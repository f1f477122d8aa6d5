import itertools

import pytest
import torch

from generative.models.composing.music_transformer import MusicTransformer, MusicTransformerConfig
from generative.networks.attention.relative import RelativeBlock, skewed


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> MusicTransformer:
    torch.manual_seed(0)
    sizes = {"vocabulary": 4, "width": 8, "layers": 2, "heads": 2, "context": 12, "dropout": 0.0}
    module = MusicTransformer(MusicTransformerConfig(**{**sizes, **options})).eval()
    with torch.no_grad():
        for each in module.parameters():
            each.mul_(3)  # else all scores are nearly alike
    return module


def tokens(n: int, length: int, vocabulary: int = 4) -> torch.Tensor:
    return torch.randint(0, vocabulary, (n, length), generator=noise(5))


@pytest.mark.parametrize(("steps", "keys"), [(7, 7), (3, 7), (1, 5), (1, 1)])
def test_skewing_gives_what_a_tensor_of_all_pairs_gives(steps, keys):
    query = torch.randn(2, 3, steps, 4, generator=noise())
    distances = torch.randn(3, keys, 4, generator=noise(1))
    found = skewed(query, distances)
    for i, j in itertools.product(range(steps), range(keys)):
        away = keys - steps + i - j
        if away >= 0:  # O(T S D): the product of each pair by itself
            torch.testing.assert_close(found[:, :, i, j], (query[:, :, i] * distances[:, away]).sum(-1))


def test_a_block_attends_as_the_formula_says():
    torch.manual_seed(0)
    block = RelativeBlock(8, 2, 6).eval()
    with torch.no_grad():
        block.distances.mul_(100)
    token, maps = torch.randn(2, 5, 8, generator=noise()), []
    nothing = token.new_empty(2, 0, 8)
    block(token, None, None, nothing, nothing, None, maps)
    query, key, _ = block.project(block.norm_attention(token)).chunk(3, -1)
    query, key = (each.unflatten(2, (2, 4)).transpose(1, 2) for each in (query, key))
    for i in range(5):
        scores = torch.stack(
            [((query[:, :, i] * (key[:, :, j] + block.distances[:, i - j])).sum(-1)) for j in range(i + 1)], 2
        )
        torch.testing.assert_close(maps[0][:, :, i, : i + 1], (scores / 2).softmax(-1))
    assert not maps[0].triu(1).any()


@pytest.mark.parametrize("relative", [True, False])
def test_cached_scores_are_the_full_ones_at_every_place_also_past_the_window(relative):
    module, text = made(relative=relative), tokens(2, 31)
    begun = torch.cat([module._start(2), text], 1)
    cache, found = None, []
    with torch.no_grad():
        for piece in begun.split([1, 5, *[1] * 26], 1):
            scores, cache = module.cached(piece, cache)
            found.append(scores)
        torch.testing.assert_close(torch.cat(found, 1), module(begun), atol=1e-5, rtol=1e-5)


def test_probabilities_of_all_pieces_sum_to_one():
    everything = torch.tensor(list(itertools.product(range(4), repeat=4)))
    assert made().log_prob(everything).double().exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_a_senseless_option_is_refused():
    for options in ({"width": 9, "heads": 1}, {"width": 8, "heads": 3}, {"context": 1}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            MusicTransformerConfig(**options)
