"""Stage 2: train vision on the frames, check that it sees, and say how well.

A vision with weights is trained by gradients; one with numbers that come from looking at frames once (principal
components, the spread of latents) is then estimated; one that cannot decode is judged by its features alone.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from envs import CAR_RACING
from generative import Estimates, FitConfig, fit, offers, resolve_device, save_component, to_float, to_uint8
from generative.core.facts import Facts
from generative.report.images import as_rgb, write_png
from generative.training.checkpoint import last_step
from generative.training.held_out import held_out_loss
from worldmodels.agent.build import env_shape, new_vision
from worldmodels.agent.trained import start_from
from worldmodels.errors import RunError
from worldmodels.files import append_line, read_lines, write_json
from worldmodels.rollouts.dataset import FrameBatches, episode_files, frames_over, sample_frames, split
from worldmodels.run.folder import ROWS, Progress, Run
from worldmodels.vision.config import VisionConfig
from worldmodels.vision.contract import DecodingVision, VisionModule

ATTEMPTS = 3
"""Trainings before a run gives up when the posterior collapses; each new one has a third of the learning rate."""
HELD_OUT_FRAMES = 512
SHOWN = 12
"""Held-out frames in the picture of reconstructions."""
CAR_ROWS, CAR_COLUMNS = (0.75, 0.97), (0.40, 0.60)
"""Where the car is drawn, as shares of the cropped frame's height and width."""
WITH_CAR = (*CAR_RACING, "WorldModels/Toy-v0")
"""Environments that draw it there."""


def train_vision(run: Run) -> Iterator[Progress]:
    """Train the run's vision and yield the progress in optimiser steps.

    Raises:
        RunError: if the vision failed its diagnosis in every attempt, such as by a collapsed posterior.
        ComponentError: if the vision's latent is none for a controller.
    """
    config = run.config.vision
    folder = run.folder("train-vision")
    steps = config.fit.steps
    if run.done("train-vision"):
        shutil.rmtree(run.folder("train-vision") / "checkpoints", ignore_errors=True)  # of a kill at the very end
        yield Progress("train-vision", steps, steps, "steps")
        return
    run.require("collect")
    with run.working("train-vision", torch.get_num_threads()):
        training, held_out = split(episode_files(run.folder("collect")))
        test = sample_frames(held_out, HELD_OUT_FRAMES, run.config.seed)
        base_line = mean_frame(sample_frames(training, HELD_OUT_FRAMES, run.config.seed))
        failed = read_lines(folder / "attempts.jsonl")
        while True:
            attempt = len(failed)
            module = new_vision(run.config, env_shape(run.config.env), run.config.seed + 1000 * attempt)
            if attempt == ATTEMPTS:
                raise _given_up(config, failed, _trains(module))
            latent = module.latent_spec.size  # refused here, before training, where no controller could take it
            if config.start and not attempt:
                start_from(module, "train-vision", config.start)
            device = resolve_device(run.config.device)
            batches = FrameBatches(training, config.batch, config.buffer, run.config.seed, device)
            if _trains(module):
                fitted = replace(config.fit, learning_rate=config.fit.learning_rate / 3**attempt)
                yield from _fit(run, module, batches, fitted, test)
            if isinstance(module, Estimates):
                _estimate(run, module, batches)
            if not _trains(module):
                yield from _as_it_is(run, module, batches, test)
            module.cpu().eval()
            facts = {"attempts": attempt + 1, **examine(module, test, base_line, run.config.env.id in WITH_CAR)}
            if facts["verdict"] == "healthy":
                break
            append_line(folder / "attempts.jsonl", facts)
            failed.append(facts)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        precision = config.fit.resolved(resolve_device(run.config.device)).precision
        how = {
            "seed": run.config.seed,
            "steps": steps,
            "latent": latent,
            "episodes": len(training),
            "precision": precision,
        }
        save_component(module, folder, {**facts, **how})
        if offers(module, "decode"):
            assert isinstance(module, DecodingVision)
            write_png(folder / "reconstructions.png", comparison(module, frames_over(held_out, SHOWN)))
        write_json(folder / "verdict.json", facts)
        run.finish("train-vision", facts)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _fit(run: Run, module: VisionModule, batches: FrameBatches, config: FitConfig, test: Tensor) -> Iterator[Progress]:
    """Train by gradients, and measure the held-out loss beside every logged step."""
    checkpoints = run.folder("train-vision") / "checkpoints"
    test = test.to(batches.device)
    yield Progress("train-vision", last_step(checkpoints), config.steps, "steps")
    for metrics in fit(
        module,
        batches,
        config,
        seed=run.config.seed,
        device=run.config.device,
        checkpoint=checkpoints,
        log_every=config.log_every(ROWS),
        prepare=to_float,
    ):
        step = int(metrics.pop("step"))
        metrics["held_out_loss"] = loss_of_frames(module, test)
        run.log("train-vision", step, metrics)
        yield Progress("train-vision", step, config.steps, "steps", metrics)


def _trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _estimate(run: Run, module: VisionModule, batches: FrameBatches) -> None:
    """Set what comes from looking at frames once."""
    assert isinstance(module, Estimates)
    module.to(batches.device).eval()
    module.estimate(_frames(batches), torch.Generator(batches.device).manual_seed(run.config.seed))


def _as_it_is(run: Run, module: VisionModule, batches: FrameBatches, test: Tensor) -> Iterator[Progress]:
    """Log the losses of a vision that is not trained."""
    module.to(batches.device).eval()
    steps = run.config.vision.fit.steps
    loss, _ = module.loss(next(_frames(batches)), torch.Generator(batches.device).manual_seed(0))
    metrics = {"loss": float(loss), "held_out_loss": loss_of_frames(module, test)}
    run.log("train-vision", steps, metrics)
    yield Progress("train-vision", steps, steps, "steps", metrics)


def _frames(batches: FrameBatches) -> Iterator[Tensor]:
    return (to_float(frames.to(batches.device)) for frames in batches(0))


def _device(module: nn.Module) -> torch.device:
    return next(iter(module.state_dict().values()), torch.empty(0)).device


def _given_up(config: VisionConfig, failed: list[Facts], trains: bool) -> RunError:
    slower = f"with `--vision.fit.learning-rate {config.fit.learning_rate / 3 ** len(failed):.1e}`, " if trains else ""
    return RunError(
        f"vision failed {len(failed)} times: {failed[-1]['reason']}. Later stages would learn nothing from it. Start a "
        f"new run {slower}with more `--collect.episodes`"
    )


def loss_of_frames(module: VisionModule, frames: Tensor) -> float:
    """Return the loss on held-out frames, uint8 (B H W C), with the same noise every time."""
    device = _device(module)
    found = held_out_loss(module, to_float(frames.to(device)), torch.Generator(device).manual_seed(0))
    assert found is not None
    return float(found[0])


def mean_frame(frames: Tensor) -> Tensor:
    """Return the mean of frames, float (C H W): the guess of one who sees nothing."""
    return to_float(frames).mean(0)


@torch.inference_mode()
def examine(module: VisionModule, frames: Tensor, guess: Tensor, car: bool = True) -> Facts:
    """Return squared error per image on the whole frame, and around the `car`, the mean frame's, and the verdict.

    A vision that cannot decode has no errors, only a verdict.
    """
    obs = to_float(frames)
    facts = dict(module.diagnose(obs, guess))
    if not (car and offers(module, "decode")):
        return facts
    assert isinstance(module, DecodingVision)
    seen = module.decode(module.encode(obs)[0])
    crop = (..., _rows(obs.shape[2], CAR_ROWS), _rows(obs.shape[3], CAR_COLUMNS))
    facts["car_error"] = float(((seen - obs)[crop] ** 2).sum((1, 2, 3)).mean())
    facts["car_baseline_error"] = float(((guess - obs)[crop] ** 2).sum((1, 2, 3)).mean())
    return facts


def _rows(size: int, share: tuple[float, float]) -> slice:
    return slice(int(size * share[0]), int(np.ceil(size * share[1])))


@torch.inference_mode()
def comparison(module: DecodingVision, frames: Tensor, scale: int = 2) -> np.ndarray:
    """Return frames, uint8 (B H W C), above their reconstructions as one picture, uint8 (H W 3)."""
    seen = to_uint8(module.decode(module.encode(to_float(frames))[0])).numpy()
    rows = [np.concatenate(list(images), axis=1) for images in (frames.numpy(), seen)]
    return as_rgb(np.concatenate(rows, axis=0).repeat(scale, 0).repeat(scale, 1))
