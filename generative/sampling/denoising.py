"""From noise to data in any number of steps: deterministic, stochastic, guided, or along a flow.

A step takes what a network says of x_t apart into datum x and noise e, and mixes them anew at an earlier time s (Song,
Meng & Ermon 2021, DDIM, arXiv 2010.02502, eq. 12):

    x_s = signal(s) x + sqrt(noise(s)^2 - sigma^2) e + sigma n,      n from N(0, I)
    sigma = eta (noise(s) / noise(t)) sqrt(1 - (signal(t) / signal(s))^2)                                     (eq. 16)

With eta = 0 a sample is a function of the noise that it began with; eta = 1 is DDPM. On a straight path the step with
eta = 0 is Euler's method, `x_s = x_t + (s - t) (e - x)`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from generative.objectives.diffusion import Schedule

Parted = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Data and noise that a mixture (B ...) at times (B) is made of, by a network."""


class Stage(NamedTuple):
    """Samples on their way."""

    mixture: Tensor
    """What is left of the noise, with data in it."""
    data: Tensor
    """What the network expects in the end; at the last stage the sample."""


@dataclass(frozen=True)
class DiffusionSampling:
    """How noise becomes data."""

    steps: int = 20
    """Steps from noise to data; each asks the network once, or twice with guidance."""
    eta: float = 0.0
    """New noise in every step: 0 none, so that a sample follows from the noise it begins with; 1 as much as in DDPM."""
    guidance: float = 1.0
    """How far to go from what no class suggests towards what the class does: 0 ignores it, 1 is the model, above 1
    exaggerates. For models that are told classes."""

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta={self.eta}: give 0 (no new noise) to 1 (as in DDPM)")
        check_guidance(self.guidance)


@dataclass(frozen=True)
class FlowSampling:
    """How noise flows to data."""

    steps: int = 20
    """Steps from noise to data."""
    solver: Literal["euler", "heun"] = "heun"
    """euler asks the network once a step. heun asks twice, but at the last, and goes along the mean of both answers."""
    guidance: float = 1.0
    """How far to go from what no class suggests towards what the class does: 0 ignores it, 1 is the model, above 1
    exaggerates. For models that are told classes."""

    def __post_init__(self) -> None:
        check_steps(self.steps)
        check_guidance(self.guidance)


def check_steps(steps: int) -> None:
    """Raise a ValueError for less than one step."""
    if steps < 1:
        raise ValueError(f"steps={steps}: give 1 or more")


def check_guidance(guidance: float) -> None:
    """Raise a ValueError for guidance away from the class, or beyond all use."""
    if not 0 <= guidance <= 100:
        raise ValueError(f"guidance={guidance}: give 0 to 100; 1 is the model as it learned")


def times(steps: int, start: float, like: Tensor) -> Float[Tensor, " S"]:
    """Return the times of a way of so many steps from `start` to 0, both included."""
    return torch.linspace(start, 0, steps + 1, device=like.device, dtype=like.dtype)


def denoise(
    parted: Parted,
    schedule: Schedule,
    mixture: Float[Tensor, "B ..."],
    steps: int,
    eta: float,
    generator: torch.Generator,
    start: float = 1.0,
) -> Iterator[Stage]:
    """Yield the stages from noise to data, one for each step.

    Args:
        parted: what the network says.
        schedule: that it was trained on.
        mixture: noise, or at an earlier start data mixed with noise.
        steps: how many.
        eta: how much new noise.
        generator: of the new noise.
        start: the time of the mixture.
    """
    moments = times(steps, start, mixture)
    for t, s in itertools.pairwise(moments):
        data, noise = parted(mixture, t.expand(len(mixture)))
        now, then = schedule(t), schedule(s)
        sigma = torch.zeros_like(s)
        if eta:
            renewed = (1 - (now.signal / then.signal).square()).clamp(min=0)
            sigma = eta * then.noise / now.noise * renewed.sqrt()
        mixture = then.signal * data + (then.noise.square() - sigma.square()).clamp(min=0).sqrt() * noise
        if eta:
            fresh = torch.randn(mixture.shape, generator=generator, device=generator.device)
            mixture = mixture + sigma * fresh.to(mixture)
        yield Stage(mixture, data)


def flow(
    parted: Parted, mixture: Float[Tensor, "B ..."], steps: int, solver: Literal["euler", "heun"], start: float = 1.0
) -> Iterator[Stage]:
    """Yield the stages of a straight path from noise to data; arguments as of `denoise`.

    Heun's method is that of Karras et al. 2022 (arXiv 2206.00364, algorithm 1). Its last step is Euler's: at time 0
    there is no noise left to tell from data, and half of what the network saw before would stay in the samples.
    """
    moments = times(steps, start, mixture)
    for step, (t, s) in enumerate(itertools.pairwise(moments), 1):
        data, noise = parted(mixture, t.expand(len(mixture)))
        change = noise - data
        if solver == "heun" and step < steps:
            there, from_there = parted(mixture + (s - t) * change, s.expand(len(mixture)))
            change = (change + from_there - there) / 2
        data = mixture - t * change
        mixture = mixture + (s - t) * change
        yield Stage(mixture, data)
