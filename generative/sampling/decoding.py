"""Choosing one of K tokens from its scores: temperature, top-k and top-p.

Temperature divides the scores. Top-k keeps the k most probable tokens (Fan et al. 2018, arXiv 1805.04833). Top-p keeps
the smallest set of most probable tokens whose probabilities sum to p or more (nucleus, Holtzman et al. 2020, arXiv
1904.09751). They follow one another in this order; the rest is drawn from in proportion.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.sampling.dials import check_temperature


@dataclass(frozen=True)
class Decoding:
    """How a token is chosen."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 likelier tokens, above 1 more various ones, 0 always the likeliest."""
    top_k: int = 0
    """Draw from so many of the most probable tokens only; 0 from all."""
    top_p: float = 1.0
    """Draw from the fewest most probable tokens that have this probability together; 1 from all."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k}: must not be negative; 0 draws from all tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: a probability above 0, at most 1; 1 draws from all tokens")


def shares(logits: Float[Tensor, "*B K"], decoding: Decoding) -> Float[Tensor, "*B K"]:
    """Return the probabilities that tokens are drawn with; they sum to 1.

    Of tokens that are equally probable at the border, top-k and top-p keep those of lower number.
    """
    logits = logits - logits.amax(-1, keepdim=True)  # so a tiny temperature gives -inf, not NaN
    if decoding.temperature == 0:
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = logits / decoding.temperature
    if not decoding.top_k and decoding.top_p == 1:
        return logits.softmax(-1)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    if 0 < decoding.top_k < logits.shape[-1]:
        ordered[..., decoding.top_k :] = -torch.inf
    kept = ordered.softmax(-1)
    before = kept.cumsum(-1) - kept  # what the more probable ones have together
    kept = kept.masked_fill(before >= decoding.top_p, 0.0)
    return torch.zeros_like(logits).scatter_(-1, order, kept / kept.sum(-1, keepdim=True))


def choose(logits: Float[Tensor, "*B K"], decoding: Decoding, generator: torch.Generator) -> Int[Tensor, "*B"]:
    """Return the numbers of tokens that are drawn from scores.

    As many random numbers are used whatever the dials. A token of probability 0 is never drawn.
    """
    uniform = torch.rand(logits.shape, generator=generator, device=generator.device, dtype=logits.dtype)
    uniform = uniform.clamp_min(torch.finfo(uniform.dtype).tiny)  # 0 is drawn now and then, and would forbid a token
    gumbel = -(-uniform.to(logits.device).log()).log()  # the largest log-probability + Gumbel noise is a fair draw
    return (shares(logits, decoding).log() + gumbel).argmax(-1)


@dataclass(frozen=True)
class AnswerDecoding(Decoding):
    """How an answer is found."""

    temperature: float = 0.0
    """Scores are divided by it: 0 always the likeliest token, 1 as the model says, more for more various ones."""
    length: int = 40
    """Tokens at most."""
    beams: int = 1
    """Answers that are followed at the same time, the likeliest of all that go on from them; 1 chooses token by
    token, by temperature, top-k and top-p."""
    length_penalty: float = 0.6
    """With beams: the log-probability of n tokens is divided by ((5 + n) / 6) to this power; 0 prefers short ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("length", "beams"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")
        if not 0 <= self.length_penalty < 10:
            raise ValueError(f"length_penalty={self.length_penalty}: give 0 or more, below 10; 0.6 is usual")


State = tuple[Tensor, ...]
"""What a decoder carries on, tensors of one row for each sequence."""
Advance = Callable[[Int[Tensor, " N"], State], tuple[Float[Tensor, "N K"], State]]
"""Takes one token of each sequence; returns the scores of the next and the new state."""


@torch.no_grad()
def decode(
    advance: Advance,
    start: Int[Tensor, " B"],
    state: State,
    end: int,
    dials: AnswerDecoding,
    generator: torch.Generator,
) -> Int[Tensor, "B S"]:
    """Return sequences up to their ends, which fill them up behind.

    Beams are those of Wu et al. 2016 (arXiv 1609.08144, equation 14, without coverage).

    Args:
        advance: the model.
        start: the token that begins each sequence.
        state: of the model before it.
        end: the token that ends a sequence.
        dials: how tokens are chosen.
        generator: for draws.
    """
    if dials.beams > 1:
        return _beamed(advance, start, state, end, dials)
    tokens, done, found = start, torch.zeros_like(start, dtype=torch.bool), []
    for _ in range(dials.length):
        scores, state = advance(tokens, state)
        tokens = choose(scores, dials, generator).masked_fill(done, end)
        found.append(tokens)
        done = done | (tokens == end)
        if done.all():
            break
    return torch.stack(found, 1)


def _beamed(advance: Advance, start: Tensor, state: State, end: int, dials: AnswerDecoding) -> Tensor:
    rows, beams = len(start), dials.beams
    state = tuple(each.repeat_interleave(beams, 0) for each in state)
    tokens, found = start.repeat_interleave(beams, 0), start.new_empty(rows * beams, 0)
    total = torch.full((rows, beams), -torch.inf, device=start.device)
    total[:, 0] = 0.0  # all beams are alike at first
    done = torch.zeros(rows * beams, dtype=torch.bool, device=start.device)
    lengths = torch.zeros(rows, beams, device=start.device)
    for _ in range(dials.length):
        scores, state = advance(tokens, state)
        log_probs = scores.log_softmax(-1)
        ended = torch.full_like(log_probs, -torch.inf)
        ended[:, end] = 0.0  # what has ended goes on in one way, for nothing
        sums = total.flatten()[:, None] + torch.where(done[:, None], ended, log_probs)  # (rows*beams K)
        longer = (lengths.flatten() + ~done)[:, None].expand_as(sums)
        penalised = sums / ((5 + longer) / 6) ** dials.length_penalty
        best = penalised.view(rows, -1).topk(beams, 1).indices  # (rows beams)
        total, lengths = (each.reshape(rows, -1).gather(1, best) for each in (sums, longer))
        kinds = scores.shape[1]
        where = (best // kinds + beams * torch.arange(rows, device=start.device)[:, None]).flatten()
        tokens = (best % kinds).flatten()
        state, found, done = tuple(each[where] for each in state), found[where], done[where] | (tokens == end)
        found = torch.cat([found, tokens[:, None]], 1)
        if done.all():
            break
    return found.view(rows, beams, -1)[:, 0]  # the best is the first
