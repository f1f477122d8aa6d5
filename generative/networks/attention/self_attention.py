"""Self-attention over the positions of an image, added with a weight that begins at 0.

Zhang, Goodfellow, Metaxas & Odena 2019 (SAGAN, arXiv 1805.08318, section 3): `o = gamma * W_v sum_i beta_i h(x_i) + x`,
`beta = softmax(f(x)^T g(x))`, without a division by the root of the dimension. f and g have an eighth of the channels,
h half. Keys and values are pooled 2 x 2, which costs a quarter.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import max_pool2d
from torch.nn.utils.parametrizations import spectral_norm


class SelfAttention(nn.Module):
    """Features of every position changed by those of all others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)

        def pointwise(inputs: int, outputs: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(inputs, outputs, kernel_size=1, bias=False))

        self.query, self.key = pointwise(channels, narrow), pointwise(channels, narrow)
        self.value, self.out = pointwise(channels, half), pointwise(half, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B P K"]:
        """Return for each of the H W positions how much it looks at each of the keys, H/2 by W/2 places."""
        query = self.query(features).flatten(2)  # (B N P)
        key = max_pool2d(self.key(features), 2).flatten(2)  # (B N K)
        return (query.transpose(1, 2) @ key).float().softmax(2)

    def forward(self, features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the features and what they see elsewhere."""
        value = max_pool2d(self.value(features), 2).flatten(2)  # (B h K)
        seen = value @ self.weights(features).to(value).transpose(1, 2)  # (B h P)
        return features + self.gamma * self.out(seen.unflatten(2, features.shape[2:]))
