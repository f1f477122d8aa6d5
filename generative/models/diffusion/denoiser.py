"""What diffusion and flow matching share: a network that knows the time, its moving average, classes, a way from noise.

A subclass says how data and noise are mixed (`schedule`), what the network learns to say of the mixture (`prediction`),
and how its samples go back from noise (`stages`). Samples come from the moving average of the weights (Song & Ermon
2020, arXiv 2006.09011, section 3.4). Images are in [0, 1] outside, as for every model, and in [-1, 1] inside.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.component import Objective, Part
from generative.core.facts import Facts
from generative.core.views import Views
from generative.data.fields import Field
from generative.data.needs import label_classes
from generative.models.checks import (
    check_labels,
    check_not_negative,
    check_sizes,
)
from generative.models.diffusion.views import OF_ALL, OF_CLASSES, OF_IMAGES, fitting
from generative.models.layouts import ImagesOrPoints
from generative.networks.denoiser import TimePoints, TimeUNet
from generative.objectives.diffusion import Prediction, Schedule, mixed, parted, target
from generative.objectives.variational import at_least_float32
from generative.sampling.denoising import DiffusionSampling, FlowSampling, Stage
from generative.training.average import Average

AT_ONCE = {"convolutions": 128, "points": 8192}
"""Samples that are made together, by layout."""


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of the network, and what it is told."""

    layout: Literal["convolutions", "points"] = "convolutions"
    """convolutions: square images in [0, 1], by a U-Net. points: vectors of `dimensions` numbers."""
    image_size: int = 32
    """Height and width of the images in pixels; can be halved once less often than there are widths."""
    channels: int = 3
    """Colour channels of the images."""
    dimensions: int = 2
    """Numbers of a point."""
    widths: tuple[int, ...] = (32, 64, 96)
    """Channels of the maps of each size, the image's own first, each next one half as wide; the first, for points."""
    blocks: int = 2
    """Residual blocks for each size, on the way down and on the way up; for points, all of them."""
    attention: int = 8
    """Maps of at most this side attend to themselves; 0 turns it off."""
    conditional: bool = False
    """Tell the network the class; the data need labels."""
    classes: int = 10
    """Number of classes, for conditional."""
    label_drop: float = 0.1
    """Share of labels that are left out while training, for guidance (Ho & Salimans 2022, arXiv 2207.12598)."""
    error: Literal["squared", "absolute"] = "squared"
    """Of what the network says; only the squared one leads to the mean, so to the score. absolute: the book's."""
    ema: float = 0.999
    """Decay of the average of weights that samples come from; 0 takes the last weights."""
    weight_decay: float = 0.0
    """Of AdamW; 0 trains with Adam."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "dimensions", "blocks", "classes")
        check_not_negative(self, "attention", "weight_decay")
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"widths={self.widths}: sizes; give one or more, each 1 or more")
        for name in ("label_drop", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more, but less than 1")
        times = 2 ** (len(self.widths) - 1)
        if self.layout == "convolutions" and self.image_size % times:
            raise ValueError(
                f"image_size={self.image_size}: {len(self.widths)} widths halve it {len(self.widths) - 1} times; "
                f"give a multiple of {times}, or fewer widths"
            )


class Denoiser(ImagesOrPoints):
    """A model that turns noise into images in [0, 1] or into points; its subclasses say along which way."""

    seam = "model"
    batches_per_step: ClassVar[int] = 1
    views: Views = {**OF_ALL, **OF_IMAGES, **OF_CLASSES}  # noqa: RUF012
    prediction: Prediction
    schedule: Schedule
    refusals: ClassVar[Mapping[str, str]] = {
        **{
            name: "what it starts from is noise of the size of the data, no latent; see `denoise`"
            for name in ("encode", "decode", "reconstruct", "interpolate")
        },
        "log_prob": "it knows the score, the gradient of the log-density, and not the density",
    }

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config, self.views = config, fitting(config)
        c, told = config, config.classes if config.conditional else 0
        if c.layout == "points":
            self.network: nn.Module = TimePoints(c.dimensions, c.widths[0], c.blocks, told)
        else:
            self.network = TimeUNet(c.channels, c.image_size, c.widths, c.blocks, c.attention, told)
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = Average(self.network, config.ema)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Points or images, and their classes where it is told them."""
        return (*super().inputs, "label") if self.config.conditional else super().inputs

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the layout, what the data decide of it, and the number of classes if any; errors as of `FitsData`."""
        return {**super().sizes(fields), **(label_classes(cls, fields) if "label" in fields else {})}

    @property
    def parts(self) -> Mapping[str, Part]:
        """The network; its average follows."""
        decay = self.config.weight_decay
        return {"network": Part(optimiser="adamw" if decay else "adam", decay=decay)}

    def objectives(self, batches: Sequence[Any], step: int, generator: torch.Generator) -> Iterator[Objective]:
        """Yield the error of what the network says at random times, then average its weights."""
        loss = self._error(self.network, batches[0], generator, self.config.label_drop)
        yield Objective("network", loss, {}, "denoising")
        self.average.update(self.network)

    def held_out_loss(
        self, batch: Any, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the error of what the averaged network says, under every label."""
        return self._error(self.average, batch, generator, 0.0), {}

    @torch.no_grad()
    def sample(
        self,
        n: int,
        sampling: DiffusionSampling | FlowSampling,
        generator: torch.Generator,
        labels: Int[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n ..."]:
        """Return data out of noise, a conditional model's of labels, by default of all classes in turn.

        Raises:
            ValueError: a label is out of range, or guidance of a model that is told none.
        """
        return self.denoise(self.noise(n, generator), sampling, generator, labels)

    def noise(self, n: int, generator: torch.Generator) -> Float[Tensor, "n ..."]:
        """Return noise to start from."""
        device = next(self.parameters()).device
        return torch.randn(n, *self._shape, generator=generator, device=generator.device).to(device)

    @torch.no_grad()
    def denoise(
        self,
        noise: Float[Tensor, "B ..."],
        sampling: DiffusionSampling | FlowSampling,
        generator: torch.Generator,
        labels: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B ..."]:
        """Return what noise becomes; arguments and errors as of `sample`, and ValueError for noise of another shape."""
        if tuple(noise.shape[1:]) != self._shape:
            raise ValueError(f"noise of shape {tuple(noise.shape)}: expected (B, {', '.join(map(str, self._shape))})")
        told, made = self._labels(labels, len(noise)), []
        number = AT_ONCE[self.config.layout]
        for part, some in zip(noise.split(number), told.split(number), strict=True):
            *_, last = self.stages(part, sampling, generator, some)
            made.append(self._outside(last.data))
        return torch.cat(made)

    @torch.no_grad()
    def redraw(
        self,
        obs: Float[Tensor, "B ..."],
        strength: float,
        sampling: DiffusionSampling | FlowSampling,
        generator: torch.Generator,
        labels: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B ..."]:
        """Return data drawn over other data: mixed with noise up to a time, and denoised (SDEdit, arXiv 2108.01073).

        Args:
            obs: to start from.
            strength: the time: near 0 leaves nearly all as it is, 1 nearly nothing.
            sampling: dials.
            generator: of the noise.
            labels: classes to draw, of a conditional model.

        Raises:
            ValueError: a strength that is no time, data of another shape, or as of `sample`.
        """
        if not 0 < strength <= 1:
            raise ValueError(f"strength={strength}: give more than 0 (nothing changes) and at most 1 (all does)")
        inside = self._inside(obs)
        t = inside.new_full((len(inside),), strength)
        mixture = mixed(inside, self.noise(len(inside), generator), self.schedule(t))
        told, made = self._labels(labels, len(obs)), []
        number = AT_ONCE[self.config.layout]
        for part, some in zip(mixture.split(number), told.split(number), strict=True):
            *_, last = self.stages(part, sampling, generator, some, strength)
            made.append(self._outside(last.data))
        return torch.cat(made)

    def stages(
        self,
        mixture: Float[Tensor, "B ..."],
        sampling: Any,
        generator: torch.Generator,
        labels: Int[Tensor, " B"],
        start: float = 1.0,
    ) -> Iterator[Stage]:
        """Yield the stages from a mixture at a time to data, both as the network sees them."""
        raise NotImplementedError

    @torch.no_grad()
    def score(
        self, mixture: Float[Tensor, "B ..."], t: Float[Tensor, " B"], labels: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B ..."]:
        """Return the gradient of the log-density of mixtures, as the network sees them.

        Raises:
            ValueError: a time is 0, where there is no noise whose direction would say it, or as of `sample`.
        """
        if not bool((t > 0).all()):
            raise ValueError(f"t={t.min().item():g}: the score is known at times above 0 only")
        _, noise = self.parted(mixture, t, self._labels(labels, len(mixture)), 1.0)
        return -noise / self.schedule(t).noise.view(-1, *[1] * (mixture.ndim - 1))

    def parted(
        self, mixture: Float[Tensor, "B ..."], t: Float[Tensor, " B"], labels: Int[Tensor, " B"], guidance: float
    ) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]:
        """Return data and noise that mixtures are made of, as the averaged network says under labels.

        Guidance goes from what it says without a class, `guidance` times the way to what it says with it.

        Raises:
            ValueError: guidance other than 1 of a model that is told no classes.
        """
        if guidance == 1:
            said = at_least_float32(self.average(mixture, t, labels))
        elif not self.config.conditional:
            raise ValueError(f"guidance={guidance}: the model is told no classes; train it with conditional=true")
        else:
            both = torch.cat([labels, torch.full_like(labels, self.config.classes)])
            told, untold = at_least_float32(self.average(torch.cat([mixture] * 2), torch.cat([t] * 2), both)).chunk(2)
            said = untold + guidance * (told - untold)
        return parted(self.prediction, said, mixture, self.schedule(t))

    def _error(self, network: nn.Module, batch: Any, generator: torch.Generator, drop: float) -> Tensor:
        if self.config.conditional and isinstance(batch, Tensor):
            raise ValueError("batch: expected (data, labels); give labels beside the data")
        obs, labels = batch if self.config.conditional else (batch, None)
        x, told = self._inside(obs), self._labels(labels, len(obs))
        draws = torch.rand(2, len(x), generator=generator, device=generator.device).to(x)
        e = torch.randn(x.shape, generator=generator, device=generator.device).to(x)
        if self.config.conditional:
            told = torch.where(draws[1] < drop, self.config.classes, told)
        rates = self.schedule(draws[0])
        said = at_least_float32(network(mixed(x, e, rates), draws[0], told))
        apart = said - target(self.prediction, x, e, rates)
        return (apart.square() if self.config.error == "squared" else apart.abs()).mean()

    def _labels(self, labels: Tensor | None, n: int) -> Int[Tensor, " n"]:
        """Return checked labels, all classes in turn where none are given."""
        classes = self.config.classes if self.config.conditional else 1
        if labels is None:
            return torch.arange(n, device=next(self.parameters()).device) % classes
        if not self.config.conditional:
            raise ValueError("labels: the model is told no classes; train it with conditional=true, or give none")
        check_labels(labels, classes)
        return labels.to(next(self.parameters()).device)

    def _outside(self, x: Tensor) -> Tensor:
        return x if self.config.layout == "points" else ((x + 1) / 2).clamp(0, 1)
