"""`generative attribute`: an attribute vector, what it is worth, what it moves by accident, and what judges say.

The judges are classifiers that know nothing of the model (see `judges`); they look at held-out images without the
attribute, decoded as they are and with the vector added.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from generative import require
from generative.core.facts import Facts
from generative.core.files import write_json
from generative.core.run_folder import TrainingRun
from generative.data import Data
from generative.latent import Attribute, Judgement, added, judge, learn_attribute
from generative.latent.interpolation import encode_means
from generative.report.images import column, write_png
from scripts.generative.assembly import open_run
from scripts.generative.items import decoder, places, require_images, take
from scripts.generative.judges import CLASSES, Judge, look_up, middles, train_judge
from scripts.generative.pictures import tiled


@dataclass(frozen=True)
class AttributeOptions:
    """Which attribute, how much of it, and who judges."""

    attribute: str = "smiling"
    """Name of a yes-or-no attribute of the data, or of a true factor, which is then halved at its median."""
    strength: float = 3.0
    """How often the vector is added where judges look; 1 goes from the mean without to the mean with the attribute."""
    balance: tuple[str, ...] = ()
    """Attributes or factors that the vector should leave alone: only images that agree in them are compared."""
    keep: tuple[str, ...] = ()
    """What the judges watch besides: attributes, factors or `classes`; glasses and classes where the data have them."""
    images: int = 10_000
    """Images that the vector is made from, and as many at most that it is measured on."""
    judge_steps: int = 600
    """Training steps of each judge, some hundreds for its batch norm to settle; 0 leaves the judges out."""
    rows: int = 6
    """Images in the picture."""
    device: str = "cpu"
    """Where the judges are trained."""

    def __post_init__(self) -> None:
        for name, least in (("images", 20), ("judge_steps", 0), ("rows", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")


def main(run: TrainingRun, options: AttributeOptions) -> Sequence[str]:
    """Write `attribute/NAME.json` and `.png` and return the figures in words.

    Raises:
        ComponentError: the model cannot encode or decode.
        ValueError: the data do not know the attribute.
    """
    seen = learn(run, options)
    facts: Facts = {**dataclasses.asdict(seen.attribute), "images": options.images}
    facts["balance"] = list(options.balance)
    lines = _in_words(seen.attribute)
    if options.judge_steps:
        names = watched(seen.data, options)
        judges = {name: train_judge(run, seen.data, name, options.judge_steps, options.device) for name in names}
        judgement = judged(seen, options, judges)
        right = {name: each.right for name, each in judges.items()}
        facts |= {"strength": options.strength, "judgement": dataclasses.asdict(judgement), "judges_right": right}
        lines += _verdict(judgement, options, right)
    folder = run.path / "attribute"
    write_json(folder / f"{options.attribute}.json", facts)
    write_png(folder / f"{options.attribute}.png", picture(seen, options))
    return [*lines, f"picture: {folder / f'{options.attribute}.png'}"]


@dataclass(frozen=True)
class Seen:
    """A model, the attribute that it learned, and held-out images that do not have it."""

    module: nn.Module
    data: Data
    attribute: Attribute
    images: Tensor
    """As they are (N C H W)."""
    codes: Tensor
    """Their mean codes (N Z)."""


@torch.no_grad()
def learn(run: TrainingRun, options: AttributeOptions) -> Seen:
    """Return the attribute's vector, made from training images and measured on held-out ones."""
    module, data = open_run(run)
    for capability in ("encode", "decode"):
        require(module, capability)
    data = require_images(data, "attribute")
    held = data.held_out()
    halved_at = middles(data)
    known, held_known = (look_up(part, places(part, options.images), halved_at) for part in (data, held))
    items, held_items = (take(module, part, options.images) for part in (data, held))
    codes, held_codes = (encode_means(module, each.values, each.condition) for each in (items, held_items))
    attribute = learn_attribute(
        options.attribute, codes, known.table, held_codes, held_known.table, known.names, options.balance
    )
    without = torch.from_numpy(held_known.target(options.attribute) == 0)
    return Seen(module, data, attribute, held_items.values[without], held_codes[without])


def watched(data: Data, options: AttributeOptions) -> list[str]:
    """Return what judges look at: the attribute first, then what should stay."""
    default = [each for each in ("glasses",) if each in data.names("attributes")]
    default += [CLASSES] if data.names("label") else []
    return list(dict.fromkeys([options.attribute, *(options.keep or default)]))


@torch.no_grad()
def judged(seen: Seen, options: AttributeOptions, judges: Mapping[str, Judge]) -> Judgement:
    """Return what the judges say of the held-out images without the attribute, decoded before and after."""
    step, decode = seen.attribute.step, decoder(seen.module, ())
    parts = [added(decode, part, step, [0.0, options.strength]) for part in seen.codes.split(256)]
    before, after = torch.cat(parts).clamp(0, 1).unbind(1)
    others = {name: each.see for name, each in judges.items() if name != options.attribute}
    return judge(before, after, judges[options.attribute].see, others)


@torch.no_grad()
def picture(seen: Seen, options: AttributeOptions) -> UInt8[np.ndarray, "H W 3"]:
    """Return held-out images without the attribute: the image itself, then the vector added more and more often."""
    strengths = [options.strength * share for share in (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5)]
    count = min(options.rows, len(seen.codes))
    chosen = torch.arange(count) * len(seen.codes) // count  # from all of them: neighbours may be of one episode
    codes, images = seen.codes[chosen], seen.images[chosen]
    made = added(decoder(seen.module, ()), codes, seen.attribute.step, strengths).clamp(0, 1)
    captions = ["image", *(f"{strength:+.2g}" for strength in strengths)]
    rows = torch.cat([images[:, None], made], 1)  # (R 1+S C H W)
    sheets = [tiled(row, len(captions), () if number else captions) for number, row in enumerate(rows)]
    return column(sheets, 2)


def _in_words(found: Attribute) -> list[str]:
    strongest = sorted(found.others.items(), key=lambda item: -abs(item[1]))
    others = ", ".join(f"{name} {effect:+.2f}" for name, effect in strongest)
    lines = [
        f"{found.name}: Cohen's d {found.effect:+.2f} along the vector on held-out images "
        f"(made from {found.with_it} with and {found.without_it} without)",
        f"moved along: {others or 'nothing else is known'}",
    ]
    if found.confounded:
        lines.append(
            f"confounded with {', '.join(found.confounded)}: the vector also says something about them; "
            "--balance NAME compares only images that agree in one"
        )
    return lines


def _verdict(judgement: Judgement, options: AttributeOptions, right: Mapping[str, float]) -> list[str]:
    sure = ", ".join(f"{name} {share:.1%}" for name, share in right.items())
    kept = "".join(f"; {name} stays for {share:.1%}" for name, share in judgement.kept.items())
    return [
        f"judges (right on held-out images as they are: {sure})",
        f"added {options.strength:g} times to {judgement.images} held-out images without: "
        f"{judgement.flipped:.1%} get {options.attribute}{kept}",
    ]
