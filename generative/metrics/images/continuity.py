"""Whether a latent space is continuous: the path between two samples, and how the codes fill the prior.

A generator is walked from one latent to another in small steps and the change of its output is measured, in
pixels or in features. A smooth one goes a short way in even steps; one with holes jumps.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import features64

Generate = Callable[[Tensor], Tensor]
"""Latents (B Z) to outputs (B ...): a decoder, or a decoder followed by an extractor."""


def walk(
    start: Float[Tensor, "B Z"],
    end: Float[Tensor, "B Z"],
    steps: int,
    mode: Literal["linear", "spherical"] = "linear",
) -> Float[Tensor, "B T Z"]:
    """Return `steps + 1` latents on the way from each start to its end, both included.

    `spherical` turns at an even rate (Shoemake 1985), which keeps the length typical of a normal prior.

    Raises:
        ComponentError: fewer than two steps.
    """
    if steps < 2:
        raise ComponentError(f"steps={steps}: give at least 2; 32 shows jumps well")
    share = torch.linspace(0, 1, steps + 1, dtype=start.dtype, device=start.device)[:, None]  # (T 1)
    first, last = start[:, None], end[:, None]  # (B 1 Z)
    line = (1 - share) * first + share * last
    if mode == "linear":
        return line
    cosine = torch.cosine_similarity(first, last, dim=-1).clamp(-1, 1)[..., None]  # (B 1 1)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    turned = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / sine.clamp(min=1e-12)
    return torch.where(sine < 1e-4, line, turned)  # parallel ends leave no plane to turn in


def path_length(
    generate: Generate,
    start: Float[Tensor, "B Z"],
    end: Float[Tensor, "B Z"],
    *,
    steps: int = 32,
    mode: Literal["linear", "spherical"] = "linear",
) -> float:
    """Return the mean length of the output's path, in units of the output; `|A (end - start)|` of a linear map.

    Args:
        generate: latents (B Z) to outputs (B ...), each row by itself.
        start: latents to start from.
        end: latents to arrive at.
        steps: into how many pieces a path is cut.
        mode: how latents are joined, see `walk`.

    Raises:
        ComponentError: fewer than two steps, or outputs that are not finite.
    """
    return _step_lengths(generate, start, end, steps, mode)[0].sum(1).mean().item()


def relative_path_length(
    generate: Generate,
    start: Float[Tensor, "B Z"],
    end: Float[Tensor, "B Z"],
    *,
    steps: int = 32,
    mode: Literal["linear", "spherical"] = "linear",
) -> float:
    """Return the mean path length over the straight distance of its ends: 1 is the shortest possible.

    Raises:
        ComponentError: every pair of ends gives the same output, or as for `path_length`.
    """
    lengths, chord = _step_lengths(generate, start, end, steps, mode)
    moving = chord > 0
    if not moving.any():
        raise ComponentError("generate: gives the same output at both ends of every path; the model ignores its latent")
    return (lengths.sum(1)[moving] / chord[moving]).mean().item()


def spike_ratio(
    generate: Generate,
    start: Float[Tensor, "B Z"],
    end: Float[Tensor, "B Z"],
    *,
    steps: int = 32,
    mode: Literal["linear", "spherical"] = "linear",
) -> float:
    """Return the mean over paths of the longest step over the mean step: 1 is even, `steps` is a single jump.

    Raises:
        ComponentError: no path moves at all, or as for `path_length`.
    """
    lengths, _ = _step_lengths(generate, start, end, steps, mode)
    moving = lengths.sum(1) > 0
    if not moving.any():
        raise ComponentError("generate: the output does not change along any path; the model ignores its latent")
    return (lengths.amax(1)[moving] / lengths.mean(1)[moving]).mean().item()


def aggregate_posterior_gap(z: Float[Tensor, "N Z"]) -> float:
    """Return the Frechet distance of encoded data from the prior N(0, I), in squared latent units.

    `|m|^2 + tr(S + I - 2 S^(1/2))` with mean m and covariance S of z drawn from q(z|x) over the data. 0 when the
    codes fill the prior as far as two moments tell; Z when all data share one code at the origin.

    Raises:
        ComponentError: fewer than two latents, or a number is not finite.
    """
    z = features64("z", z)
    spread = torch.linalg.eigvalsh(torch.atleast_2d(torch.cov(z.T))).clamp(min=0).sqrt()
    return (z.mean(0).square().sum() + (spread - 1).square().sum()).item()


def crossfade(first: Float[Tensor, "B ..."], last: Float[Tensor, "B ..."]) -> Generate:
    """Return the generator that blends two outputs evenly, by the shares of the way (B 1): the reference of a path."""
    return lambda share: _spread(1 - share, first) * first + _spread(share, last) * last


def hard_switch(first: Float[Tensor, "B ..."], last: Float[Tensor, "B ..."]) -> Generate:
    """Return the generator that shows one output up to the middle and then the other: the baseline of spikes."""
    return lambda share: torch.where(_spread(share, first) < 0.5, first, last)


def unrelated_steps(first: Float[Tensor, "B ..."], last: Float[Tensor, "B ..."], steps: int) -> Generate:
    """Return the generator that shows another pair's output at every step between the ends: the baseline of lengths.

    Raises:
        ComponentError: fewer than three pairs, so neighbouring steps could not differ.
    """
    if len(first) < 3:
        raise ComponentError(f"{len(first)} paths: give at least 3, for a path of unrelated steps visits the others")

    def output(share: Tensor) -> Tensor:
        passed = round(float(share[0]) * steps)
        return last if passed == steps else first.roll(passed, 0)

    return output


def _spread(share: Tensor, like: Tensor) -> Tensor:
    return share.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)


@torch.no_grad()
def _step_lengths(
    generate: Generate, start: Tensor, end: Tensor, steps: int, mode: Literal["linear", "spherical"]
) -> tuple[Float[Tensor, "B T"], Float[Tensor, " B"]]:
    """Length of every step, and the distance between the outputs of both ends."""
    latents = walk(start, end, steps, mode)
    first = before = features64("outputs", generate(latents[:, 0]).flatten(1), 1)
    lengths = []
    for t in range(1, steps + 1):  # one step of all paths at a time bounds memory
        after = features64("outputs", generate(latents[:, t]).flatten(1), 1)
        lengths.append((after - before).norm(dim=1))
        before = after
    return torch.stack(lengths, dim=1), (before - first).norm(dim=1)
