import pytest
import torch

from generative.networks.attention.self_attention import SelfAttention
from generative.networks.gan.residual import ConditionalBatchNorm, ResidualCritic, ResidualGenerator


def test_attention_is_the_identity_at_the_start_and_mixes_places_then():
    torch.manual_seed(0)
    attention, features = SelfAttention(16), torch.randn(2, 16, 8, 8)
    assert torch.equal(attention(features), features)
    with torch.no_grad():
        attention.gamma.fill_(1.0)
    made, other = attention.eval()(features), features.clone()
    other[:, :, 7, 7] += 5
    moved = (attention(other) - made).abs().sum(1)  # a change in one corner is seen in the other one
    assert moved[:, 0, 0].min() > 1e-4
    weights = attention.weights(features)
    assert weights.shape == (2, 64, 16)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 64))


def test_attention_is_that_of_the_paper():
    """`softmax(f^T g)` without a division, keys and values pooled."""
    torch.manual_seed(0)
    attention, features = SelfAttention(8).eval(), torch.randn(1, 8, 4, 4)
    with torch.no_grad():
        attention.gamma.fill_(0.5)
        f, g, h = attention.query(features), attention.key(features), attention.value(features)
        g, h = (torch.nn.functional.max_pool2d(each, 2)[0].flatten(1) for each in (g, h))
        beta = (f[0].flatten(1).T @ g).softmax(1)
        seen = attention.out((h @ beta.T).reshape(1, 4, 4, 4))
        torch.testing.assert_close(attention(features), features + 0.5 * seen)


def test_conditional_norm_scales_by_one_and_what_the_condition_says():
    torch.manual_seed(0)
    norm, features, condition = ConditionalBatchNorm(3, 2), torch.randn(8, 3, 4, 4), torch.randn(8, 2)
    made = norm(features, condition)
    plain = (features - features.mean((0, 2, 3), keepdim=True)) / features.std((0, 2, 3), unbiased=False, keepdim=True)
    gain, bias = (each.eval()(condition)[:, :, None, None] for each in (norm.gain, norm.bias))
    torch.testing.assert_close(made, (1 + gain) * plain + bias, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ConditionalBatchNorm(3, 0)(features, None), plain, rtol=1e-3, atol=1e-3)


def test_a_chunk_of_the_latent_reaches_its_own_block_and_all_share_an_embedding():
    torch.manual_seed(0)
    network = ResidualGenerator(8, 3, 1, [8, 8, 4], 8, shared=5).eval()
    assert network.chunks == [3, 3, 2] and network.embedding.weight.shape == (5, 3)
    told, z = torch.eye(3)[:2], torch.randn(2, 8)
    inputs = [[] for _ in network.blocks]
    for place, block in enumerate(network.blocks):
        block.register_forward_hook(lambda module, given, made, place=place: inputs[place].append(given))
    network(z, told)
    other = z.clone()
    other[:, 6:] += 1  # the last block's
    network(other, told)
    (first, same), (before, after) = inputs
    assert torch.equal(first[0], same[0]) and torch.equal(first[1], same[1])
    assert torch.equal(before[0], after[0]) and not torch.equal(before[1], after[1])
    embedded = network.embedding(told)
    for block in inputs:
        assert torch.equal(block[0][1][:, :5], embedded)
    assert torch.equal(before[1][:, 5:], z[:, 6:])


@pytest.mark.parametrize("attention", [0, 8, 16])
def test_attention_stands_at_its_size_in_both_networks(attention):
    networks = ResidualGenerator(4, 0, 1, [8, 8, 4, 4], attention), ResidualCritic(0, 1, [8, 8, 4, 4], attention)
    sizes = []
    for network, given in zip(networks, (torch.randn(2, 4), torch.randn(2, 1, 32, 32)), strict=True):
        assert (network.attention is None) == (attention == 0)
        if network.attention is not None:
            network.attention.register_forward_hook(lambda module, given, made: sizes.append(made.shape[2]))
        network(given, None)
    assert sizes == ([attention] * 2 if attention else [])


def test_the_label_counts_by_projection():
    torch.manual_seed(0)
    critic, images, labels = ResidualCritic(3, 1, [8, 4], 0).eval(), torch.randn(4, 1, 8, 8), torch.eye(3)
    scores = torch.stack([critic(images, label.expand(4, -1)) for label in labels])
    torch.testing.assert_close(critic(images, labels.mean(0).expand(4, -1)), scores.mean(0))  # linear in the label
    assert (scores.std(0) > 1e-3).all()
