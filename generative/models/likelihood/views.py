"""Views of the flow and of the energy: the density, noise that is bent into data, and walks down an energy."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from generative.core.views import Film, Picture, Source, Views
from generative.report.clouds import by_angle, cloud, heat, raster
from generative.sampling.dials import PriorSampling, check_temperature

CLOUD = 4000
"""Points that are shown together."""


@dataclass(frozen=True)
class Density:
    """Where a model of points says they lie, beside held-out ones and samples."""

    makes: ClassVar = Picture
    reach: float = 3.0
    """What is seen, from minus this to this in both directions."""

    def __post_init__(self) -> None:
        _check_reach(self.reach)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the density, or of an energy what is proportional to it; then held-out points, then samples."""
        places = raster(self.reach)
        score = model.log_prob(places) if hasattr(model, "log_prob") else -model.energy(places)
        real = source.held_out(CLOUD)[0]
        made = model.sample(CLOUD, model.Sampling(), torch.Generator().manual_seed(seed))
        pictures = [heat((score - score.max()).exp()), cloud(real, self.reach), cloud(made, self.reach)]
        return Picture(torch.stack(pictures)[None], columns=["density", "held out", "samples"])


@dataclass(frozen=True)
class LatentToData:
    """Normal noise, coloured by direction, on its way through the flow's layers to data."""

    makes: ClassVar = Picture
    reach: float = 3.0
    """What is seen, from minus this to this in both directions."""

    def __post_init__(self) -> None:
        _check_reach(self.reach)

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return the noise, then what each coupling makes of it, at last the data."""
        x = torch.randn(CLOUD, 2, generator=torch.Generator().manual_seed(seed))
        colours, pictures = by_angle(x), [cloud(x, self.reach, by_angle(x))]
        layers = list(model.flow.layers)  # a norm and a coupling in turn, and a last norm
        x = layers[-1].inverse(x)
        for norm, coupling in reversed(list(zip(layers[:-1:2], layers[1:-1:2], strict=True))):
            x = norm.inverse(coupling.inverse(x))
            pictures.append(cloud(x, self.reach, colours))
        return Picture(torch.stack(pictures)[None], columns=["noise", *map(str, range(1, len(pictures)))])


@dataclass(frozen=True)
class Temperature:
    """The same latents nearer to the middle and farther from it, a row for each."""

    makes: ClassVar = Picture
    temperatures: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    """Times the variance, a column for each."""
    images: int = 6
    """Rows."""

    def __post_init__(self) -> None:
        for each in self.temperatures:
            check_temperature(each)
        if self.images < 1:
            raise ValueError(f"images={self.images}: give 1 or more")

    @torch.no_grad()
    def show(self, model: Any, source: Source, seed: int) -> Picture:
        """Return a row for each latent, of points a single row."""
        points = model.config.layout == "points"
        made = []
        for each in self.temperatures:
            generator = torch.Generator().manual_seed(seed)
            drawn = model.sample(CLOUD if points else self.images, PriorSampling(each), generator)
            made.append(cloud(drawn[:, :2], 3.0)[None] if points else drawn)
        return Picture(torch.stack(made, 1), columns=[f"{each:g}" for each in self.temperatures])


@dataclass(frozen=True)
class LangevinFilm:
    """Noise that walks down the energy to data."""

    makes: ClassVar = Film
    steps: int = 400
    """Langevin steps."""
    every: int = 5
    """Steps from one frame to the next."""
    noise: float = 1.0
    """Times the noise in each step, as it is in training."""
    images: int = 16
    """Walks, eight in a row."""
    fps: int = 15
    """Frames per second."""

    def __post_init__(self) -> None:
        for name in ("steps", "every", "images", "fps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 or more")

    def show(self, model: Any, source: Source, seed: int) -> Film:
        """Return the film; points walk over the energy as a cloud."""
        points = model.config.layout == "points"
        count = CLOUD if points else self.images
        walk = model.walk(count, model.Sampling(self.steps, self.noise), torch.Generator().manual_seed(seed))
        frames, captions = [], []
        for step, x in enumerate(walk):
            if step % self.every == 0 or step == self.steps:
                frames.append(cloud(x[:, :2], 3.0)[None, None] if points else _rows(x.detach(), 8))
                captions.append(f"step {step}")
        return Film(torch.stack(frames), captions, self.fps)


OF_FLOWS: Views = {"temperature": Temperature}
OF_FLOWS_IN_THE_PLANE: Views = {**OF_FLOWS, "density": Density, "latent-to-data": LatentToData}
OF_ENERGIES: Views = {"langevin": LangevinFilm}
OF_ENERGIES_IN_THE_PLANE: Views = {**OF_ENERGIES, "density": Density}


def in_the_plane(config: Any) -> bool:
    """Return whether a model is of points that can be shown."""
    return bool(config.layout == "points" and config.dimensions == 2)


def _rows(images: Tensor, columns: int) -> Tensor:
    """Return images in rows (R K C H W), white where the last one has none."""
    columns = min(columns, len(images))
    missing = -len(images) % columns
    white = images.new_ones(missing, *images.shape[1:])
    return torch.cat([images, white]).unflatten(0, (-1, columns))


def _check_reach(reach: float) -> None:
    if not 0 < reach <= 1000:
        raise ValueError(f"reach={reach}: must be above 0, and at most 1000")
