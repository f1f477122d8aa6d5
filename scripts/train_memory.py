"""Stage 3: encode the rollouts with the finished vision, train memory on them, and compare it with simple guesses."""

import shutil
from collections.abc import Iterator

import numpy as np
import torch

from generative import fit, resolve_device, save_component
from generative.core.facts import Facts
from generative.training.batches import on_device
from generative.training.checkpoint import last_step
from generative.training.held_out import held_out_loss
from worldmodels.agent.build import env_shape, new_memory
from worldmodels.agent.trained import load_vision, start_from
from worldmodels.memories import Memory, MemoryModule, SequenceBatch
from worldmodels.memories.baselines import baselines, fit_persistence
from worldmodels.memories.fit import set_codes
from worldmodels.memories.sequences import SequenceBatches, held_out_batches, latent_targets
from worldmodels.memories.targets import event_scale, reward_scale
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.run.folder import ROWS, Progress, Run
from worldmodels.vision.encode import encode_rollouts, latent_file
from worldmodels.vision.latent_files import LatentFile

PERSISTENCE_BATCHES = 8


def train_memory(run: Run) -> Iterator[Progress]:
    """Train the run's memory and yield the progress: episodes encoded, then optimiser steps."""
    config = run.config.memory
    folder = run.folder("train-memory")
    steps = config.fit.steps
    if run.done("train-memory"):
        shutil.rmtree(run.folder("train-memory") / "checkpoints", ignore_errors=True)  # of a kill at the very end
        yield Progress("train-memory", steps, steps, "steps")
        return
    run.require("collect", "train-vision")
    with run.working("train-memory", torch.get_num_threads()):
        training, held_out = split(episode_files(run.folder("collect")))
        vision = load_vision(run)
        episodes = [*training, *held_out]
        for encoded in encode_rollouts(run, episodes, vision):
            yield Progress("train-memory", encoded, len(episodes), "episodes encoded")
        learn = [latent_file(run, file) for file in training]
        test = held_out_batches(
            [latent_file(run, file) for file in held_out],
            config.sequence,
            config.reward,
            config.termination,
            config.latent,
        )
        module = new_memory(run.config, vision.latent_spec.size, env_shape(run.config.env).spec, run.config.seed)
        if run.config.memory.start:
            start_from(module, "train-memory", run.config.memory.start)
        set_codes(vision, module)
        set_scales(module, learn, run)
        batches = SequenceBatches(
            learn,
            config.batch,
            config.sequence,
            run.config.seed,
            config.reward,
            config.termination,
            config.latent,
            resolve_device(run.config.device),
        )
        yield from _fit(run, module, batches, test)
        module.cpu().eval()
        facts = examine(module, batches, test)
        save_component(module, folder, {"seed": run.config.seed, "steps": steps, "episodes": len(training)})
        run.finish("train-memory", facts)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def set_scales(module: Memory, files: list[LatentFile], run: Run) -> None:
    """Tell the reward head the scale of what it will learn, from the training episodes."""
    config = run.config.memory
    if config.reward.type == "event-rate":
        module.set_event_scale(*event_scale([file.read("reward") for file in files]))
    else:
        targets = [latent_targets(file, config.reward, config.termination)["reward"] for file in files]
        module.set_reward_scale(*reward_scale(targets))


def _fit(run: Run, module: MemoryModule, batches: SequenceBatches, test: list[SequenceBatch]) -> Iterator[Progress]:
    """Train, and measure the held-out likelihood at every logged step."""
    config, device = run.config.memory.fit, run.config.device
    checkpoints = run.folder("train-memory") / "checkpoints"
    test = [on_device(batch, batches.device) for batch in test]
    yield Progress("train-memory", last_step(checkpoints), config.steps, "steps")
    log_every = config.log_every(ROWS)
    for metrics in fit(
        module, batches, config, seed=run.config.seed, device=device, checkpoint=checkpoints, log_every=log_every
    ):
        step = int(metrics.pop("step"))
        metrics["held_out_nll"] = held_out_nll(module, test)
        run.log("train-memory", step, metrics)
        yield Progress("train-memory", step, config.steps, "steps", metrics)


@torch.inference_mode()
def held_out_nll(module: MemoryModule, test: list[SequenceBatch]) -> float:
    """Return the negative log-likelihood per latent dimension on held-out episodes, with the same noise every time."""
    device = next(module.parameters()).device
    total, steps = 0.0, 0
    for batch in test:
        found = held_out_loss(module, on_device(batch, device), torch.Generator(device).manual_seed(0))
        assert found is not None
        count = int(batch.mask.sum())
        total, steps = total + float(found[1]["nll"]) * count, steps + count
    return total / steps


@torch.inference_mode()
def examine(module: Memory, batches: SequenceBatches, test: list[SequenceBatch]) -> Facts:
    """Return the memory's figures on held-out episodes, with those of persistence and of shuffled actions."""
    stream = batches(0)
    std = fit_persistence([next(stream) for _ in range(PERSISTENCE_BATCHES)]).cpu()
    rows = [baselines(module, batch, torch.Generator().manual_seed(0), std) for batch in test]
    weights = np.array([int(batch.mask.sum()) for batch in test], dtype=float)
    facts: Facts = {}
    for name in rows[0]:
        known = [(float(row[name]), weight) for row, weight in zip(rows, weights, strict=True) if row[name] != "n/a"]
        facts[name] = (
            float(np.average([value for value, _ in known], weights=[weight for _, weight in known]))
            if known
            else "n/a"
        )
    facts["held_out_episodes"] = sum(len(batch.mask) for batch in test)
    return facts
