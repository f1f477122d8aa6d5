"""From data to noise: how much of each there is at a time, and what a network learns to say of the mixture.

At time t, from 0 (data) to 1 (noise), a datum is `x_t = signal(t) x + noise(t) e` with e from N(0, I) (Ho, Jain &
Abbeel 2020, DDPM, arXiv 2006.11239, eq. 4). What a network says of x_t stands for datum and noise in one of three ways:

    noise      e                                 (DDPM, eq. 14)
    velocity   signal e - noise x                (Salimans & Ho 2022, arXiv 2202.00512, appendix D)
    flow       e - x                             (Lipman et al. 2023, flow matching, arXiv 2210.02747, eq. 21)

The mean squared error is least where it is the mean over all data that x_t may come of. So `-e / noise(t)` is then the
score, the gradient of the log-density of x_t (Song et al. 2021, arXiv 2011.13456, eq. 7).
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Prediction = Literal["noise", "velocity", "flow"]
MOST_SIGNAL, LEAST_SIGNAL = 0.95, 0.02
"""How much of the data is left at the ends of the book's schedule."""
BETAS = (0.1, 20.0)


class SignalAndNoise(NamedTuple):
    """How much of the data and of the noise there is."""

    signal: Tensor
    """Factor of the data."""
    noise: Tensor
    """Standard deviation of the noise."""


Schedule = Callable[[Tensor], SignalAndNoise]
"""SignalAndNoise at times from 0 to 1, of the shape of the times."""


def offset_cosine(t: Float[Tensor, "*S"], most: float = MOST_SIGNAL) -> SignalAndNoise:
    """Return a quarter turn's cosine and sine without its ends, where one of them is 0.

    As in Foster's book (2nd ed., ch. 8), after Nichol & Dhariwal 2021 (arXiv 2102.09672, section 3.2).

    Args:
        t: times.
        most: the signal at time 0. With the book's there is noise of deviation 0.31 left, and the last answer of a
            network is the mean of all data that it may hide.
    """
    first, last = math.acos(most), math.acos(LEAST_SIGNAL)
    angle = first + t * (last - first)
    return SignalAndNoise(angle.cos(), angle.sin())


def linear(t: Float[Tensor, "*S"]) -> SignalAndNoise:
    """Return the rates of DDPM's linear schedule, its thousand steps made continuous (arXiv 2011.13456, eq. 33)."""
    log_signal = -0.25 * t.square() * (BETAS[1] - BETAS[0]) - 0.5 * t * BETAS[0]
    return SignalAndNoise(log_signal.exp(), (-torch.expm1(2 * log_signal)).clamp(min=0).sqrt())


def straight(t: Float[Tensor, "*S"]) -> SignalAndNoise:
    """Return the rates of a straight line from data to noise, at an even pace (arXiv 2210.02747, eq. 20)."""
    return SignalAndNoise(1 - t, t)


def beside(rates: SignalAndNoise, like: Float[Tensor, "B ..."]) -> SignalAndNoise:
    """Return the rates of each item (B) so that they multiply its numbers."""
    shape = (-1, *[1] * (like.ndim - 1))
    return SignalAndNoise(rates.signal.view(shape), rates.noise.view(shape))


def mixed(x: Float[Tensor, "B ..."], e: Float[Tensor, "B ..."], rates: SignalAndNoise) -> Float[Tensor, "B ..."]:
    """Return data mixed with noise, at the rates of each item (B)."""
    signal, noise = beside(rates, x)
    return signal * x + noise * e


def target(
    prediction: Prediction, x: Float[Tensor, "B ..."], e: Float[Tensor, "B ..."], rates: SignalAndNoise
) -> Float[Tensor, "B ..."]:
    """Return what a network should say of the mixture of data and noise."""
    signal, noise = beside(rates, x)
    if prediction == "noise":
        return e
    return signal * e - noise * x if prediction == "velocity" else e - x


def parted(
    prediction: Prediction, said: Float[Tensor, "B ..."], mixture: Float[Tensor, "B ..."], rates: SignalAndNoise
) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]:
    """Return data and noise by what a network said of their mixture; undoes `target`.

    For velocity the squares of the rates must sum to 1, for flow the rates themselves.
    """
    signal, noise = beside(rates, mixture)
    if prediction == "noise":
        return (mixture - noise * said) / signal, said
    if prediction == "velocity":
        return signal * mixture - noise * said, noise * mixture + signal * said
    return mixture - noise * said, mixture + signal * said
