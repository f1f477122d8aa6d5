"""What one does in a latent space: look along its axes, go from one picture to another, add an attribute."""

from generative.latent.attributes import (
    Attribute,
    Judgement,
    added,
    attribute_direction,
    confounds,
    effect_size,
    judge,
    learn_attribute,
)
from generative.latent.interpolation import between
from generative.latent.morph import morph
from generative.latent.traversal import spread_order, traverse

__all__ = [
    "Attribute",
    "Judgement",
    "added",
    "attribute_direction",
    "between",
    "confounds",
    "effect_size",
    "judge",
    "learn_attribute",
    "morph",
    "spread_order",
    "traverse",
]
