"""What an agent sees through a translator."""

import numpy as np
import pytest
import torch

from envs.toy import Toy
from generative import MODELS, to_float
from worldmodels import RunError
from worldmodels.rollouts.translated import Translated, Translator

SMALL = {"width": 4, "blocks": 1, "critic_width": 4, "critic_halvings": 1}
ACTION = np.array([0.5, 1.0, 0.0], np.float32)


def test_every_frame_is_translated_and_nothing_else():
    plain, through = Toy(), Translated(Toy(), Translator(colours=lambda images: 1 - images).load())
    assert through.observation_space == plain.observation_space
    assert (255 - plain.reset(seed=3)[0] == through.reset(seed=3)[0]).all()
    for _ in range(3):
        one, other = plain.step(ACTION), through.step(ACTION)
        assert (255 - one[0] == other[0]).all() and one[1:4] == other[1:4]


def test_a_model_makes_frames_of_its_first_domain():
    model = MODELS.create("cycle-gan", {**SMALL, "image_size": Toy().observation_space.shape[0]}).eval()
    env = Translated(Toy(), Translator.of(model).load())
    frame, seen = Toy().reset(seed=3)[0], env.reset(seed=3)[0]
    with torch.no_grad():
        made, other = (model.translate(to_float(torch.from_numpy(frame)[None]), way)[0].movedim(0, -1) * 255
                       for way in ("backward", "forward"))  # fmt: skip
    assert np.abs(made.numpy() - seen).max() <= 1 < np.abs(other.numpy() - seen).max()


def test_a_model_paints_frames_in_its_style():
    model = MODELS.create("style-transfer", {"image_size": Toy().observation_space.shape[0], "width": 4, "blocks": 1})
    seen = Translated(Toy(), Translator.of(model).load()).reset(seed=3)[0]
    frame = Toy().reset(seed=3)[0]
    with torch.no_grad():
        made = model.eval().restyle(to_float(torch.from_numpy(frame)[None]))[0].movedim(0, -1) * 255
    assert np.abs(made.numpy() - seen).max() <= 1 < np.abs(made.numpy() - frame).max()


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(RunError, match=r"evaluate\.translator: a PCA does not translate"):
        Translator.of(MODELS.create("pca", {"image_size": 16, "latent": 2}))
    model = MODELS.create("cycle-gan", {**SMALL, "image_size": 8})
    with pytest.raises(RunError, match=r"evaluate\.translator: does not take frames of \("):
        Translated(Toy(), Translator.of(model).load())
