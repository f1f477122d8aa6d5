"""The block: attention by hand, rotations that know distances only, and a cache that changes nothing."""

import math

import torch

from generative.networks.attention.transformer import TransformerBlock, attention, rotations

WIDTH, HEADS = 16, 2


def block(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TransformerBlock(WIDTH, HEADS).eval()


def causal(steps, earlier=0):
    return torch.ones(steps, earlier + steps, dtype=torch.bool).tril(earlier)[None, None]


def run(module, token, first=0, keys=None, values=None):
    none = token.new_zeros(len(token), 0, WIDTH)
    position = first + torch.arange(token.shape[1]).expand(len(token), -1)
    visible = causal(token.shape[1], 0 if keys is None else keys.shape[1])
    turns = rotations(position, WIDTH // HEADS)
    return module(token, turns, visible, none if keys is None else keys, none if values is None else values)


@torch.no_grad()
def test_it_is_attention_and_then_a_network():
    module, token = block(), torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(1))
    query, key, value = module.project(module.norm_attention(token)).view(2, 5, 3, HEADS, -1).unbind(2)
    half = WIDTH // HEADS // 2
    expected = torch.zeros(2, 5, HEADS, 2 * half)
    turned = torch.empty_like(query), torch.empty_like(key)
    for part, out in zip((query, key), turned, strict=True):
        for pair in range(half):
            angle = torch.arange(5.0) * 10_000 ** (-pair / half)
            spun = torch.complex(part[..., pair], part[..., pair + half]) * torch.polar(torch.ones(5), angle)[:, None]
            out[..., pair], out[..., pair + half] = spun.real, spun.imag
    for step in range(5):
        score = (turned[0][:, step, None] * turned[1][:, : step + 1]).sum(-1) / math.sqrt(2 * half)  # (B K heads)
        expected[:, step] = (score.softmax(1)[..., None] * value[:, : step + 1]).sum(1)
    token = token + module.merge(expected.flatten(2))
    token = token + module.network(module.norm_network(token))
    found = run(module, block_input := torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(1)))[0]
    assert block_input.shape == found.shape
    torch.testing.assert_close(found, token)


@torch.no_grad()
def test_only_distances_between_tokens_count():
    module, token = block(), torch.randn(1, 6, WIDTH, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(run(module, token)[0], run(module, token, first=1000)[0], atol=1e-4, rtol=1e-4)
    swapped = run(module, token[:, [1, 0, 2, 3, 4, 5]])[0]
    assert not torch.allclose(swapped[:, -1], run(module, token)[0][:, -1], atol=1e-3)  # without positions it would be


@torch.no_grad()
def test_a_token_at_a_time_from_the_cache_is_the_same():
    module, token = block(), torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(3))
    whole = run(module, token)[0]
    keys = values = token.new_zeros(2, 0, WIDTH)
    for step in range(7):
        found, keys, values = run(module, token[:, step : step + 1], step, keys, values)
        torch.testing.assert_close(found[:, 0], whole[:, step])


def test_maps_are_made_where_the_queries_are():
    query, maps = torch.randn(1, 2, 3, 4, device="meta"), list[torch.Tensor]()
    attention(query, query, None, maps, query)
    assert maps[0].is_meta and maps[0].shape == (1, 2, 3, 3)
