"""A picture in the style of another one, as a command; and figures of a network that paints in a style."""

import cv2
import numpy as np
import pytest

from generative import ComponentError, require
from scripts.generative.cli import main
from scripts.generative.evaluate import EvaluateOptions, evaluate
from scripts.generative.runs.assembly import open_run
from tests.scripts.generative.small import finished

FEW = ["--size", "16", "--style-size", "24", "--steps", "5"]


@pytest.mark.slow
def test_content_style_and_a_painting_for_each_weight_stand_side_by_side(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "mine.png"), np.full((20, 40, 3), (0, 0, 255), np.uint8))
    out = str(tmp_path / "made.png")
    words = ["style", str(tmp_path / "mine.png"), "mosaic", "--content-weight", "1", "0", "--out", out, *FEW]
    assert main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == ["content weight 1", "content weight 0"]
    picture = cv2.imread(out)
    assert picture.shape[1] == 3 * 32 + 16 + 3 * 4
    assert (picture[-8, 5] == (0, 0, 255)).all()  # the content, red, as it is
    held, free = (np.abs(picture[-16:, start : start + 32].astype(int) - (0, 0, 255)).mean() for start in (56, 92))
    assert 0 < held < free


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["style"], "name two pictures: generative style CONTENT STYLE"),
        (["style", "china", "mosiac"], "no such file, and no picture of that name; did you mean 'mosaic'"),
        (["style", "china", "mosaic", "--steps", "0"], "steps=0: give 1 or more"),
        (["style", "china", "mosaic", "--features", "nothing"], "nothing: no trained model in it"),
        (["style", "china", "mosaic", "--style-layers", "conv7"], "'conv7': no such layer of random filters"),
    ],
)
def test_what_is_wrong_is_said(words, said, capsys):
    assert main(words) != 0
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_painter_is_judged_by_style_and_content_together(tmp_path):
    """Beside what has only one of them: the image, and a piece of the style."""
    run = finished(tmp_path / "run", "style-transfer")
    assert sorted((run.path / "samples").glob("*.png"))
    module, data = open_run(run)
    rows = evaluate(run, module, data, EvaluateOptions(samples=100, extractor="random"))
    found = {row["name"]: row for row in rows["figures"]}
    both, style, content = (found[f"{name} missed"] for name in ("style and content", "style", "content"))
    assert rows["headline"]["name"] == "style and content missed"
    assert both["value"] == pytest.approx(style["value"] + content["value"])
    assert set(both["baselines"]) == {"unpainted", "in the colours of the style", "the style alone"}
    assert style["baselines"]["unpainted"] > style["baselines"]["in the colours of the style"] > 0
    assert style["baselines"]["the style alone"] < 0.1 < content["baselines"]["the style alone"]
    assert content["baselines"]["unpainted"] == 0 < content["baselines"]["in the colours of the style"]
    with pytest.raises(ComponentError, match="style-transfer cannot `translate`"):
        require(module, "translate")
