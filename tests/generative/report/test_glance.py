"""What a notebook shows of a run of a generative model, before it learns, while it does, and when it is measured."""

import pytest

from generative import ComponentError
from generative.core.files import write_json
from generative.report.glance import Glance
from generative.report.media import MEDIA
from generative.runs.run_folder import TrainingRun
from tests.generative.report.test_media import FIELD, ROLL
from tests.page import Page
from tests.scripts.generative.small import config, finished

EVIL = "<script>alert('x')</script>"


def test_every_value_is_escaped_and_what_is_empty_is_left_out():
    score = MEDIA.find("score").files(ROLL[None], FIELD)
    shown = Glance(EVIL, EVIL, [EVIL], EVIL, [EVIL], [[EVIL]], {EVIL: score[".png"]}, EVIL, EVIL, EVIL)
    text = shown._repr_html_()
    assert "PNG" not in repr(shown)  # which a notebook keeps beside the page
    page = Page(text)
    assert page.words.count(EVIL) == 9 and "<script" not in text and page.loads == [] and len(page.media) == 1
    assert Page(Glance()._repr_html_()).words == "" and "<table" not in Glance("a")._repr_html_()


def test_a_run_shows_what_it_makes_and_the_command_that_goes_on(tmp_path):
    path = tmp_path / "<b>run"
    run = TrainingRun.create(path, config())
    page = Page(run._repr_html_())
    assert f"vae on shapes: {path}" in page.words and "training has not ended" in page.words and page.media == []
    assert f"Next: generative train --out {path}" in page.words
    with pytest.raises(ComponentError, match="nothing to draw yet; `generative train --out"):
        run.plot()
    run = finished(path)
    page = Page(run._repr_html_())
    assert "8 of 16 items" in page.words and f"Next: generative evaluate {path}" in page.words
    assert page.media == [(path / "samples" / "00000008.png").read_bytes()] and page.loads == []
    grid, losses = run.plot().subfigs
    assert grid.get_suptitle() == "What it makes, after step 8" and len(grid.axes[0].images) == 1
    train, held_out = losses.axes[0].lines
    assert losses.get_suptitle() == "Loss"
    assert [list(line.get_ydata()) for line in (train, held_out)] == [
        [row[name] for row in run.history()] for name in ("loss", "held_out_loss")
    ]
    row = {"name": "FD[judge]", "value": 14.3, "reference": 2.14, "low": 1.9, "high": 2.4, "baseline": "a mixture",
           "baseline_value": 17.3, "better": "low", "samples": 100, "extractor": "judge"}  # fmt: skip
    told = {"problem": EVIL, "evidence": "as one sees", "remedy": "none"}
    write_json(
        path / "evaluation.json", {"figures": [row], "headline": row, "beats_baseline": True, "verdicts": [told]}
    )
    page = Page(run._repr_html_())
    assert "FD 14.3: better than the baseline (a mixture, 17.3)" in page.words and EVIL in page.words
    assert "FD 14.3 2.14 (1.9 to 2.4) 17.3 (a mixture) low 100" in page.words and "Next:" not in page.words


def test_a_run_that_writes_shows_its_text_and_its_losses(tmp_path):
    run = finished(tmp_path / "run", "gpt-2")
    page = Page(run._repr_html_())
    assert len(page.media) == 1 and (run.path / "samples" / "00000008.txt").read_text().split()[0] in page.words
    assert [part.get_suptitle() for part in run.plot().subfigs] == ["Loss"]
