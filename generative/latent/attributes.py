"""Attribute vectors: "add a smile" as a step in latent space, with its size, its side effects and a judge.

The vector is the difference between the mean code of the images that have an attribute and of those that do not
(Larsen et al. 2016, arXiv 1512.09300); where another attribute usually comes along in the data, the difference can be
taken among images that agree in it (White 2016, "Sampling Generative Networks", arXiv 1609.04468). Three figures say
what it is worth, all on images that it was not made from: Cohen's d along it, the d of every other attribute along it
(what one moves by accident where data or model confuse the two), and what independent classifiers say of the changed
pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

CONFOUNDED = 0.5
"""Cohen's d beyond which another attribute counts as moved along: a medium effect (Cohen 1988)."""

SAME = 0.9
"""Two columns that agree (or disagree) in so much more than half of the images are one thing under two names."""


@dataclass(frozen=True)
class Attribute:
    """A direction in latent space that stands for an attribute."""

    name: str
    """Of the attribute."""
    vector: tuple[float, ...] = field(repr=False)
    """From the mean code without to the mean code with it (Z)."""
    effect: float
    """Cohen's d of the attribute along the vector, on held-out images."""
    others: Mapping[str, float]
    """Cohen's d of every other attribute along the same vector, on held-out images; not of another name for it."""
    with_it: int
    """Images that had it, of those that the vector was made from."""
    without_it: int
    """Images that did not."""

    @property
    def step(self) -> Float[Tensor, " Z"]:
        """The vector as a tensor; added once, it moves the mean code without to the mean code with the attribute."""
        return torch.tensor(self.vector)

    @property
    def confounded(self) -> list[str]:
        """Names of the other attributes that move along by a medium effect or more."""
        return [name for name, effect in self.others.items() if abs(effect) >= CONFOUNDED]


def learn_attribute(
    name: str,
    codes: Float[Tensor, "N Z"],
    attributes: UInt8[np.ndarray, "N A"],
    held_codes: Float[Tensor, "M Z"],
    held_attributes: UInt8[np.ndarray, "M A"],
    names: Sequence[str],
    balance: Sequence[str] = (),
) -> Attribute:
    """Return the vector of an attribute, made from one set of codes and measured on another.

    Args:
        name: one of `names`.
        codes: mean codes of images.
        attributes: a column of 0 and 1 for each of `names`.
        held_codes: codes of other images.
        held_attributes: their attributes.
        names: of the columns.
        balance: other names; images with and without are compared only where they agree in all of these.

    Raises:
        ValueError: unknown name, or one of the sets has fewer than two images with it or without it.
    """
    for each in (name, *balance):
        if each not in names:
            raise ValueError(f"attribute={each!r}: unknown; known are {', '.join(names)}")
    if name in balance:
        raise ValueError(f"balance={name}: is the attribute itself; balance others against it")
    column = list(names).index(name)
    has = torch.from_numpy(attributes[:, column].astype(bool))
    agreeing = attributes[:, [list(names).index(each) for each in balance]]
    _, group = np.unique(agreeing, axis=0, return_inverse=True)
    vector = attribute_direction(codes, has, torch.from_numpy(group.reshape(-1)))
    others = confounds(held_codes, held_attributes, vector, names)
    effect = others.pop(name)
    agreement = np.abs(2 * np.mean(held_attributes == held_attributes[:, [column]], axis=0) - 1)
    others = {other: size for other, size in others.items() if agreement[list(names).index(other)] < SAME}
    return Attribute(name, tuple(vector.tolist()), effect, others, int(has.sum()), int((~has).sum()))


def attribute_direction(
    codes: Float[Tensor, "N Z"], has: Bool[Tensor, " N"], group: Int[Tensor, " N"] | None = None
) -> Float[Tensor, " Z"]:
    """Return the mean code where `has` is true minus that where it is false; not normalised.

    Args:
        codes: mean codes of images.
        has: whether they have the attribute.
        group: the difference is taken within each group and averaged, groups with few images on one side counting
            for little (by the harmonic mean of both numbers); None for one group.

    Raises:
        ValueError: no group has two images on either side.
    """
    group = torch.zeros_like(has, dtype=torch.int64) if group is None else group
    parts, weights = [], []
    for number in group.unique():
        yes, no = (group == number) & has, (group == number) & ~has
        if min(yes.sum(), no.sum()) >= 2:
            parts.append(codes[yes].mean(0) - codes[no].mean(0))
            weights.append(1 / (1 / yes.sum() + 1 / no.sum()))
    if not parts:
        yes, no = int(has.sum()), int((~has).sum())
        raise ValueError(f"{yes} images with the attribute and {no} without: give some dozens of both in one group")
    weight = torch.stack(weights).to(codes)
    return (weight[:, None] * torch.stack(parts)).sum(0) / weight.sum()


def effect_size(values: Float[Tensor, " N"], has: Tensor) -> float:
    """Return Cohen's d: the distance of the means with and without, in pooled standard deviations.

    NaN where one side has fewer than two values or nothing varies.
    """
    yes, no = values[has].double(), values[~has].double()
    if min(len(yes), len(no)) < 2:
        return float("nan")
    pooled = ((len(yes) - 1) * yes.var() + (len(no) - 1) * no.var()) / (len(yes) + len(no) - 2)
    return float((yes.mean() - no.mean()) / pooled.sqrt()) if pooled > 0 else float("nan")


def confounds(
    codes: Float[Tensor, "N Z"],
    attributes: UInt8[np.ndarray, "N A"],
    vector: Float[Tensor, " Z"],
    names: Sequence[str],
) -> dict[str, float]:
    """Return Cohen's d along a vector of every attribute that some of the images have and some do not."""
    along = codes @ vector
    found = {name: effect_size(along, torch.from_numpy(attributes[:, k] > 0)) for k, name in enumerate(names)}
    return {name: effect for name, effect in found.items() if effect == effect}


@torch.no_grad()
def added(
    decode: Callable[[Tensor], Tensor],
    codes: Float[Tensor, "B Z"],
    step: Float[Tensor, " Z"],
    strengths: Sequence[float],
) -> Float[Tensor, "B S C H W"]:
    """Return the images of codes with a vector added 0, 1 or any number of times (negative takes it away)."""
    amounts = torch.tensor(list(strengths), dtype=codes.dtype, device=codes.device)[None, :, None]
    moved = codes[:, None] + amounts * step.to(codes)  # (B S Z)
    return decode(moved.flatten(0, 1)).unflatten(0, (len(codes), len(strengths)))


@dataclass(frozen=True)
class Judgement:
    """What a judge that knows nothing of the model says of pictures before and after."""

    images: int
    """Pictures that were changed: of all images that do not have the attribute, also of those that the judge is wrong
    about once the model has drawn them."""
    had: float
    """Share of them that have the attribute in the judge's eyes already before the change: what the model lost."""
    flipped: float
    """Share of them that do not have it before and have it afterwards."""
    have: float
    """Share of them that have it afterwards."""
    kept: Mapping[str, float]
    """For everything else, the share whose class the judge still says to be what it said before."""


def judge(
    before: Float[Tensor, "B C H W"],
    after: Float[Tensor, "B C H W"],
    target: Callable[[Tensor], Int[Tensor, " B"]],
    others: Mapping[str, Callable[[Tensor], Int[Tensor, " B"]]],
    wanted: int = 1,
) -> Judgement:
    """Count how often an attribute came and everything else stayed.

    Args:
        before: pictures without the change.
        after: the same with it.
        target: the class of the attribute, as a judge sees it that knows nothing of the model.
        others: the same for what should stay.
        wanted: the class that the change should bring about.
    """
    had, has = target(before) == wanted, target(after) == wanted
    kept = {name: float((see(before) == see(after)).double().mean()) for name, see in sorted(others.items())}
    before_it, flipped, have = (float(each.double().mean()) for each in (had, has & ~had, has))
    return Judgement(len(before), before_it, flipped, have, kept)
