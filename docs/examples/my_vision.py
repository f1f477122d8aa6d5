"""A vision of your own: a thumbnail. It has no weights, so there is nothing to train."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from generative import LatentSpec
from scripts.stages import collect, evaluate, evolve, train_memory, train_vision
from worldmodels import Run, config_from, preset
from worldmodels.vision.registry import VISIONS


@dataclass(frozen=True)
class ThumbnailConfig:
    """Image size and channels are filled in from the environment."""

    grid: int = 4
    image_size: int = 64
    channels: int = 3


class Thumbnail(nn.Module):
    """The latent is the frame, shrunk to `grid` x `grid` pixels."""

    type_name = "thumbnail"
    seam = "vision"
    Config = ThumbnailConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.latent_spec = LatentSpec("continuous", config.channels * config.grid**2)

    def encode(self, obs):  # (B C H W) in [0, 1] -> mean and standard deviation, (B Z) each
        mean = 4 * (F.adaptive_avg_pool2d(obs, self.config.grid) - 0.5).flatten(1)
        return mean, torch.zeros_like(mean)

    def decode(self, z):  # only for pictures
        small = (z / 4 + 0.5).unflatten(1, (self.config.channels, self.config.grid, self.config.grid))
        return F.interpolate(small, size=self.config.image_size, mode="bilinear").clamp(0, 1)

    def loss(self, obs, generator):  # what training lowers, where there are weights
        error = (self.decode(self.encode(obs)[0]) - obs).square().flatten(1).sum(1).mean()
        return error, {"squared_error": error.detach()}

    @torch.no_grad()
    def diagnose(self, obs, mean_frame=None):  # of held-out frames: "healthy", or the run stops
        mean_frame = obs.mean(0) if mean_frame is None else mean_frame
        error = self.loss(obs, torch.Generator())[0].item()
        baseline = (mean_frame - obs).square().flatten(1).sum(1).mean().item()
        reason = f"squared error {error:.1f}, that of the mean frame {baseline:.1f}"
        verdict = "healthy" if error < baseline else "blind"
        return {"verdict": verdict, "reason": reason, "squared_error": error, "baseline_squared_error": baseline}


if __name__ == "__main__":
    VISIONS.add("thumbnail", Thumbnail)
    changes = {"vision": {"type": "thumbnail", "options": {"grid": 4}}, "executor": {"type": "serial"}}
    run = Run.create("runs/thumbnail", config_from(changes, preset("toy")))
    for stage in (collect, train_vision, train_memory, evolve, evaluate):
        for progress in stage(run):
            print(progress.stage, progress.done, "of", progress.total, progress.unit)
