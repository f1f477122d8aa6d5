import json

import numpy as np
import pytest
import torch

from generative.core.run_folder import Choice
from generative.data import load_data
from scripts.generative.attribute import AttributeOptions, learn, main, watched
from scripts.generative.judges import CLASSES, OTHER_SEED, look_up, middles, train_judge
from tests.scripts.generative.small import finished

FACES = Choice("faces", {"size": 16, "count": 3000})


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Principal components of faces: the skin is nearly a direction of its own in them."""
    return finished(tmp_path_factory.mktemp("runs") / "faces", "pca", FACES)


@pytest.mark.slow
def test_skin_is_added_to_held_out_faces_and_independent_judges_agree(faces):
    options = AttributeOptions(
        attribute="dark_skin", keep=("bald",), strength=1.5, images=1000, judge_steps=220, rows=3
    )
    lines = main(faces, options)
    facts = json.loads((faces.path / "attribute" / "dark_skin.json").read_text())
    assert facts["effect"] > 1.5 and max(abs(each) for name, each in facts["others"].items() if name != "skin") < 0.6
    assert facts["judges_right"]["dark_skin"] > 0.85
    assert facts["judgement"]["images"] > 50
    assert facts["judgement"]["flipped"] > 0.85 and facts["judgement"]["kept"]["bald"] > 0.8
    assert any("get dark_skin" in line for line in lines) and "attribute/dark_skin.png" in lines[-1]
    still = AttributeOptions("dark_skin", strength=0.0, keep=("bald",), images=200, judge_steps=20, rows=3)
    nothing = main(faces, still)
    facts = json.loads((faces.path / "attribute" / "dark_skin.json").read_text())
    assert facts["judgement"]["flipped"] == 0 and facts["judgement"]["kept"]["bald"] == 1
    assert nothing != lines


def test_the_vector_comes_from_training_images_and_is_measured_on_others(faces):
    seen = learn(faces, AttributeOptions("smile", images=500))
    data = load_data("faces", FACES.options)
    held = data.held_out()
    assert len(seen.images) == len(seen.codes) < len(held)
    factors = held.get("factors", np.arange(len(held)))
    below = torch.from_numpy(held.get("image", np.flatnonzero(factors[:, 0] <= middles(data)["smile"])))
    assert torch.equal(seen.images, below.permute(0, 3, 1, 2) / 255)
    assert seen.attribute.with_it + seen.attribute.without_it == 500  # of the training part


def test_judges_learn_from_other_faces_than_the_model(faces, monkeypatch):
    asked = []
    real = load_data

    def spy(choice):
        asked.append(choice)
        return real(choice.type, choice.options)

    monkeypatch.setattr("scripts.generative.judges.load", spy)
    data = real("faces", FACES.options)
    train_judge(faces, data, "glasses", 2, "cpu")
    assert [each.options["seed"] for each in asked] == [OTHER_SEED]
    train_judge(faces, data, "glasses", 2, "cpu")  # kept in the run folder
    assert len(asked) == 1
    train_judge(faces, data, "glasses", 3, "cpu")
    assert len(asked) == 2


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
    assert watched(faces, AttributeOptions("smiling")) == ["smiling", "glasses", CLASSES]
    assert watched(faces, AttributeOptions("glasses")) == ["glasses", CLASSES]
    assert watched(faces, AttributeOptions("smiling", keep=("bald",))) == ["smiling", "bald"]
    assert watched(digits, AttributeOptions("smiling")) == ["smiling", CLASSES]
