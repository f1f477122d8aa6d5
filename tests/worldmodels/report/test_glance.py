"""What a notebook shows of a run at every stage, of its evaluation and of its agent."""

import cv2
import numpy as np
import pytest

from scripts.stages import STAGE_FUNCTIONS
from tests.page import Page
from tests.small import tiny_config
from worldmodels import Run, RunError, load_agent

DRAWN = {
    "collect": [],
    "train-vision": ["Vision"],
    "train-memory": ["Vision", "Memory"],
    "evolve": ["Learning", "Vision", "Memory"],
    "evaluate": ["Test tracks", "Learning", "Vision", "Memory"],
}
"""The stages in order, and what is drawn when each has ended."""
MOST = 100_000
"""Bytes that a cell of a notebook gets of a run."""


def shown(what):
    """What a notebook shows, as a page that loads nothing and in which a name is no markup."""
    text = what._repr_html_()
    page = Page(text)
    assert page.loads == [] and "<b>run" not in text and not {"script", "style"} & {tag for tag, _ in page.tags}
    return page, len(text)


@pytest.mark.slow
def test_a_run_shows_what_it_has_at_every_stage(hasty_vision, tmp_path):
    run = Run.create(tmp_path / "<b>run", tiny_config())
    page, _ = shown(run)
    assert str(run.path) in page.words and page.words.count("not run yet") == 8 and page.media == []
    assert f"Next: worldmodels run {run.path}" in page.words
    with pytest.raises(RunError, match="nothing to draw yet; `worldmodels run"):
        run.plot()
    for left, (stage, titles) in zip(range(7, 0, -1), DRAWN.items(), strict=False):
        for _ in STAGE_FUNCTIONS[stage](run):
            pass
        page, size = shown(run)
        assert page.words.count("not run yet") == left and size < MOST
        (picture,) = page.media
        assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).std() > 5  # something is drawn
        if titles:
            parts = run.plot().subfigs
            assert [part.get_suptitle() for part in parts] == titles
            assert all(axes.lines or axes.collections for part in parts for axes in part.axes)
    assert "Mean return" in page.words and "over 2 test tracks (95 % interval" in page.words
    assert run.plot()._repr_png_()[:4] == b"\x89PNG"
    _an_evaluation_and_an_agent(run)


def _an_evaluation_and_an_agent(run):
    page, _ = shown(run.evaluation())
    mean = run.done("evaluate")["summary"]["mean"]
    assert f"Mean return {mean:.1f}".replace("-", "−") in page.words and len(page.media) == 1
    dots = run.evaluation().plot().subfigs[0].axes[0].collections[0].get_offsets()
    assert len(dots) == 2
    page, _ = shown(load_agent(run))
    parameters = run.done("evolve")["parameters"]
    assert (
        f"linear controller of {parameters} parameters" in page.words and "32 x 32 pixels through a vae" in page.words
    )
    assert "mdn-rnn, trained" in page.words
    with pytest.raises(RunError, match="no finished `accuracy` yet"):
        run.accuracy_card()
