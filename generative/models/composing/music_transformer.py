"""Music Transformer: a Transformer of the tokens of a roll, whose attention knows distances (Huang et al. 2018).

arXiv 1809.04281. A piece is read step by step, in each step voice by voice, as in the paper's experiments on chorales:
token `V t + v` is what voice v does at step t. So the same voice a bar earlier is always as far away, and attention
by distance finds it whatever the key and the place. Blocks, windows and cached composing are those of `gpt2`; vectors
of places are the fixed sines and cosines of the first Transformer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed
from generative.models.writing.gpt2 import GPT2, GPT2Config
from generative.networks.attention.relative import RelativeBlock
from generative.networks.attention.transformer import sinusoids


@dataclass(frozen=True)
class MusicTransformerConfig(GPT2Config):
    """Sizes of the model, and its decay."""

    context: int = 128
    """W, tokens that are read together; the data decide it: those of an item."""
    dropout: float = 0.1
    """Probability that a number of an embedding, or of what a block adds, is left out while training."""
    relative: bool = True
    """Attention knows distances; else it is that of GPT-2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise ValueError(f"width={self.width}: sines and cosines come in pairs; give an even number")


class Sinusoids(nn.Module):
    """The vectors of places, fixed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, place: Int[Tensor, " T"]) -> Float[Tensor, "T H"]:
        """Return them, as long as embedded tokens are at first."""
        return 0.02 * sinusoids(place, self.width)


class MusicTransformer(GPT2):
    """The distribution of rolls, token by token."""

    type_name = "music-transformer"
    fixed_step = True
    Config = MusicTransformerConfig
    config: MusicTransformerConfig

    def _block(self, config: GPT2Config) -> nn.Module:
        if not self.config.relative:
            return super()._block(config)
        return RelativeBlock(config.width, config.heads, config.context, dropout=config.dropout, activation="gelu-tanh")

    def _positions(self, config: GPT2Config) -> nn.Module:
        return Sinusoids(config.width)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the number of tokens, those of an item, and whether they are padded; errors as of `FitsData`."""
        return {**super().sizes(fields), "context": needed(cls, fields, "tokens").shape[0]}
