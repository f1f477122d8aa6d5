"""A memory that denoises the next frame, pixel by pixel: the world of DIAMOND (Alonso et al. 2024, arXiv 2405.12399).

It goes with the vision `frames`, whose latents are pixels. A U-Net sees the noisy change of the frame, with the last
frames beside it as channels, and is told the strength of the noise, the actions and what convolutions read off the last
frames. Preconditioning, the noise of training and draws are those of `diffusion`. Squares of `PATCH` x `PATCH` pixels
become channels before the U-Net and pixels again behind it: a fourth of the cost, and no pixel is lost.

A draw takes `steps` passes of the U-Net, so a core makes about a hundred a second. That is enough to look at this
world and to measure it, and too slow to evolve a controller in it.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from generative.networks.denoiser import TimeUNet
from worldmodels.memories.contract import Metrics, SequenceBatch, State
from worldmodels.memories.models.diffusion import DiffusionMemory, DiffusionMemoryConfig

PATCH = 2
"""Side of the squares of pixels that become channels."""
TIME_SCALE = 16.0
"""The U-Net's time is the logarithm of the noise over this, plus a half: between 0 and 1 for all that is drawn."""


@dataclass(frozen=True)
class FrameDiffusionConfig(DiffusionMemoryConfig):
    """Sizes and heads of the memory of frames."""

    side: int = 32
    """Height and width of frames in pixels, as the vision's `side`; a multiple of 8."""
    width: int = 32
    """Channels of the U-Net's finest maps; the coarser ones have twice as many."""
    denoised: int = 4
    """Steps of each sequence that are denoised in a step of training, drawn anew each time."""

    SIZES: ClassVar[tuple[str, ...]] = (*DiffusionMemoryConfig.SIZES, "side", "denoised")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side % 8:
            raise ValueError(f"side={self.side}: give a multiple of 8")
        if self.latent % self.side**2:
            raise ValueError(
                f"side={self.side}: latents of {self.latent} numbers are no frames of {self.side} x {self.side} "
                "pixels; choose vision.type frames, and its option `side` for this one"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a frame, (C H W)."""
        return self.latent // self.side**2, self.side, self.side


class HistoryReader(nn.Module):
    """Reads the last frames and actions, (B T Z + A) in their order, from the first step that has all of them."""

    def __init__(self, config: FrameDiffusionConfig) -> None:
        super().__init__()
        self.config = config
        width, coarse = config.width, config.side // 8
        self.frame = nn.Sequential(
            nn.Conv2d(config.shape[0], width, kernel_size=4, stride=4),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * width * coarse**2, config.hidden),
            nn.SiLU(),
        )
        self.join = nn.Sequential(nn.Linear(config.history * (config.hidden + config.action), config.hidden), nn.Tanh())

    def forward(self, row: Float[Tensor, "B S seen"]) -> Float[Tensor, "B T hidden"]:
        """Return the units at each of the last T = S - history + 1 steps."""
        frames, actions = row.split([self.config.latent, self.config.action], -1)
        read = self.frame(frames.reshape(-1, *self.config.shape)).unflatten(0, row.shape[:2])
        windows = torch.cat([read, actions], -1).unfold(1, self.config.history, 1)  # (B T hidden+A history)
        units: Tensor = self.join(windows.flatten(2))
        return units


class FrameDiffusion(DiffusionMemory):
    """Convolutions over the last frames, and a U-Net that denoises the change to the next.

    Its state is the features, hidden units, with the actions and frames that they saw, the present one last,
    (B hidden + history (A + Z)); and the frames and actions before the present ones (B history - 1 Z + A), zeros at
    first.
    """

    type_name: ClassVar[str] = "frame-diffusion"
    fixed_step: ClassVar[bool] = True
    Config = FrameDiffusionConfig
    config: FrameDiffusionConfig

    @staticmethod
    def _features(config: DiffusionMemoryConfig) -> int:
        return config.hidden

    def _reader(self, config: DiffusionMemoryConfig) -> nn.Module:
        return HistoryReader(self.config)

    @property
    def carried(self) -> int:
        """F, numbers of the features and of the actions and frames behind them."""
        return self.feature_size + self.config.history * (self.config.action + self.config.latent)

    def add_latent_head(self) -> None:
        """Make the U-Net, and the spread of the Gaussian that stands for its density."""
        config = self.config
        channels, history = config.shape[0] * PATCH**2, config.history
        self.denoiser = TimeUNet(
            channels,
            config.side // PATCH,
            (config.width, 2 * config.width),
            blocks=1,
            attention=0,
            classes=0,
            beside=history * channels,
            numbers=config.hidden + history * config.action,
        )
        self.denoiser.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.spread_head = nn.Linear(config.hidden, config.latent)

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T F"], State]:
        """Return the features at each step, and the actions and frames that a prediction is made from."""
        past = self.initial(len(z), z.device)[1] if state is None else state[1]
        row = torch.cat([past.to(z.dtype), torch.cat([z, action], -1)], dim=1)  # (B history-1+T Z+A)
        windows = row.unfold(1, self.config.history, 1).transpose(2, 3)  # (B T history Z+A)
        frames, actions = windows.split([self.config.latent, self.config.action], -1)
        hidden = torch.cat([self.reader(row), actions.flatten(2), frames.flatten(2)], dim=-1)
        return hidden, (hidden[:, -1], row[:, row.shape[1] - past.shape[1] :])

    def latent_loss(
        self, hidden: Float[Tensor, "B T F"], after: Float[Tensor, "B T Z"], batch: SequenceBatch,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Metrics]:  # fmt: skip
        """Return the losses of `diffusion`, in training at `denoised` random real steps of each sequence."""
        if self.training:
            drawn = torch.rand(len(after), self.config.denoised, generator=generator, device=generator.device)
            steps = (drawn.to(after.device) * batch.mask.sum(1, keepdim=True)).long()  # real ones come first
            rows = torch.arange(len(after), device=after.device)[:, None]
            hidden, after, batch = hidden[rows, steps], after[rows, steps], batch._replace(mask=batch.mask[rows, steps])
        return super().latent_loss(hidden, after, batch, generator)

    def _raw(self, hidden: Tensor, scaled: Tensor, sigma: Tensor) -> Tensor:
        """Return F of a noisy change of unit spread."""
        config, lead = self.config, scaled.shape[:-1]
        told, frames = hidden.flatten(0, -2).split(
            [self.carried - config.history * config.latent, config.history * config.latent], -1
        )
        images = torch.cat([scaled.flatten(0, -2), frames], -1).unflatten(-1, (-1, config.side, config.side))
        time = 0.5 + sigma.flatten().log() / TIME_SCALE
        found = self.denoiser(F.pixel_unshuffle(images, PATCH), time, told)
        change: Tensor = F.pixel_shuffle(found, PATCH)
        return change.flatten(1).unflatten(0, lead)
