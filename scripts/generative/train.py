"""`generative train`: data, model, loop, and on the way a grid of what the model makes."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn

from generative import ComponentError, Estimates, config_to_mapping, fit, offers, resolve_device, save_component
from generative.core.files import write_json
from generative.data import Data
from generative.data.identity import keep_data
from generative.latent.interpolation import encode_means
from generative.runs.run_folder import TrainingRun
from generative.runs.trackers import check_tracker
from generative.training.held_out import held_out_loss
from generative.training.parts import batches_per_step
from scripts.generative.data.data_sets import draw_ahead, load
from scripts.generative.runs.assembly import build, start
from scripts.generative.runs.items import Items, once, preparation, take, training_batches
from scripts.generative.runs.kept_codes import keep_starts
from scripts.generative.runs.pictures import shown, write_seen
from worldmodels.run.folder import Progress

HELD_OUT = 256
"""Held-out items whose loss goes into the curves."""
ROWS = 64
"""Rows of metrics at least; a diagnosis of oscillation needs so many."""
DENSITY_ITEMS = 4096
"""Items whose codes a density is fitted to."""


def train(run: TrainingRun, data: Data | None = None) -> Iterator[Progress]:
    """Train the model of a run, from where it stands, and yield the progress in optimiser steps.

    Args:
        run: an open run folder.
        data: those of its configuration, where they are loaded already.

    Raises:
        ComponentError: unknown names, a tracker that is not installed, or checkpoints that cannot be read.
        ValueError: the data do not fit the model, or the settings are not those of the checkpoints.
        TrainingDiverged: loss or gradient became infinite or NaN.
    """
    config = run.config
    data = load(config.data) if data is None else data
    keep_data(run, data)
    module = build(config, data)
    steps = config.fit.steps if any(each.requires_grad for each in module.parameters()) else 0
    done = run.facts()
    if done is not None and done["steps"] >= steps:
        yield Progress("train", done["steps"], done["steps"], "steps")
        return
    device = resolve_device(config.device)
    check_tracker(config.tracker)
    with run.working():
        if done is None:
            _start(run, module, data, steps)
        held = take(module, data.held_out(), HELD_OUT).to(device)
        if not list((run.path / "samples").glob(f"{0:08d}.*")):
            _show(run, module.to(device), data, 0)
        if steps:
            yield from _fit(run, module, data, held)
        _finish(module, data, config.batch, config.seed)
        save_component(module, run.model, {"preset": config.preset, "data": config.data.type, "steps": steps})
        _show(run, module, data, steps)
        keep_starts(run, module, data)
    facts = {"steps": steps, "seconds": round(run.seconds(), 3), "numbers": _numbers(module), "device": str(device)}
    write_json(run.path / "trained.json", facts)
    yield Progress("train", steps, steps, "steps")


def _start(run: TrainingRun, module: nn.Module, data: Data, steps: int) -> None:
    """Take over the weights that the training starts with, and note which in start.json."""
    found = start(run, module, data)
    if found is None:
        return
    if not steps:
        raise ComponentError(f"start={run.config.start}: {run.config.model.type} has nothing to train; leave it out")
    reference = config_to_mapping(run.config.start)
    write_json(run.path / "start.json", {**reference, **found._asdict(), "lines": found.lines()})


def _fit(run: TrainingRun, module: nn.Module, data: Data, held: Items) -> Iterator[Progress]:
    config = run.config
    yield from draw_ahead(config, data, config.fit.steps * config.batch * batches_per_step(module))
    shown_at = 0
    for row in fit(
        module,
        training_batches(module, data, config),
        config.fit,
        seed=config.seed,
        device=config.device,
        checkpoint=run.model / "checkpoints",
        log_every=config.fit.log_every(ROWS),
        prepare=preparation(module, data),
    ):
        step = int(row["step"])
        row = {**row, **_held_out_loss(module, held, config.seed)}
        run.log(row)
        if step - shown_at >= config.show_every and step < config.fit.steps:
            _show(run, module, data, step)
            shown_at = step
        yield Progress("train", step, config.fit.steps, "steps", row)


def _held_out_loss(module: nn.Module, held: Items, seed: int) -> dict[str, float]:
    """Return the loss of held-out items, always under the same noise; nothing of a model with several losses."""
    found = held_out_loss(module, held.batch, torch.Generator(held.values.device).manual_seed(seed))
    return {"held_out_loss": float(found[0])} if found is not None and torch.isfinite(found[0]) else {}


def _finish(module: nn.Module, data: Data, batch: int, seed: int) -> None:
    """Set what no gradient finds: spreads, components, and the density of codes that `sample` draws from."""
    module.eval()
    device = next((each.device for each in [*module.parameters(), *module.buffers()]), torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    module.cpu()
    if isinstance(module, Estimates):
        module.estimate(once(module, data, batch, seed), generator)
    if hasattr(module, "fit_density"):
        codes = encode_means(module, take(module, data, DENSITY_ITEMS).values)
        cast(Any, module).fit_density(codes, generator)
    module.to(device)


def _show(run: TrainingRun, module: nn.Module, data: Data, step: int) -> None:
    found = shown(module, data, run.config.shown, run.config.seed) if _can_show(module) else None
    (run.path / "samples").mkdir(exist_ok=True)
    if found is not None:
        write_seen(run.path / "samples" / f"{step:08d}", found)


def _can_show(module: nn.Module) -> bool:
    able = ("sample", "translate", "reconstruct", "restyle", "classify", "answer", "fill")
    return any(offers(module, each) for each in able)


def _numbers(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters() if each.requires_grad)
