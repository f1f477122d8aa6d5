"""`generative attribute`: an attribute vector, what it is worth, what it moves by accident, and what a judge says.

The judge of the data knows nothing of the model (see `judges`). It looks at all held-out images without the attribute,
decoded as they are and with the vector added: whether the attribute comes, what else changes, and whether the pictures
still lie where real ones do.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from generative import require
from generative.core.facts import Facts
from generative.core.files import write_json
from generative.data import Data
from generative.features.extractors import Extractor
from generative.features.judging import KeptJudge
from generative.features.questions import CLASSES
from generative.latent import Attribute, Judgement, added, learn_attribute
from generative.latent import judge as count_flips
from generative.latent.interpolation import decoder, encode_means
from generative.metrics.images.neighbours import precision
from generative.report.images import column, write_png
from generative.runs.run_folder import TrainingRun
from scripts.generative.figures.known import look_up, middles
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import places, require_images, take
from scripts.generative.runs.judges import as_extractor, judge_of
from scripts.generative.runs.pictures import tiled

MOST_REAL = 1000
"""Images of each set whose realism is measured."""


@dataclass(frozen=True)
class AttributeOptions:
    """Which attribute, how much of it, and who judges."""

    attribute: str = ""
    """Name of a yes-or-no attribute of the data, or of a true factor, which is then halved at its median; the first
    that the data have by default."""
    strength: float = 3.0
    """How often the vector is added where the judge looks; 1 leads from the mean without to the mean with it."""
    balance: tuple[str, ...] = ()
    """Attributes or factors that the vector should leave alone: only images that agree in them are compared."""
    keep: tuple[str, ...] = ()
    """What the judge watches besides: attributes, factors, `classes`; glasses and classes where the data have them."""
    images: int = 10_000
    """Images that the vector is made from, and as many at most that it is measured on."""
    rows: int = 6
    """Images in the picture."""
    no_judge: bool = False
    """Ask no judge, which is trained first where the data have none yet."""
    device: str = "cpu"
    """Where the judge is trained."""

    def __post_init__(self) -> None:
        for name, least in (("images", 20), ("rows", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: give {least} or more")


def main(run: TrainingRun, options: AttributeOptions) -> Sequence[str]:
    """Write `attribute/NAME.json` and `.png` and return the figures in words.

    Raises:
        ComponentError: the model cannot encode or decode.
        ValueError: the data do not know the attribute.
    """
    seen = learn(run, options)
    name = seen.attribute.name
    facts: Facts = {**dataclasses.asdict(seen.attribute), "images": options.images}
    facts["balance"] = list(options.balance)
    lines = _in_words(seen.attribute)
    if not options.no_judge:
        choice = run.config.data
        judge = judge_of(choice, seen.data, options.device)
        asked = watched(seen.data, name, options.keep)
        before, after = changed(seen, options.strength)
        judgement = judged(before, after, judge, asked)
        realism = real_shares(seen, as_extractor(choice, judge), before, after)
        right = {each: judge.right[each] for each in asked}
        facts |= {"strength": options.strength, "judgement": dataclasses.asdict(judgement), "judge_right": right}
        facts["realism"] = realism
        lines += _verdict(name, judgement, options, right, realism)
    folder = run.path / "attribute"
    write_json(folder / f"{name}.json", facts)
    write_png(folder / f"{name}.png", picture(seen, options))
    return [*lines, f"picture: {folder / f'{name}.png'}"]


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
    name = options.attribute or known.names[0]
    attribute = learn_attribute(name, codes, known.table, held_codes, held_known.table, known.names, options.balance)
    without = torch.from_numpy(held_known.target(name) == 0)
    return Seen(module, data, attribute, held_items.values[without], held_codes[without])


def watched(data: Data, name: str, keep: Sequence[str]) -> list[str]:
    """Return what the judge looks at: the attribute first, then what should stay."""
    default = [each for each in ("glasses",) if each in data.names("attributes")]
    default += [CLASSES] if len(data.names("label")) > 1 else []
    return list(dict.fromkeys([name, *(keep or default)]))


@torch.no_grad()
def changed(seen: Seen, strength: float) -> tuple[Tensor, Tensor]:
    """Return all held-out images without the attribute as the model draws them, and with the vector added."""
    decode = decoder(seen.module, ())
    parts = [added(decode, part, seen.attribute.step, [0.0, strength]) for part in seen.codes.split(256)]
    before, after = torch.cat(parts).clamp(0, 1).unbind(1)
    return before, after


def judged(before: Tensor, after: Tensor, judge: KeptJudge, asked: Sequence[str]) -> Judgement:
    """Return what the judge says of pictures before and after; the first that it is asked is the attribute."""
    target, *others = ((name, partial(judge.sees, name)) for name in asked)
    return count_flips(before, after, target[1], dict(others))


def real_shares(seen: Seen, see: Extractor, before: Tensor, after: Tensor) -> dict[str, float]:
    """Return which share of pictures lies where real images do: of other real ones, and before and after the change."""
    count = min(MOST_REAL, len(before), len(seen.images), len(seen.data))
    where = places(seen.data, count)
    real = see(seen.data.tensor(seen.data.main, where))
    sets = {"real": seen.images, "before": before, "after": after}
    return {name: precision(real, see(images[places_of(len(images), len(where))])) for name, images in sets.items()}


def places_of(length: int, count: int) -> Tensor:
    """Return positions at even distances."""
    return torch.arange(count) * length // count


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


def _verdict(
    name: str,
    judgement: Judgement,
    options: AttributeOptions,
    right: Mapping[str, float],
    realism: Mapping[str, float],
) -> list[str]:
    sure = ", ".join(f"{each} {share:.1%}" for each, share in right.items())
    kept = "".join(f"; {each} stays for {share:.1%}" for each, share in judgement.kept.items())
    return [
        f"judge (right on held-out images as they are: {sure})",
        f"added {options.strength:g} times to all {judgement.images} held-out images without: "
        f"{judgement.flipped:.1%} get {name}{kept}; {judgement.had:.1%} had it once the model had drawn them",
        f"look real: {realism['after']:.1%} afterwards, {realism['before']:.1%} before, of real images "
        f"{realism['real']:.1%}",
    ]
