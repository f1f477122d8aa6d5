import cv2
import pytest
import torch

from generative import ComponentError, to_uint8
from scripts.generative import translate
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import take
from scripts.generative.runs.pictures import rgb
from tests.scripts.generative.small import finished


@pytest.mark.slow
def test_images_of_both_domains_stand_over_what_they_become_their_twins_and_what_comes_back(tmp_path):
    run = finished(tmp_path / "run", "cycle-gan")
    (said,) = translate.main(run, translate.TranslateOptions(count=3, out=str(tmp_path / "picture.png")))
    assert said.startswith("3 images of each domain")
    picture = cv2.cvtColor(cv2.imread(str(tmp_path / "picture.png")), cv2.COLOR_BGR2RGB)
    side = 48
    half = 4 * side + 3 * 2 + 8
    assert picture.shape == (2 * half - 8, 3 * side + 2 * 2, 3)
    module, data = open_run(run)
    items = take(module, data.held_out(), 3)
    with torch.no_grad():
        first, second = items.values, items.condition[0]
        there, here = module.translate(first, "forward"), module.translate(second, "backward")
        expected = (first, there, second, module.translate(there, "backward"))
        expected += (second, here, first, module.translate(here, "forward"))
    for row, images in enumerate(expected):
        top = row // 4 * half + row % 4 * (side + 2)
        assert (picture[top : top + side, :side] == rgb(images)[0]).all()
    assert to_uint8(items.condition[0]).shape == (3, 16, 16, 3)


def test_a_model_that_translates_nothing_is_refused(tmp_path):
    with pytest.raises(ComponentError, match="vae cannot `translate`"):
        translate.main(finished(tmp_path / "run", "vae"), translate.TranslateOptions())
    with pytest.raises(ValueError, match="count=0"):
        translate.TranslateOptions(count=0)
