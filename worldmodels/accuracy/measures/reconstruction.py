"""What vision keeps of a frame: decoded latents compared with the frames themselves."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from generative.capabilities import Decodes
from generative.core.facts import Facts
from worldmodels.accuracy.config import PIXEL_BATCH
from worldmodels.accuracy.data import HeldOut, frames
from worldmodels.statistics import estimate_mean
from worldmodels.vision.contract import Vision


def decoder_of(vision: Vision, z: Float[Tensor, "B Z"]) -> Decodes | str:
    """Return what turns latents of this vision into frames, or why nothing does."""
    if not isinstance(vision, Decodes):
        return f"{type(vision).__name__} has no decoder"
    try:
        with torch.inference_mode():
            vision.decode(z[:1])
    except (ValueError, NotImplementedError) as error:  # components refuse with a ValueError that says why
        return str(error)
    return vision


@torch.inference_mode()
def reconstruction(vision: Vision, episodes: Sequence[HeldOut], seed: int) -> Facts:
    """Measure the squared error of reconstructions from the posterior's mean.

    Pixels are in [0, 1]; an error is the mean over the pixels and channels of a frame, an episode's is the mean over
    its frames. The baseline is the mean of all these frames: the best picture that is always the same.

    Returns:
        `mse` and `mse_mean_frame` with intervals; `psnr`, of the mean error, in dB; `explained`, the share of the
        baseline's error that reconstructions do not make.
    """
    decoder = decoder_of(vision, episodes[0].mean)
    if isinstance(decoder, str):
        return {"skipped": decoder}
    average = frames(_mean_frame(episodes))
    errors, guesses = [], []
    for episode in episodes:
        real = frames(episode.file.read().obs)
        errors.append(float(pixel_error(decoder, episode.mean, real).double().mean()))
        guesses.append(float((average - real).square().mean((1, 2, 3)).double().mean()))
    mse, constant = estimate_mean(np.array(errors), seed), estimate_mean(np.array(guesses), seed)
    return {
        "mse": asdict(mse),
        "mse_mean_frame": asdict(constant),
        "psnr": -10 * math.log10(max(mse.value, 1e-12)),
        "explained": 1 - mse.value / constant.value if constant.value > 0 else None,
    }


def _mean_frame(episodes: Sequence[HeldOut]) -> np.ndarray:
    """Return the mean of all frames, uint8 (1 H W C)."""
    sums = [(obs.sum(axis=0, dtype=np.float64), len(obs)) for obs in (item.file.read().obs for item in episodes)]
    mean = np.sum([total for total, _ in sums], axis=0) / sum(count for _, count in sums)
    frame: np.ndarray = mean[None].round().astype(np.uint8)
    return frame


def pixel_error(decoder: Decodes, z: Float[Tensor, "B Z"], real: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
    """Return the mean squared error over the pixels of each decoded latent."""
    errors = [
        (decoder.decode(z[low : low + PIXEL_BATCH]) - real[low : low + PIXEL_BATCH].to(z.device))
        .square()
        .mean((1, 2, 3))
        for low in range(0, len(z), PIXEL_BATCH)
    ]
    return torch.cat(errors)
