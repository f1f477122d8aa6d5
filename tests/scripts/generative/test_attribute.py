import json

import numpy as np
import pytest
import torch

from generative.data import load_data
from generative.features.judging import Learning, kept_judge
from generative.features.questions import CLASSES
from generative.runs.run_folder import Choice
from generative.training.fit_config import FitConfig
from scripts.generative.attribute import AttributeOptions, learn, main, watched
from scripts.generative.figures.known import look_up, middles
from scripts.generative.runs.judges import OWN_SEED, judge_of, lessons, unseen
from tests.scripts.generative.small import finished

FACES = Choice("faces", {"size": 16, "count": 1500})


@pytest.fixture(autouse=True)
def few_lessons(monkeypatch):
    """A judge of 16 pixels learns from fewer faces than usual, which take less time to draw."""
    monkeypatch.setattr("scripts.generative.runs.judges.OWN_COUNT", 1800)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Principal components of faces: the skin is nearly a direction of its own in them."""
    return finished(tmp_path_factory.mktemp("runs") / "faces", "pca", FACES)


@pytest.mark.long
@pytest.mark.slow
def test_skin_is_added_to_all_held_out_faces_and_an_independent_judge_agrees(faces, monkeypatch):
    monkeypatch.setattr("generative.features.judging.FitConfig", lambda **given: FitConfig(**{**given, "steps": 150}))
    options = AttributeOptions(attribute="dark_skin", keep=("bald",), strength=1.5, images=1000, rows=3)
    lines = main(faces, options)
    facts = json.loads((faces.path / "attribute" / "dark_skin.json").read_text())
    held = load_data("faces", FACES.options).held_out()
    without = int(
        (held.get("attributes", np.arange(len(held)))[:, held.names("attributes").index("dark_skin")] == 0).sum()
    )
    assert facts["effect"] > 1.5
    assert facts["judge_right"]["dark_skin"] > 0.85
    assert facts["judgement"]["images"] == without
    assert facts["judgement"]["have"] > 0.8 and facts["judgement"]["kept"]["bald"] > 0.7
    assert set(facts["realism"]) == {"real", "before", "after"} and facts["realism"]["real"] > 0.6
    assert any("get dark_skin" in line for line in lines) and "attribute/dark_skin.png" in lines[-1]
    main(faces, AttributeOptions("dark_skin", strength=0.0, keep=("bald",), images=200, rows=3))
    facts = json.loads((faces.path / "attribute" / "dark_skin.json").read_text())
    assert facts["judgement"]["flipped"] == 0 and facts["judgement"]["kept"]["bald"] == 1
    assert facts["realism"]["before"] == facts["realism"]["after"]


@pytest.mark.slow
def test_without_a_name_the_first_attribute_is_taken(faces):
    assert learn(faces, AttributeOptions(images=300)).attribute.name == "smiling"


@pytest.mark.slow
def test_the_vector_comes_from_training_images_and_is_measured_on_others(faces):
    seen = learn(faces, AttributeOptions("smile", images=500))
    data = load_data("faces", FACES.options)
    held = data.held_out()
    assert len(seen.images) == len(seen.codes) < len(held)
    factors = held.get("factors", np.arange(len(held)))
    below = torch.from_numpy(held.get("image", np.flatnonzero(factors[:, 0] <= middles(data)["smile"])))
    assert torch.equal(seen.images, below.permute(0, 3, 1, 2) / 255)
    assert seen.attribute.with_it + seen.attribute.without_it == 500  # of the training part


@pytest.mark.slow
def test_judges_learn_from_other_faces_than_the_model_and_are_kept():
    data = load_data("faces", FACES.options)
    asked = lessons(FACES, data)
    assert len(asked.data) > len(data)
    assert not np.array_equal(asked.data.get("image", np.arange(20)), data.get("image", np.arange(20)))
    again = Choice("faces", {**FACES.options, "seed": OWN_SEED, "count": 1000})
    other = lessons(again, load_data("faces", again.options))
    assert other.key(Learning()) != asked.key(Learning())  # never the seed that the model learned from
    assert lessons(Choice("faces", {**FACES.options, "count": 1000, "seed": 3}), data).key(Learning()) == asked.key(
        Learning()
    )
    judge = judge_of(FACES, data)
    assert kept_judge(asked, Learning()).key == judge.key and set(judge.right) == set(judge.questions.answers)
    assert kept_judge(asked, Learning(seed=1)) is None


def test_judges_of_data_that_are_not_drawn_learn_from_every_second_item_and_figures_from_the_others():
    digits = Choice("digits", {"size": 16})
    data = load_data("digits", digits.options)
    learned, left = lessons(digits, data).items, unseen(digits, data)
    assert not set(learned) & set(left) and len(learned) + len(left) == len(data)
    assert len(unseen(FACES, load_data("faces", FACES.options))) == len(load_data("faces", FACES.options))


def test_factors_are_halved_at_the_median_of_the_training_part():
    data = load_data("shapes", {"size": 16, "count": 2000})
    known = look_up(data, np.arange(1000), middles(data))
    assert known.names == data.names("factors")
    size = data.get("factors", np.arange(1000))[:, 1]
    assert np.array_equal(known.target("size"), size > np.median(data.get("factors", np.arange(len(data)))[:, 1]))
    assert np.array_equal(known.target(CLASSES), data.get("label", np.arange(1000)))
    with pytest.raises(ValueError, match=r"'smile'.*shape, size"):
        known.target("smile")
    digits = load_data("digits", {})
    with pytest.raises(ValueError, match="neither attributes nor factors"):
        look_up(digits, np.arange(5), middles(digits))


def test_glasses_and_classes_are_watched_unless_others_are_named():
    faces, digits = load_data("faces", FACES.options), load_data("digits", {})
    assert watched(faces, "smiling", ()) == ["smiling", "glasses", CLASSES]
    assert watched(faces, "glasses", ()) == ["glasses", CLASSES]
    assert watched(faces, "smiling", ("bald",)) == ["smiling", "bald"]
    assert watched(digits, "smiling", ()) == ["smiling", CLASSES]
