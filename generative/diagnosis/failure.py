"""A failure that was found, and what helps against it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Problem = Literal[
    "posterior collapse",
    "mode collapse",
    "vanishing critic",
    "exploding critic",
    "oscillation",
    "memorisation",
    "blur",
    "noise",
    "colour shift",
    "wrong shares",
    "unreal",
    "over-fitting",
    "worse than principal components",
    "dead codes",
]


@dataclass(frozen=True)
class Failure:
    """A failure that was found."""

    problem: Problem
    """Its name."""
    evidence: str
    """The figures it rests on, and their limits."""
    remedy: str = ""
    """What to change first; dials are named that the model has."""


ADVICE: Mapping[Problem, tuple[tuple[str, str], ...]] = {
    "posterior collapse": (
        ("beta", "lower beta"), ("kl_floor", "raise kl_floor"),
        ("", "weaken the decoder"),
    ),
    "mode collapse": (
        ("lipschitz", "constrain the critic (lipschitz), as by a gradient penalty"),
        ("gan_loss", "use a Wasserstein loss (gan_loss, or the model wgan-gp)"),
        ("", "lower the learning rate; go back to a checkpoint from before the collapse"),
    ),
    "vanishing critic": (
        ("clip", "clip less tightly, or replace clipping by a gradient penalty (wgan-gp)"),
        ("label_noise", "raise label_noise"), ("critic_steps", "lower critic_steps"),
        ("critic_rate", "lower critic_rate"),
        ("", "use a non-saturating or Wasserstein loss"),
    ),
    "exploding critic": (
        ("lipschitz", "constrain it (lipschitz)"), ("penalty", "raise penalty"),
        ("critic_norm", "leave batch norm out of it (critic_norm)"),
        ("critic_rate", "lower critic_rate"), ("", "lower the learning rate"),
    ),
    "oscillation": (
        ("momentum", "lower momentum (0 or 0.5)"), ("critic_rate", "use two rates (critic_rate)"),
        ("ema", "sample from averaged weights (ema)"), ("", "lower the learning rate"),
    ),
    "memorisation": (
        ("width", "lower width"), ("latent", "lower latent"), ("dropout", "raise dropout"),
        ("", "train on more or augmented data, or stop earlier"),
    ),
    "blur": (
        ("latent", "raise latent"), ("beta", "lower beta"), ("codes", "raise codes"), ("width", "raise width"),
        ("", "add an adversarial or perceptual loss: a squared error alone blurs whatever the latent does not say"),
    ),
    "noise": (
        ("ema", "sample from averaged weights (ema)"), ("lipschitz", "constrain the critic (lipschitz)"),
        ("", "train longer, or lower the learning rate; look at an upsampling that leaves a pattern"),
    ),
    "colour shift": (("", "train longer; look at the range of pixels at the model's output"),),
    "wrong shares": (
        ("beta", "lower beta"), ("latent", "raise latent"), ("lipschitz", "constrain the critic (lipschitz)"),
        ("", "train longer; what is missing is too small for the loss to notice, or was dropped"),
    ),
    "unreal": (
        ("latent", "change latent"), ("width", "raise width"), ("density", "raise density"), ("", "train longer"),
    ),
    "over-fitting": (
        ("dropout", "raise dropout"), ("width", "lower width"), ("beta", "raise beta"),
        ("", "stop earlier, or train on more data"),
    ),
    "worse than principal components": (
        ("beta", "lower beta"), ("latent", "lower latent where units are idle"), ("width", "raise width"),
        ("", "train longer, or use pca"),
    ),
    "dead codes": (
        ("restart", "restart dead codes earlier (restart)"), ("codes", "lower codes"),
        ("", "update the codebook by moving averages"),
    ),
}  # fmt: skip
"""What helps against each failure: the dial that it takes, none for what every training has, and the words."""


def remedy(problem: Problem, dials: Collection[str]) -> str:
    """Return what to change first, of a model that has these dials."""
    words = [said for dial, said in ADVICE[problem] if not dial or dial in dials]
    return "; ".join(words)
