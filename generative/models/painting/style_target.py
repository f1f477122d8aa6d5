"""What judges how well an image has one's content and another's style; and an image that is painted by it, directly.

`painted` lowers the loss over the pixels of one image (Gatys et al. 2016, section 2.3), from the content on, by L-BFGS
or Adam. It is the slow and the better way; `style_transfer` learns to do the same in one pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import to_float
from generative.data.images.named import picture_named
from generative.features.layers import LayerChoice, Layers, layers_of
from generative.models.checks import check_not_negative
from generative.objectives.style import content_loss, gram, style_loss, total_variation
from generative.objectives.variational import at_least_float32
from generative.runs.run_reference import RunReference

OUTSIDE = 10.0
"""Weight of the squared distance of an optimised pixel from [0, 1]."""
CALLS = 20
"""Evaluations between two rows of progress."""


@dataclass(frozen=True)
class StyleWeights:
    """How much each term counts; all are shares, so the weights mean the same for any network."""

    content: float = 0.3
    """Of the content, `|F - P|^2 / |P|^2`."""
    style: float = 1.0
    """Of the style, the mean over layers of `|G - A|^2 / |A|^2`."""
    smooth: float = 0.02
    """Of the total variation, the mean difference of neighbours."""

    def __post_init__(self) -> None:
        check_not_negative(self, "content", "style", "smooth")


@dataclass(frozen=True)
class StyleTarget:
    """A network's layers, and the Gram matrices that a style has in them."""

    layers: Layers
    choice: LayerChoice
    grams: tuple[Float[Tensor, "1 _ _"], ...]
    weights: StyleWeights

    @classmethod
    def of(
        cls,
        picture: str,
        size: int,
        channels: int,
        features: RunReference | None = None,
        content_layer: str = "",
        style_layers: Sequence[str] = (),
        weights: StyleWeights = StyleWeights(),
        layers: Layers | None = None,
    ) -> "StyleTarget":
        """Return the target that a picture makes.

        Args:
            picture: a name or a file, see `picture_named`.
            size: of its shorter side, in pixels.
            channels: colours of the images to be painted; the picture is made grey for other than three.
            features: what sees, see `layers_of`.
            content_layer: see `LayerChoice`.
            style_layers: see `LayerChoice`.
            weights: of the terms.
            layers: what sees, where it is there already.

        Raises:
            ComponentError: there is no such picture, network or layer.
        """
        layers = layers_of(features, channels) if layers is None else layers
        choice = layers.chosen(LayerChoice(content_layer, tuple(style_layers)))
        style = as_images(picture, size)
        if channels != 3:
            style = style.mean(1, keepdim=True).expand(-1, channels, -1, -1)
        with torch.no_grad():
            maps = layers(style, choice.style)
        return cls(layers, choice, tuple(gram(maps[name]) for name in choice.style), weights)

    def to(self, device: torch.device | str) -> "StyleTarget":
        """Return it on a device."""
        if self.grams[0].device == torch.device(device):
            return self
        return replace(self, layers=self.layers.to(device), grams=tuple(each.to(device) for each in self.grams))

    def loss(
        self, made: Float[Tensor, "B C H W"], content: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the weighted terms of images made from a content, and each by itself."""
        with torch.no_grad():
            wanted = self.layers(content, [self.choice.content])[self.choice.content]
        maps = {name: at_least_float32(each) for name, each in self.layers(made, self._needed).items()}
        terms = {
            "content": content_loss(maps[self.choice.content], at_least_float32(wanted)),
            "style": style_loss([maps[name] for name in self.choice.style], self.grams),
            "smooth": total_variation(made),
        }
        total = sum((getattr(self.weights, name) * term for name, term in terms.items()), made.new_zeros(()))
        return total, {name: term.detach() for name, term in terms.items()}

    @property
    def _needed(self) -> tuple[str, ...]:
        return (self.choice.content, *self.choice.style)


def as_images(picture: str, size: int) -> Float[Tensor, "1 3 H W"]:
    """Return a picture by name or file as one image in [0, 1], its shorter side of `size` pixels."""
    return to_float(torch.from_numpy(picture_named(picture, size))[None])


def painted(
    target: StyleTarget,
    content: Float[Tensor, "1 C H W"],
    *,
    steps: int,
    optimiser: Literal["l-bfgs", "adam"] = "l-bfgs",
    rate: float = 0.02,
) -> Iterator[tuple[Facts, Float[Tensor, "1 C H W"]]]:
    """Lower the loss over the pixels, and yield its terms and the image so far, at the beginning and then now and then.

    Args:
        target: what judges.
        content: where the image begins, and what it keeps.
        steps: evaluations of the loss.
        optimiser: L-BFGS with a line search, as in the paper, or Adam.
        rate: of Adam.
    """
    image = nn.Parameter(content.clone(memory_format=torch.contiguous_format))
    wanted = content.clone()
    adam = torch.optim.Adam([image], lr=rate)
    quasi = torch.optim.LBFGS(
        [image], max_iter=CALLS, max_eval=CALLS, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip
    found: Facts = {}

    def closure() -> Tensor:
        image.grad = None
        loss, terms = target.loss(image, wanted)
        loss = loss + OUTSIDE * (image - image.clamp(0, 1)).square().mean()
        loss.backward()
        found.update({"loss": loss.item()}, **{name: term.item() for name, term in terms.items()})
        return loss

    closure()
    yield {"step": 0, **found}, image.detach().clamp(0, 1)
    for step in range(0, steps, CALLS):
        if optimiser == "adam":
            for _ in range(min(CALLS, steps - step)):
                adam.step(closure)
        else:
            quasi.param_groups[0]["max_eval"] = quasi.param_groups[0]["max_iter"] = min(CALLS, steps - step)
            quasi.step(closure)
        with torch.no_grad():
            closure_terms = target.loss(image.clamp(0, 1), wanted)
        terms = {name: term.item() for name, term in closure_terms[1].items()}
        yield {"step": min(step + CALLS, steps), "loss": closure_terms[0].item(), **terms}, image.detach().clamp(0, 1)
