"""A GPT as a memory of codes: what a VQ-VAE makes of a frame is read as tokens, and predicted as tokens.

A frame is P codes, each one of K (van den Oord et al. 2017, arXiv 1711.00937, section 3.2; as the frames of Micheli et
al. 2023, *Transformers are Sample-Efficient World Models*, arXiv 2209.00588). Each step is one token of the causal
Transformer of `transformer`: the sum of an embedding of every position's code and of the action. Its features give a
distribution over K codes for each position of the next frame,

    p(z[t + 1] | past) = prod_p softmax(W_p h[t])_{k_p}.

Positions are drawn apart, as the latent's dimensions are in an MDN-RNN. To draw them one after the other, as Micheli et
al. do, costs P passes for each step of a dream. So what goes together in a frame is only what the past tells.

Latents are those of the vision: vectors of codes, which `set_codes` names. A draw is always a frame of codes, whatever
the temperature. A latent between codes, as with recorded residuals, is read as the nearest ones.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodels.memories.contract import Metrics, SequenceBatch, masked_mean
from worldmodels.memories.heads import STD_FLOOR
from worldmodels.memories.models.transformer import TransformerMemory, TransformerMemoryConfig

PEAK = -math.log(STD_FLOOR * math.sqrt(2 * math.pi))
"""Log-density of the narrowest Gaussian that memories have at its middle, in nats for each dimension."""


@dataclass(frozen=True)
class GPTMemoryConfig(TransformerMemoryConfig):
    """Sizes and heads of the GPT, and the vision's codes."""

    codes: int = 256
    """K, vectors in the vision's codebook."""
    code: int = 4
    """D, numbers of such a vector."""

    mixtures: ClassVar[int] = 1  # type: ignore[misc]  # codes are drawn, no mixture
    SIZES: ClassVar[tuple[str, ...]] = ("hidden", "layers", "heads", "context", "codes", "code")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent % self.code:
            raise ValueError(f"code={self.code}: latents have {self.latent} numbers; give the vision's `code`")


class Codebook(nn.Module):
    """The latents that codes stand for at each position."""

    table: Tensor

    def __init__(self, positions: int, codes: int, code: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(positions, codes, code))

    def numbers(self, z: Float[Tensor, "*B Z"]) -> Int[Tensor, "*B P"]:
        """Return the nearest code at each position."""
        vectors = z.unflatten(-1, (self.table.shape[2], -1)).movedim(-1, 0)  # (P *B D)
        flat = vectors.flatten(1, -2)
        # Not by way of a product of matrices, which loses small distances.
        nearest = torch.cdist(flat, self.table, compute_mode="donot_use_mm_for_euclid_dist").argmin(2)  # (P N)
        return nearest.T.unflatten(0, z.shape[:-1])

    def latent(self, numbers: Int[Tensor, "*B P"]) -> Float[Tensor, "*B Z"]:
        """Return the latent of codes."""
        positions = torch.arange(len(self.table), device=numbers.device)
        return self.table[positions, numbers].transpose(-1, -2).flatten(-2)


class CodeReader(nn.Module):
    """Makes a token of a latent and an action."""

    def __init__(self, book: Codebook, action: int, hidden: int) -> None:
        super().__init__()
        self.book = book
        positions, codes, _ = book.table.shape
        self.codes = codes
        self.code = nn.Embedding(positions * codes, hidden)
        nn.init.normal_(self.code.weight, std=positions**-0.5)
        self.action = nn.Linear(action, hidden)

    def forward(self, seen: Float[Tensor, "*B both"]) -> Float[Tensor, "*B H"]:
        """Return the sum of the embeddings."""
        z, action = seen.split([self.book.table[:, 0].numel(), self.action.in_features], dim=-1)
        numbers = self.book.numbers(z)
        offset = self.codes * torch.arange(numbers.shape[-1], device=numbers.device)
        token: Tensor = self.code(numbers + offset).sum(-2) + self.action(action)
        return token


class PredictedCodes(NamedTuple):
    """What follows `(z[t], action[t])`: a code for each position, a reward and an end."""

    logits: Float[Tensor, "*B P K"]
    """Scores of the codes."""
    book: Codebook
    reward: Float[Tensor, "*B"]
    """Reward of the step in the environment's units; NaN without a reward head."""
    termination_logit: Float[Tensor, "*B"]
    """Log-odds that the step ends the episode; minus infinity without a termination head."""

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Draw a code for each position; `uniform` of its vector's first number chooses.

        The temperature divides the scores; at 0 only the likeliest code is left.
        """
        if temperature == 0:
            return self.book.latent(self.logits.argmax(-1))
        upper = (self.logits / temperature).softmax(-1).cumsum(-1)  # (*B P K)
        level = uniform.unflatten(-1, (self.book.table.shape[2], -1))[..., 0, :, None]  # (*B P 1)
        return self.book.latent((upper[..., :-1] <= level).sum(-1))

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """Measure the log-density of `z[t + 1]`, in nats for each dimension; those of a position have equal shares.

        Every code is a Gaussian of the least spread that memories have, so densities compare with those of mixtures:
        3.7 nats of a dimension are for knowing where the codes lie.
        """
        numbers = self.book.numbers(z)
        size = self.book.table.shape[2]
        chosen = self.logits.log_softmax(-1).gather(-1, numbers[..., None])[..., 0]  # (*B P)
        shares = (chosen / size).unsqueeze(-2).expand(*chosen.shape[:-1], size, -1).flatten(-2)
        off = (z - self.book.latent(numbers)) / STD_FLOOR
        return shares + PEAK - off.square() / 2

    def expected_latent(self) -> Float[Tensor, "*B Z"]:
        """Average `z[t + 1]` over the codes."""
        mean = torch.einsum("...pk,pkd->...dp", self.logits.softmax(-1), self.book.table)
        return mean.flatten(-2)


class GPTMemory(TransformerMemory):
    """Attention over a sliding window of frames of codes, under heads that score the next frame's."""

    type_name: ClassVar[str] = "gpt"
    fixed_step: ClassVar[bool] = True
    draws: ClassVar[tuple[str, ...]] = ("uniform",)
    Config = GPTMemoryConfig
    config: GPTMemoryConfig

    def reader(self) -> nn.Module:
        """Return what makes a token of a latent and an action."""
        config = self.config
        self.book = Codebook(config.latent // config.code, config.codes, config.code)
        return CodeReader(self.book, config.action, config.hidden)

    def add_latent_head(self) -> None:
        """Make the scores of the codes."""
        self.code_head = nn.Linear(self.config.hidden, self.config.codes * (self.config.latent // self.config.code))

    def set_codes(self, table: Float[Tensor, "P K D"]) -> None:
        """Set the latents that codes stand for at each position; a vision's `code_table` has them.

        Raises:
            ValueError: there are other numbers of positions or codes.
        """
        own = self.book.table
        if table.shape != own.shape:
            raise ValueError(
                f"codes={self.config.codes}, code={self.config.code}: the vision has {table.shape[1]} codes of "
                f"{table.shape[2]} numbers; set memory.options.codes and memory.options.code to these"
            )
        own.copy_(table)

    def predict(self, hidden: Float[Tensor, "*B H"]) -> PredictedCodes:  # type: ignore[override]
        """Read the heads; `hidden` has seen a latent and the action that followed it."""
        return PredictedCodes(self._scores(hidden), self.book, *self.reward_and_end(hidden))

    def latent_loss(
        self, hidden: Float[Tensor, "B T H"], after: Float[Tensor, "B T Z"], batch: SequenceBatch,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Metrics]:  # fmt: skip
        """Return the negative log-likelihood of the next frame's codes in nats per dimension, and `codes_right`."""
        scores, numbers = self._scores(hidden), self.book.numbers(after)
        nats = F.cross_entropy(scores.flatten(0, 2), numbers.flatten(), reduction="none").view_as(numbers)
        nll = masked_mean(nats.mean(-1), batch.mask) / self.config.code - PEAK
        right = masked_mean((scores.argmax(-1) == numbers).float().mean(-1), batch.mask)
        return nll, {"nll": nll.detach(), "codes_right": right}

    def _scores(self, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B P K"]:
        scores: Tensor = self.code_head(hidden)
        return scores.unflatten(-1, (-1, self.config.codes))
