from dataclasses import replace

import pytest
import torch

from generative import ComponentError
from scripts.generative.evaluate import EvaluateOptions, evaluate, figures
from scripts.generative.figures.looks import look
from scripts.generative.figures.translated import twins_known
from scripts.generative.runs.assembly import open_run
from tests.scripts.generative.small import finished


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("translated") / "run", "cycle-gan")


def seen(run, module, data, *metrics):
    looks = look(run.config.data, module, data, 100, 0, "random")
    return {each.name: each for each in figures(module, data, EvaluateOptions(100, metrics=metrics), looks)}


def test_a_translator_that_knows_the_answers_has_no_error_and_one_that_does_nothing_that_of_its_input(run):
    module, data = open_run(run)
    held, places = data.held_out(), torch.arange(20).numpy()
    first, second = (held.tensor(name, places) for name in ("image", "outline"))
    answers = {"forward": (first, second), "backward": (second, first)}

    def oracle(images, direction):
        source, target = answers[direction]
        return target[torch.cdist(images.flatten(1), source.flatten(1)).argmin(1)]

    module.translate = oracle
    found = seen(run, module, data, "translation-error", "cycle-error")
    assert set(found) == {f"{name}[{way}]" for name in ("translation-error", "cycle-error")
                          for way in ("forward", "backward")}  # fmt: skip
    assert all(each.value == 0 for each in found.values())
    error = found["translation-error[forward]"]
    assert error.beats and error.samples == 20
    assert error.baselines["untranslated"] == pytest.approx(float((first - second).abs().mean()))
    assert error.strongest == "table of colours, from pairs"
    module.translate = lambda images, direction: images
    found = seen(run, module, data, "translation-error", "cycle-error")
    assert found["translation-error[forward]"].value == pytest.approx(float((first - second).abs().mean()))
    assert not found["translation-error[backward]"].beats and found["cycle-error[forward]"].value == 0


def test_the_direction_with_the_least_gain_is_the_headline(run):
    module, data = open_run(run)
    held, places = data.held_out(), torch.arange(20).numpy()
    first, second = (held.tensor(name, places) for name in ("image", "outline"))
    for exact in ("forward", "backward"):
        module.translate = lambda images, direction, exact=exact: (
            {"forward": second, "backward": first}[direction] if direction == exact else images
        )
        facts = evaluate(run, module, data, EvaluateOptions(100, extractor="random"))
        other = {"forward": "backward", "backward": "forward"}[exact]
        assert facts["headline"]["name"] == f"translation-error[{other}]" and not facts["beats_baseline"]


def test_without_known_twins_it_is_compared_with_the_other_domain(run):
    module, data = open_run(run)
    data = replace(data, twins=())
    held, places = data.held_out(), torch.arange(20).numpy()
    first, second = (held.tensor(name, places) for name in ("image", "outline"))
    module.translate = lambda images, direction: {"forward": second, "backward": first}[direction].flip(0)
    found = seen(run, module, data)
    assert not any(name.startswith("translation-error") for name in found)
    for way in ("forward", "backward"):
        distance = found[f"FD[{way}, random-convolutions]"]
        assert distance.beats and set(distance.baselines) == {"untranslated", "colours matched without pairs"}
    with pytest.raises(ComponentError, match="translation-error: needs twins"):
        seen(run, module, data, "translation-error")
    assert not twins_known(module, data)
