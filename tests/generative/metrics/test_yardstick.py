"""The yardstick itself: real images that are spoiled in a known way lie outside the interval of real data.

Each has its verdict, and held-out images as they are lie inside and have none. A model is worth judging only by figures
that pass this.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from generative.data import DATA
from generative.diagnosis import Evidence, diagnose
from generative.features.extractors import Extractor, pixels
from generative.features.judging import KeptJudge
from generative.metrics.measure import (
    Sets,
    measure,
    measure_answers,
    measure_kept,
    measure_memorisation,
    real_draws,
    sets_of,
)
from generative.metrics.sequences.answers import shares
from generative.runs.run_folder import Choice
from scripts.generative.data.data_sets import load
from scripts.generative.runs.judges import as_extractor, judge_of, unseen

OPTIONS = {"faces": {"size": 32, "count": 2000}, "digits": {"size": 32}}
EACH = [pytest.param("faces", marks=pytest.mark.slow), "digits"]
"""Faces take seconds to draw."""
SIZE = {"faces": 200, "digits": 170}
PAINTED = {"faces": (slice(20, 27), slice(10, 22)), "digits": (slice(10, 22), slice(10, 22))}
"""Rows and columns that are painted over: the mouth, the middle of a stroke."""
SOFT = {"faces": 3, "digits": 7}
"""Pixels that are averaged; the digits were enlarged from 8 x 8 and have little to lose."""
FIGURES = ("FD", "precision", "density", "coverage")
EXPECTED = {
    "held out": ((), ()),
    "blurred": (("FD", "coverage"), ("blur",)),
    "painted over": (("FD", "answers"), ("wrong shares",)),
    "speckled": (("FD", "coverage"), ("noise",)),
    "copied": (("memorisation",), ("memorisation",)),
    "class dropped": (("answers",), ("wrong shares",)),
    "recoloured": (("FD", "precision"), ("colour shift",)),
}
"""What is done to held-out images, which figures it takes out of the interval, and which verdicts it has."""


@dataclass(frozen=True)
class Scene:
    """Held-out images to be spoiled, and what they are judged by."""

    fresh: torch.Tensor
    classes: torch.Tensor
    everything: torch.Tensor
    """All training images."""
    real: torch.Tensor
    sets: Sets
    said: list
    """What the judge answers of real images, and of other draws of them."""
    judge: KeptJudge
    see: Extractor


@functools.cache
def scene(name):
    choice = Choice(name, vars(DATA.find(name)(**OPTIONS[name])))
    data = load(choice)
    judge, held = judge_of(choice, data), data.held_out()
    see, everything = as_extractor(choice, judge), data.tensor("image", np.arange(len(data)))
    pool = everything[torch.from_numpy(unseen(choice, data))]
    where, draws = real_draws(len(pool), SIZE[name], 0)
    real, draws = pool[where], [pool[each] for each in draws]
    said = [shares(judge.judge.says(each)) for each in (real, *draws)]
    fresh, classes = (held.tensor(field, np.arange(len(held))) for field in ("image", "label"))
    return Scene(fresh, classes, everything, real, sets_of(see, real, draws, draws[0], {}), said, judge, see)


def spoiled(name, how):
    seen, size, generator = scene(name), SIZE[name], torch.Generator().manual_seed(1)
    images = seen.fresh[:size].clone()
    if how == "blurred":
        side = SOFT[name]
        return functional.avg_pool2d(images, side, 1, side // 2, count_include_pad=False)
    if how == "painted over":
        rows, columns = PAINTED[name]
        images[:, :, rows, columns] = images[:, :, rows.start - 1, columns.start - 1, None, None]
    if how == "speckled":
        where = torch.rand(size, 1, 32, 32, generator=generator) < 0.04
        return torch.where(where, torch.rand(images.shape, generator=generator), images)
    if how == "copied":
        return seen.everything[torch.randperm(len(seen.everything), generator=generator)[:size]]
    if how == "class dropped":
        left = seen.fresh[seen.classes != seen.said[0]["classes"].argmax()]  # the commonest
        return torch.cat([left, left])[:size]
    if how == "recoloured":
        return (images + torch.tensor([0.08, 0.0, -0.08])[-images.shape[1] :, None, None]).clamp(0, 1)
    return images


@functools.cache
def judged(name, how):
    """Return figures and verdicts of a set of spoiled images, as those of a model's samples."""
    seen, images = scene(name), spoiled(name, how)
    sets, said = replace(seen.sets, samples=seen.see(images)), shares(seen.judge.judge.says(images))
    figures = [measure(each, sets) for each in FIGURES]
    figures.append(measure_answers(seen.said[0], seen.said[1:], said, {}, seen.see, len(images)))
    small = pixels(8)
    copied = measure_memorisation(small(seen.everything), small(seen.fresh), small(images), small)
    evidence = Evidence(
        train=sets.real, held_out=sets.draws[0], samples=sets.samples, real_images=seen.real, made_images=images,
        real_answers=seen.said[0], made_answers=said, judged=len(images), copies=(copied.value, copied.reference),
    )  # fmt: skip
    figures = {each.name.split("[")[0]: each for each in (*figures, copied)}
    return figures, {each.problem for each in diagnose(evidence)}


@pytest.mark.parametrize("how", EXPECTED)
@pytest.mark.parametrize("name", EACH)
def test_spoiled_images_lie_outside_of_real_data_and_have_their_verdict(name, how):
    figures, verdicts = judged(name, how)
    outside, expected = EXPECTED[how]
    if how == "held out":
        assert {each.standing for each in figures.values()} == {"as real"} and verdicts == set()
    for each in outside:
        assert figures[each].standing == "worse", figures[each]
    assert set(expected) <= verdicts


@pytest.mark.parametrize("name", EACH)
def test_a_judge_answers_rightly_of_images_that_it_did_not_learn_from(name):
    seen = scene(name)
    assert (seen.judge.sees("classes", seen.fresh) == seen.classes).double().mean() > 0.95


@pytest.mark.slow
def test_reconstructions_keep_attributes_unless_they_are_soft_or_their_mouth_is_gone():
    seen = scene("faces")
    names = load(Choice("faces", OPTIONS["faces"])).names("attributes")
    ways = {how: spoiled("faces", how) for how in ("held out", "blurred", "painted over")}
    said = {how: {name: seen.judge.sees(name, images) for name in names} for how, images in ways.items()}
    kept = {}
    for how, answers in said.items():
        found = measure_kept("attributes-kept", said["held out"], answers, {"blurred": said["blurred"]}, seen.see)
        kept[how] = {each.name.removesuffix("[judge-faces]"): each for each in found}
    assert all(each.value == 1 for each in kept["held out"].values()) and kept["held out"]["attributes-kept"].beats
    assert kept["blurred"]["attributes-kept"].value < 0.9 and not kept["blurred"]["attributes-kept"].beats
    smile = kept["painted over"]["attributes-kept smiling"]
    assert smile.value < 0.75 and 0.5 <= smile.baselines["commonest answer"] < 0.65
    assert kept["painted over"]["attributes-kept bald"].value > 0.9
