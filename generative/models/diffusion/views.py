"""Views of diffusion and flow matching: what steps, noise, guidance and a start from an image do to samples."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from generative.core.views import Film, Picture, Source, Views
from generative.latent.interpolation import between
from generative.report.clouds import cloud
from generative.sampling.denoising import check_guidance, check_steps

CLOUD = 4000
"""Points that are shown together."""
REACH = 3.0
"""Of what is seen of points, from minus this to this."""


@dataclass(frozen=True)
class StepCounts:
    """The same noise denoised in few steps and in many, a row for each."""

    makes: ClassVar = Picture
    counts: tuple[int, ...] = (1, 2, 3, 5, 10, 20, 50)
    """Steps from noise to data, a column for each."""
    images: int = 6
    """Rows."""

    def __post_init__(self) -> None:
        _check_counts(self.images, "images")
        for steps in self.counts or (0,):
            check_steps(steps)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each noise, of points a single row."""
        generator = torch.Generator().manual_seed(seed)
        noise = model.noise(_many(model, self.images), generator)
        made = [model.denoise(noise, model.Sampling(steps=steps), generator) for steps in self.counts]
        return Picture(_columns(model, made), columns=[str(steps) for steps in self.counts])


@dataclass(frozen=True)
class NoiseToImage:
    """Noise on its way to data: above what there is, below what the network expects to come of it."""

    makes: ClassVar = Film
    steps: int = 60
    """Frames, one for each step."""
    images: int = 8
    """Samples side by side."""
    fps: int = 15
    """Frames per second."""

    def __post_init__(self) -> None:
        check_steps(self.steps)
        _check_counts(self.images, "images")
        _check_counts(self.fps, "fps")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Film:
        """Return the film."""
        generator = torch.Generator().manual_seed(seed)
        noise = model.noise(_many(model, self.images), generator)
        labels = torch.arange(len(noise)) % max(1, len(source.classes))
        frames, captions = [], []
        for step, stage in enumerate(model.stages(noise, model.Sampling(steps=self.steps), generator, labels), 1):
            rows = [_columns(model, [model._outside(each)]).transpose(0, 1) for each in stage]
            frames.append(torch.cat(rows))
            captions.append(f"step {step} of {self.steps}")
        return Film(torch.stack(frames), captions, self.fps)


@dataclass(frozen=True)
class NoiseInterpolation:
    """From sample to sample by the arc between their noises (slerp), all else alike."""

    makes: ClassVar = Picture
    pairs: int = 4
    """Rows."""
    steps: int = 9
    """Images on a way, both ends included."""
    denoising: int = 20
    """Steps from noise to data."""

    def __post_init__(self) -> None:
        check_steps(self.denoising)
        _check_counts(self.pairs, "pairs")
        if self.steps < 2:
            raise ValueError(f"steps={self.steps}: a way has at least its two ends; give 2 or more")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each pair, all of it under the label of one class."""
        generator = torch.Generator().manual_seed(seed)
        first, second = model.noise(2 * self.pairs, generator).chunk(2)
        way = between(first.flatten(1), second.flatten(1), self.steps, "spherical")  # (B S Z)
        noise = way.flatten(0, 1).unflatten(1, first.shape[1:])
        labels = None
        if source.classes:
            labels = (torch.arange(self.pairs) % len(source.classes)).repeat_interleave(self.steps)
        made = model.denoise(noise, model.Sampling(steps=self.denoising), generator, labels)
        return Picture(made.unflatten(0, (self.pairs, self.steps)))


@dataclass(frozen=True)
class Guidance:
    """The same noise drawn without, under and beyond its class, a row for each class."""

    makes: ClassVar = Picture
    strengths: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Guidance, a column for each: 0 ignores the class, 1 is the model, more exaggerates."""
    rows: int = 10
    """Classes at most."""
    steps: int = 20
    """Steps from noise to data."""

    def __post_init__(self) -> None:
        check_steps(self.steps)
        _check_counts(self.rows, "rows")
        for strength in self.strengths:
            check_guidance(strength)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each class."""
        generator, names = torch.Generator().manual_seed(seed), list(source.classes)[: self.rows]
        noise, labels = model.noise(len(names), generator), torch.arange(len(names))
        dials = model.Sampling(steps=self.steps)
        made = [model.denoise(noise, replace(dials, guidance=each), generator, labels) for each in self.strengths]
        return Picture(torch.stack(made, 1), names, [f"{each:g}" for each in self.strengths])


@dataclass(frozen=True)
class Redraw:
    """Held-out images drawn over: mixed with more and more noise, and denoised."""

    makes: ClassVar = Picture
    strengths: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """How far towards noise, a column for each: near 0 leaves all as it is, 1 nothing."""
    images: int = 6
    """Rows."""
    steps: int = 20
    """Steps to data."""

    def __post_init__(self) -> None:
        check_steps(self.steps)
        _check_counts(self.images, "images")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each image, itself first."""
        images, *labels = source.held_out(self.images)
        dials = model.Sampling(steps=self.steps)
        made = [
            model.redraw(images, strength, dials, torch.Generator().manual_seed(seed), *labels)
            for strength in self.strengths
        ]
        return Picture(torch.stack([images, *made], 1), columns=["given", *(f"{each:g}" for each in self.strengths)])


OF_ALL: Views = {"step-counts": StepCounts, "noise-to-image": NoiseToImage}
OF_IMAGES: Views = {"noise-interpolation": NoiseInterpolation, "redraw": Redraw}
OF_CLASSES: Views = {"guidance": Guidance}


def fitting(config: Any) -> Views:
    """Return the views of a model of this configuration: some show images, one classes."""
    of_images = config.layout != "points"
    told = of_images and config.conditional
    return {**OF_ALL, **(OF_IMAGES if of_images else {}), **(OF_CLASSES if told else {})}


def _many(model: Any, images: int) -> int:
    """Return how many samples are shown: so many images, or a cloud of points."""
    return CLOUD if model.config.layout == "points" else images


def _columns(model: Any, made: list[Tensor]) -> Tensor:
    """Return samples as columns (R K C H W), points as a cloud each."""
    if model.config.layout == "points":
        return torch.stack([cloud(each[:, :2], REACH) for each in made])[None]
    return torch.stack(made, 1)


def _check_counts(count: int, name: str) -> None:
    if count < 1:
        raise ValueError(f"{name}={count}: give 1 or more")
