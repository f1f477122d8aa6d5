"""What a trained model shows of the known failures: its history, its samples, its codes and its images."""

import dataclasses
from typing import Any, cast

import torch
from torch import Tensor, nn

from generative import offers
from generative.capabilities import draw
from generative.core.facts import Facts
from generative.data import Data, one_hot
from generative.diagnosis import Evidence, Failure, diagnose
from generative.latent.interpolation import encode_means
from generative.metrics.images.fidelity import squared_error
from generative.metrics.images.neighbours import copies
from generative.runs.run_folder import TrainingRun
from scripts.generative.figures.looks import Looks, shares_by
from scripts.generative.figures.music import copies_of
from scripts.generative.runs.items import take


@torch.no_grad()
def verdicts(
    run: TrainingRun, module: nn.Module, data: Data, samples: int, seed: int, looks: Looks | None
) -> list[Failure]:
    """Return the failures that a run's history and a model's samples, codes and images show.

    Args:
        run: whose history it is.
        module: the trained model.
        data: what it was trained on.
        samples: items of each set, where `looks` does not say so.
        seed: of the samples, likewise.
        looks: what there is to see of a model of images; None of others.
    """
    history = [{name: float(value) for name, value in row.items()} for row in run.history()]
    curve = next((name for name in ("held_out_loss", "loss") if history and name in history[-1]), "loss")
    dials = frozenset(each.name for each in dataclasses.fields(cast(Any, module).config))
    evidence: Facts = {"history": history, "curve": curve, "dials": dials}
    evidence |= _of_images(looks) if looks is not None else _of_others(module, data, samples, seed)
    return diagnose(Evidence(**evidence))


def _of_images(looks: Looks) -> Facts:
    module: Any = looks.module
    found: Facts = {}
    if offers(module, "encode"):
        found["means"] = encode_means(module, looks.held.values, looks.held.condition)
    shown = looks.made if looks.made is not None else looks.back
    if looks.made is not None:
        see = looks.thumbnail
        copied = copies(looks.thumbnails, torch.cat([see(looks.made), see(looks.held.values)])).double()
        found |= {
            "train": looks.sets.real,
            "held_out": looks.sets.draws[0],
            "samples": looks.sets.samples,
            "copies": (float(copied[: looks.count].mean()), float(copied[looks.count :].mean())),
        }
    if shown is not None:
        real = looks.real if looks.made is not None else looks.held.values
        found |= {"real_images": real, "made_images": shown}
        if looks.judge is not None:
            found |= {
                "real_answers": shares_by(looks, real),
                "made_answers": shares_by(looks, shown),
                "judged": min(len(real), len(shown)),
            }
    if looks.back is not None:
        parts = next(iter(looks.copied_for_nothing.values()))
        found["error"] = squared_error(looks.held.values, looks.back)
        found["components_error"] = squared_error(looks.held.values, parts)
    if offers(module, "codes"):
        codes: Tensor = module.codes(looks.held.values)
        codebook = module.code_spec.codes
        if codes.numel() >= 5 * codebook:
            found |= {"codes": codes, "codebook": codebook}
    return found


def _of_others(module: nn.Module, data: Data, samples: int, seed: int) -> Facts:
    if data.item.kind == "roll":
        return copies_of(module, data, samples, seed)
    if not offers(module, "sample") or data.item.kind not in ("point", "row"):
        return {}
    train, held = (take(module, part, samples).values for part in (data, data.held_out()))
    sets = {"train": train, "held_out": held, "samples": draw(module, len(held), torch.Generator().manual_seed(seed))}
    if data.item.kind == "row":
        return {name: one_hot(rows, data.item.sizes).double() for name, rows in sets.items()}
    return {name: points.double() for name, points in sets.items()}
