"""Painting in a style: by a network, and over the pixels of one picture."""

import cv2
import numpy as np
import pytest
import torch

from generative import MODELS, ComponentError
from generative.core.storage import component_bytes
from generative.models.painting.style_target import StyleTarget, StyleWeights, as_images, painted
from generative.runs.run_reference import RunReference

SMALL = {"image_size": 16, "style_size": 24, "width": 4, "blocks": 1}


def terms(target, image, content):
    return {name: term.item() for name, term in target.loss(image, content)[1].items()}


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", ["l-bfgs", "adam"])
def test_an_optimised_picture_takes_the_style_and_keeps_the_content(optimiser):
    content = as_images("china", 32)
    target = StyleTarget.of("mosaic", 48, 3, weights=StyleWeights(0.1, 1.0, 0.0))
    rows = list(painted(target, content, steps=40, optimiser=optimiser, rate=0.05))
    (first, start), (last, image) = rows[0], rows[-1]
    assert torch.equal(start, content) and [row["step"] for row, _ in rows] == [0, 20, 40]
    assert last["style"] < 0.3 * first["style"] and first["content"] < 1e-9 < last["content"]
    assert 0 <= image.min() and image.max() <= 1
    alone = StyleTarget.of("mosaic", 48, 3, weights=StyleWeights(0.0, 1.0, 0.0))
    without = list(painted(alone, content, steps=40, optimiser=optimiser, rate=0.05))[-1][0]
    assert last["content"] < without["content"]  # its term holds the content
    strokes = StyleTarget.of("strokes", 48, 3)
    assert terms(target, image, content)["style"] < terms(strokes, image, content)["style"]  # this style, no other


def test_smoothness_is_a_term():
    content = as_images("china", 24)
    noise = {}
    for smooth in (0.0, 1.0):
        target = StyleTarget.of("mosaic", 32, 3, weights=StyleWeights(0.1, 1.0, smooth))
        noise[smooth] = list(painted(target, content, steps=20))[-1][0]["smooth"]
    assert noise[1.0] < 0.7 * noise[0.0]


def test_grain_lets_plain_images_have_strokes():
    plain = torch.full((1, 3, 16, 16), 0.5)
    middle = slice(6, 10)  # what the borders do not reach is nothing of a network of one block; compare spreads
    spread = {
        grain: MODELS.create("style-transfer", {**SMALL, "grain": grain})
        .eval()
        .restyle(plain)[..., middle, middle]
        .std()
        for grain in (0, 1)
    }
    assert spread[1] > 3 * spread[0]


def test_it_paints_larger_images_and_refuses_others():
    model = MODELS.create("style-transfer", SMALL).eval()
    with torch.no_grad():
        assert model.restyle(torch.rand(1, 3, 40, 20)).shape == (1, 3, 40, 20)
    for shape in ((1, 1, 16, 16), (1, 3, 18, 16)):
        with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\), height and width in multiples of 4"):
            model.restyle(torch.rand(shape))
    with pytest.raises(ValueError, match="style=stroke: give one of strokes, mosaic"):
        MODELS.create("style-transfer", {**SMALL, "style": "stroke"})
    for name in ("image_size", "style_size"):
        with pytest.raises(ValueError, match=f"{name}=12: .*16"):
            MODELS.create("style-transfer", {**SMALL, name: 12})


def test_what_judges_is_no_part_of_what_is_shipped():
    model = MODELS.create("style-transfer", SMALL)
    before = {name: each.shape for name, each in model.state_dict().items()}
    model.loss(torch.rand(1, 3, 16, 16), torch.Generator())
    assert {name: each.shape for name, each in model.state_dict().items()} == before
    assert "grain" in before and len(component_bytes(model)["weights"]) < 1e5


def test_a_picture_of_ones_own_is_the_style_and_may_not_change(tmp_path):
    file = tmp_path / "mine.png"
    cv2.imwrite(str(file), np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
    reference = RunReference(str(file)).pinned()
    content = torch.rand(1, 3, 16, 16)

    def loss():
        model = MODELS.create(
            "style-transfer", {**SMALL, "picture": {"path": reference.path, "sha256": reference.sha256}}
        )
        return model.loss(content, torch.Generator())[0]

    assert loss() != MODELS.create("style-transfer", SMALL).loss(content, torch.Generator())[0]
    cv2.imwrite(str(file), np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(ComponentError, match=r"mine\.png: has another content than when it was named"):
        loss()
    file.write_bytes(b"no picture")
    with pytest.raises(ComponentError, match="is no picture that can be read"):
        as_images(str(file), 16)
    with pytest.raises(ComponentError, match=r"no such file, and no picture of that name; did you mean 'china'"):
        as_images("chnia", 16)
