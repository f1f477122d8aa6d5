"""Figures as they stand in a page: their names and words, ids of their own, and Matplotlib left as it was."""

import re
import sys

import matplotlib
import numpy as np
import pytest

from generative.report.plots import BLUE, loss_curves, picture, points_picture, svg

HISTORY = [{"step": step, "train_loss": 3.0 / (step + 1), "held_out_loss": 4.0} for step in range(5)]


def test_losses_are_drawn_with_their_baselines_and_breaks():
    baselines = {"mean frame": 31.0, "another": 12.0}
    drawn = svg(loss_curves(HISTORY, baselines, "nats", [(2, "second round")]), "loss", "")
    assert all(f">{name}<" in drawn for name in ("train", "held out", "nats", "second round", *baselines))
    assert ">held out<" not in svg(loss_curves([{"step": 0, "train_loss": 3.0}]), "loss", "")
    with pytest.raises(ValueError, match="no train_loss"):
        loss_curves([{"step": 1}], baselines)


def test_two_figures_of_a_page_share_no_id_and_the_same_figure_is_the_same_text():
    first, second = (svg(loss_curves(HISTORY), name, "") for name in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn)) for drawn in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', first)) <= ids[0]
    assert svg(loss_curves(HISTORY), "one", "") == first
    with pytest.raises(ValueError, match="goes before ids"):
        svg(loss_curves(HISTORY), 'a"b', "")


def test_titles_and_labels_are_escaped():
    drawn = svg(loss_curves(HISTORY, label="<b>$x$"), "one", '"><script>')
    assert "<script>" not in drawn and "&lt;b&gt;$x$" in drawn


def test_figures_leave_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    svg(loss_curves(HISTORY), "one", "")
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_picture_of_a_figure_is_on_white():
    image = picture(loss_curves(HISTORY), 50)
    assert image.shape == (160, 380, 3) and (image[0, 0] == 255).all() and image.std() > 1


def test_points_lie_where_they_are_over_the_real_ones():
    corner = np.array([[1.0, 1.0]] * 3 + [[np.nan, 0.0]])
    image = points_picture(corner, np.array([[-1.0, -1.0], [1.0, -1.0]])).astype(int)
    blue = np.argwhere(np.abs(image - [int(BLUE[at : at + 2], 16) for at in (1, 3, 5)]).sum(-1) < 40)
    height, width = image.shape[:2]
    assert len(blue) and (blue[:, 0] < height / 2).all() and (blue[:, 1] > width / 2).all()  # above, to the right
