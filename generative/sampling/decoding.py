"""Choosing tokens from their scores: by temperature, top-k and top-p one after the other, or by beams.

Temperature divides the scores. Top-k keeps the k most probable tokens (Fan et al. 2018, arXiv 1805.04833). Top-p keeps
the smallest set of most probable tokens whose probabilities sum to p or more (nucleus, Holtzman et al. 2020, arXiv
1904.09751). They follow one another in this order; the rest is drawn from in proportion. Beams are those of Wu et al.
2016 (arXiv 1609.08144, equation 14, without coverage).
"""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from generative.sampling.dials import check_temperature


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen."""

    temperature: float = 1.0
    """Scores are divided by it: below 1 likelier tokens, above 1 more various ones, 0 always the likeliest."""
    top_k: int = 0
    """Draw from so many of the most probable tokens only; 0 from all."""
    top_p: float = 1.0
    """Draw from the fewest most probable tokens that have this probability together; 1 from all."""
    beams: int = 1
    """Sequences that are followed at the same time, the likeliest of all that go on from them; 1 chooses token by
    token, by temperature, top-k and top-p."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k}: must not be negative; 0 draws from all tokens")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: a probability above 0, at most 1; 1 draws from all tokens")
        if self.beams < 1:
            raise ValueError(f"beams={self.beams}: give 1 or more; 1 chooses token by token")
        if self.beams > 1 and (self.temperature not in (0, 1) or self.top_k or self.top_p != 1):
            raise ValueError(f"beams={self.beams}: beams draw nothing; leave out temperature, top_k and top_p")


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
class EndingDecoding(Decoding):
    """How tokens are chosen of sequences that may end."""

    length_penalty: float = 0.6
    """With beams, of sequences that end at a token: the log-probability of n tokens is divided by ((5 + n) / 6) to this
    power; 0 prefers short ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.length_penalty < 10:
            raise ValueError(f"length_penalty={self.length_penalty}: give 0 or more, below 10; 0.6 is usual")


@dataclass(frozen=True)
class AnswerDecoding(EndingDecoding):
    """How an answer is found."""

    temperature: float = 0.0
    """Scores are divided by it: 0 always the likeliest token, 1 as the model says, more for more various ones."""
    length: int = 40
    """Tokens at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1:
            raise ValueError(f"length={self.length}: give 1 or more")


State = tuple[Tensor, ...]
"""What a decoder carries on, tensors of one row for each sequence."""
Advance = Callable[[Int[Tensor, " N"], State], tuple[Float[Tensor, "N K"], State]]
"""Takes one token of each sequence; returns the scores of the next and the new state."""


class Reading(NamedTuple):
    """What a model has read of sequences, and how it reads on."""

    scores: Float[Tensor, "B K"]
    """Of the token after each."""
    state: State
    advance: Advance


@torch.no_grad()
def decode(
    begun: Reading, steps: int, dials: Decoding, generator: torch.Generator, stop: Collection[int] = ()
) -> Int[Tensor, "B S"]:
    """Return what follows on sequences: S tokens, `steps` of them or fewer where all have ended before.

    Args:
        begun: the sequences, as a model has read them.
        steps: tokens at most.
        dials: how tokens are chosen.
        generator: for draws.
        stop: tokens that end a sequence. The one that does fills it up behind.
    """
    if dials.beams > 1:
        return _beamed(begun, steps, dials, stop)
    return torch.stack([*itertools.islice(draws(begun, dials, generator, stop), steps)], 1)


def draws(
    begun: Reading, dials: Decoding, generator: torch.Generator, stop: Collection[int] = ()
) -> Iterator[Int[Tensor, " B"]]:
    """Yield the next token of each sequence as soon as it is drawn, until all have ended; arguments as of `decode`."""
    scores, state, advance = begun
    tokens = choose(scores, dials, generator)
    done = _in(tokens, stop)
    yield tokens
    while not (stop and done.all()):
        with torch.no_grad():
            scores, state = advance(tokens, state)
            tokens = tokens.where(done, choose(scores, dials, generator))
        done = done | _in(tokens, stop)
        yield tokens


def _beamed(begun: Reading, steps: int, dials: Decoding, stop: Collection[int]) -> Int[Tensor, "B S"]:
    scores, state, advance = begun
    (rows, kinds), beams, device = scores.shape, dials.beams, scores.device
    scores, *state_ = (each.repeat_interleave(beams, 0) for each in (scores, *state))
    state = tuple(state_)
    tokens, found = (torch.zeros(rows * beams, *size, dtype=torch.int64, device=device) for size in ((), (0,)))
    total = torch.full((rows, beams), -torch.inf, device=device)
    total[:, 0] = 0.0  # all beams are alike at first
    done = torch.zeros(rows * beams, dtype=torch.bool, device=device)
    lengths = torch.zeros(rows, beams, device=device)
    penalty = dials.length_penalty if isinstance(dials, EndingDecoding) else 0.0
    for step in range(steps):
        if step:
            scores, state = advance(tokens, state)
        log_probs = scores.log_softmax(-1)
        ended = torch.full_like(log_probs, -torch.inf)
        ended.scatter_(1, tokens[:, None], 0.0)  # what has ended goes on in one way, for nothing
        sums = total.flatten()[:, None] + torch.where(done[:, None], ended, log_probs)  # (rows*beams K)
        longer = (lengths.flatten() + ~done)[:, None].expand_as(sums)
        penalised = sums / ((5 + longer) / 6) ** penalty
        best = penalised.view(rows, -1).topk(beams, 1).indices  # (rows beams)
        total, lengths = (each.reshape(rows, -1).gather(1, best) for each in (sums, longer))
        where = (best // kinds + beams * torch.arange(rows, device=device)[:, None]).flatten()
        tokens = (best % kinds).flatten()
        state, found, done = tuple(each[where] for each in state), found[where], done[where] | _in(tokens, stop)
        found = torch.cat([found, tokens[:, None]], 1)
        if done.all():
            break
    longest = int(lengths[:, 0].max())
    return found.view(rows, beams, -1)[:, 0, :longest]  # the best is the first


def _in(tokens: Int[Tensor, " B"], stop: Collection[int]) -> Bool[Tensor, " B"]:
    """Return which tokens are among those that end a sequence."""
    return torch.isin(tokens, torch.tensor([*stop], dtype=tokens.dtype, device=tokens.device))
