"""Checks that the configs and encoders of image models share."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from generative.core.component import CodeSpec
from generative.core.options import LARGEST
from generative.hardware.cuda_graphs import recording
from generative.objectives.variational import one_of


@runtime_checkable
class OfImages(Protocol):
    """The configuration of a model of square images."""

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""

    @property
    def channels(self) -> int:
        """Colour channels."""


def check_sizes(config: object, *names: str) -> None:
    """Raise a ValueError where one of a config's sizes is below 1."""
    for name in names:
        if not getattr(config, name) >= 1:
            raise ValueError(f"{name}={getattr(config, name)}: a size; give 1 or more")
        if getattr(config, name) > LARGEST:
            raise ValueError(f"{name}={getattr(config, name):.6g}: too large for any machine; give a smaller one")


def check_not_negative(config: object, *names: str) -> None:
    """Raise a ValueError where one of a config's weights is negative or NaN."""
    for name in names:
        if not getattr(config, name) >= 0:
            raise ValueError(f"{name}={getattr(config, name)}: must not be negative; 0 leaves it out")
        if not getattr(config, name) <= LARGEST:
            raise ValueError(f"{name}={getattr(config, name)}: must be finite, and at most {LARGEST:,}")


def check_image_size(config: OfImages) -> None:
    """Raise a ValueError where the fast layout cannot halve the image size four times."""
    if config.image_size % 16:
        raise ValueError(f"image_size={config.image_size}: layout=fast halves it four times; use a multiple of 16")


def check_obs(obs: Float[Tensor, "B C H W"], config: OfImages) -> None:
    """Raise a ValueError where images do not have a config's channels and size."""
    expected = (config.channels, config.image_size, config.image_size)
    if tuple(obs.shape[1:]) != expected:
        raise ValueError(
            f"obs of shape {tuple(obs.shape)}: expected (B, {', '.join(map(str, expected))}); "
            "set image_size and channels to those of the frames"
        )


def check_points(points: Shaped[Tensor, "..."], dimensions: int) -> None:
    """Raise a ValueError where points are not (B, dimensions)."""
    if points.shape[1:] != (dimensions,):
        raise ValueError(f"points of shape {tuple(points.shape)}: expected (B, {dimensions}); set dimensions")


def check_latents(z: Shaped[Tensor, "..."], latent: int) -> None:
    """Raise a ValueError where latents are not (B, latent)."""
    if z.ndim != 2 or z.shape[1] != latent:
        raise ValueError(f"latents of shape {tuple(z.shape)}: expected (B, {latent})")


def check_colours(obs: Float[Tensor, "B C H W"]) -> None:
    """Raise a ValueError where images leave [0, 1]; not while a GPU records, which sees no numbers."""
    if recording():
        return
    low, high = torch.stack(obs.aminmax()).tolist()
    if low < 0 or high > 1:
        raise ValueError(f"obs: {low:.3g} to {high:.3g}; images must lie in [0, 1]")


def labels_one_hot(labels: Int[Tensor, " B"], classes: int, like: Shaped[Tensor, "..."]) -> Float[Tensor, "B K"]:
    """Return labels as zeros and ones, of the type of `like`.

    Raises:
        ValueError: a label is out of range; not while a GPU records, which sees no numbers.
    """
    check_labels(labels, classes)
    return one_of(labels, classes).to(like)


def check_labels(labels: Int[Tensor, " B"], classes: int) -> None:
    """Raise a ValueError where a label is out of range; not while a GPU records, which sees no numbers."""
    if labels.numel() and not recording():
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or high >= classes:
            raise ValueError(f"labels: must be 0 to {classes - 1}; set classes to the number of labels")


def check_tokens(tokens: Shaped[Tensor, "..."], vocabulary: int) -> None:
    """Raise a ValueError where texts are no numbers of tokens (B, T) from 0 to `vocabulary` - 1.

    While a GPU records, which sees no numbers, only the shape is looked at.
    """
    said = f"tokens of {tokens.dtype} and shape {tuple(tokens.shape)}"
    if tokens.ndim != 2 or tokens.is_floating_point():
        raise ValueError(f"{said}: expected integers (B, T)")
    if tokens.numel() and not recording():
        low, high = torch.stack(tokens.aminmax()).tolist()
        if low < 0 or high >= vocabulary:
            raise ValueError(f"{said}, {low} to {high}: expected (B, T), 0 to {vocabulary - 1}; set vocabulary")


def checked_codes(codes: Shaped[Tensor, "..."], spec: CodeSpec) -> Int[Tensor, "B ..."]:
    """Return codes as they came; raise a ValueError where they are none of a spec, as of `check_tokens`."""
    said = f"codes of {codes.dtype} and shape {tuple(codes.shape)}"
    if tuple(codes.shape[1:]) != spec.shape or codes.is_floating_point():
        raise ValueError(f"{said}: expected integers (B, {', '.join(map(str, spec.shape))})")
    if codes.numel() and not recording():
        low, high = torch.stack(codes.aminmax()).tolist()
        if low < 0 or high >= spec.codes:
            raise ValueError(f"{said}, {low} to {high}: expected 0 to {spec.codes - 1}; use codes of the same run")
    return codes
