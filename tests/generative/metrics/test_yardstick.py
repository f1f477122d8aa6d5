"""The yardstick itself: real images that are spoiled in a known way lie outside the interval of real data.

Each has its verdict, and held-out images as they are lie inside and have none. A model is worth judging only by figures
that pass this.
"""

import functools

import numpy as np
import pytest
import torch
from torch.nn import functional

from generative.core.run_folder import Choice
from generative.data import DATA
from generative.diagnosis import Evidence, diagnose
from generative.features.extractors import pixels
from generative.metrics.answers import shares
from generative.metrics.measure import measure, measure_answers, measure_memorisation, real_draws, sets_of
from generative.metrics.neighbours import copies
from scripts.generative.data_sets import load
from scripts.generative.judges import as_extractor, judge_of, unseen

OPTIONS = {"faces": {"size": 32, "count": 4000}, "digits": {"size": 32}}
SIZE = {"faces": 240, "digits": 170}
PAINTED = {"faces": (slice(20, 27), slice(10, 22)), "digits": (slice(10, 22), slice(10, 22))}
"""Rows and columns that are painted over: the mouth, the middle of a stroke."""
SOFT = {"faces": 3, "digits": 7}
"""Pixels that are averaged; the digits were enlarged from 8 x 8 and have little to lose."""
FIGURES = ("FD", "precision", "density", "coverage")
EXPECTED = {
    "held out": ((), ()),
    "blurred": (("FD", "coverage"), ("blur",)),
    "painted over": (("FD", "answers"), ("wrong shares",)),
    "speckled": (("FD", "density"), ("noise",)),
    "copied": (("memorisation",), ("memorisation",)),
    "one class dropped": (("answers",), ("wrong shares",)),
    "recoloured": (("FD", "precision"), ("colour shift",)),
}
"""What is done to held-out images, which figures it takes out of the interval, and which verdicts it has."""
small = pixels(8)


@functools.cache
def seen(name):
    """Return real images, several draws of others, held-out ones, their classes, the judge, all training images."""
    choice = Choice(name, vars(DATA.find(name)(**OPTIONS[name])))
    data = load(choice)
    judge, held, size = judge_of(choice, data), data.held_out(), SIZE[name]
    everything = data.tensor("image", np.arange(len(data)))
    pool = everything[torch.from_numpy(unseen(choice, data))]
    real, draws = real_draws(len(pool), size, 0)
    fresh, classes = (held.tensor(field, np.arange(len(held))) for field in ("image", "label"))
    return pool[real], [pool[each] for each in draws], fresh, classes, judge, as_extractor(choice, judge), everything


def spoiled(name, how):
    *_, fresh, classes, _, _, everything = seen(name)
    size, generator = SIZE[name], torch.Generator().manual_seed(1)
    images = fresh[:size].clone()
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
        return everything[torch.randperm(len(everything), generator=generator)[:size]]
    if how == "one class dropped":
        left = fresh[classes != 1]
        return torch.cat([left, left])[:size]
    if how == "recoloured":
        return (images + torch.tensor([0.08, 0.0, -0.08])[-images.shape[1] :, None, None]).clamp(0, 1)
    return images


@functools.cache
def judged(name, how):
    """Return figures and verdicts of a set of spoiled images, as those of a model's samples."""
    real, draws, fresh, _, judge, see, everything = seen(name)
    images = spoiled(name, how)
    sets = sets_of(see, real, draws, images, {})
    said = [shares(judge.judge.says(each)) for each in (real, images, *draws)]
    train, held, made = (small(each) for each in (everything, fresh, images))
    figures = [measure(each, sets) for each in FIGURES]
    figures.append(measure_answers(said[0], said[2:], said[1], {}, see, len(images)))
    figures.append(measure_memorisation(train, held, made, small))
    evidence = Evidence(
        train=sets.real, held_out=sets.draws[0], samples=sets.samples, real_images=real, made_images=images,
        real_answers=said[0], made_answers=said[1], judged=len(images),
        copies=(float(copies(train, made).double().mean()), float(copies(train, held).double().mean())),
    )  # fmt: skip
    return {each.name.split("[")[0]: each for each in figures}, {each.problem for each in diagnose(evidence)}


@pytest.mark.parametrize("how", EXPECTED)
@pytest.mark.parametrize("name", OPTIONS)
def test_spoiled_images_lie_outside_of_real_data_and_have_their_verdict(name, how):
    figures, verdicts = judged(name, how)
    outside, expected = EXPECTED[how]
    if how == "held out":
        assert {each.standing for each in figures.values()} == {"as real"} and verdicts == set()
    for each in outside:
        assert figures[each].standing == "worse", figures[each]
    assert set(expected) <= verdicts


@pytest.mark.parametrize("name", OPTIONS)
def test_a_judge_answers_rightly_of_images_that_it_did_not_learn_from(name):
    _, _, fresh, classes, judge, _, _ = seen(name)
    assert (judge.sees("classes", fresh) == classes).double().mean() > 0.95
