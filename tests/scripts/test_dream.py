import shutil
import sys

import cv2
import numpy as np
import pytest
import torch

from scripts.dream import dream_panels, prediction_panels, strip
from scripts.info import info
from scripts.stages import dream, evolve
from worldmodels import Run
from worldmodels.config import config_from
from worldmodels.config_files import write_config
from worldmodels.dream.film import Dream, PredictedFrames, RealDrive, reel
from worldmodels.report.gather import dream_captions


def carry_out(run, *stages):
    for stage in stages:
        for _ in stage(run):
            pass
    return run


@pytest.fixture(scope="module")
def filmed(_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("filmed") / "run"
    shutil.copytree(_trained.path, path)
    return carry_out(Run(path), evolve, dream)


def frames_of(path):
    """Read a film back, RGB (T H W 3)."""
    film, frames = cv2.VideoCapture(str(path)), []
    while (read := film.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    film.release()
    return np.stack(frames)


@pytest.mark.slow
def test_the_films_and_what_is_known_of_them(filmed):
    facts = filmed.done("dream")
    assert facts["dreams"] == 16 == sum(facts["ends"].values()) and np.isfinite(facts["mean_return"])
    assert (facts["noise"], facts["temperature"], facts["horizon"]) == ("mixture", 1.0, 30)
    assert facts["road_share"] is None  # a toy knows no road of CarRacing's
    assert facts["watched"] == (facts["watched"] + facts["predicted"]) * 4 // 9 > 5
    folder = filmed.folder("dream")
    assert len(frames_of(folder / "prediction.webm")) == facts["watched"] + facts["predicted"] + 1
    assert len(frames_of(folder / "dream.webm")) == facts["steps"]
    said = f"16 dreams of {facts['mean_steps']:.0f} steps on average, mean return {facts['mean_return']:.1f}"
    assert said in info(filmed)
    caption = dream_captions(facts)["dream"]
    assert f"Mean dream return {facts['mean_return']:.1f} over 16 dreams" in caption.replace("\u2212", "-")
    assert f"the first {facts['filmed']} are shown, of at most 30 steps. Noise: drawn from the mixture" in caption


@pytest.mark.slow
def test_a_film_is_the_same_again_and_another_with_other_seeds(filmed, tmp_path, monkeypatch):
    shutil.copytree(filmed.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    first = frames_of(run.folder("dream") / "dream.webm")
    np.testing.assert_array_equal(frames_of(carry_out(run, dream).folder("dream") / "dream.webm"), first)
    monkeypatch.setattr(sys.modules["scripts.dream"], "DREAMS", range(5, 21))
    again = frames_of(carry_out(run, dream).folder("dream") / "dream.webm")
    assert len(again) != len(first) or (again != first).any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "ends"),
    [({"horizon": 7}, {"horizon"}), ({"temperature": 4.0}, None)],
)
def test_the_film_has_the_dreams_of_the_run(filmed, tmp_path, change, ends):
    shutil.copytree(filmed.path, tmp_path / "run")
    config = config_from({"dream": change}, filmed.config)
    write_config(tmp_path / "run" / "config.yaml", config)
    before, facts = filmed.done("dream"), carry_out(Run(tmp_path / "run"), dream).done("dream")
    assert facts["mean_return"] != before["mean_return"]
    assert ends is None or ends <= set(facts["ends"])
    for name in ("horizon", "temperature"):
        assert facts[name] == getattr(config.dream, name)


@pytest.mark.slow
def test_a_loop_shows_the_dream_of_its_chosen_round(filmed, tmp_path):
    """The round's horizon, not the run's own: both are in the same folder."""
    shutil.copytree(filmed.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    shutil.copytree(filmed.path, run.folder("loop") / "02")
    write_config(run.folder("loop") / "02" / "config.yaml", config_from({"dream": {"horizon": 11}}, run.config))
    run.finish("loop", {"rounds": 3, "chosen_round": 2})
    assert carry_out(run, dream).done("dream")["horizon"] == 11 and run.config.dream.horizon == 30


@pytest.mark.slow
def test_a_vision_that_cannot_decode_is_not_filmed(filmed, tmp_path, monkeypatch):
    shutil.copytree(filmed.path, tmp_path / "run")
    monkeypatch.setattr(sys.modules["scripts.dream"], "refusal", lambda *_: "made-up-vision cannot `decode`")
    run = carry_out(Run(tmp_path / "run"), dream)
    assert "cannot `decode`" in info(run)


def drawn(grey, count, size=16):
    return np.stack([np.full((size, size, 1), grey + step, np.uint8) for step in range(count)])


class Grey:
    """A vision whose latents are grey values."""

    def decode(self, z):
        return (z / 255)[:, :, None, None].expand(-1, 1, 16, 16)


def test_the_agent_s_dream_stands_beside_its_drive_and_its_end_is_marked():
    z = torch.tensor([[100.0], [101.0], [102.0]])
    dreams = [Dream(z, torch.zeros(2, 1), torch.ones(2), end, 0.0) for end in ("no reward", "horizon")]
    real = RealDrive(drawn(10, 4), np.zeros((3, 1), np.float32), np.ones(3, np.float32), True)
    panels = list(dream_panels(Grey(), dreams, list(reel(dreams, 1)), real, scale=1, text=0.1))
    width, bottom = panels[0].shape[1], [panel[-8] for panel in panels]
    assert [row[8, 0] for row in bottom] == [10, 11, 12, 13, 13, 13, 13, 13]  # the last real frame stays
    assert [row[width - 8, 0] for row in bottom] == [100, 101, 102, 102, 100, 101, 102, 102]
    marked = [bool((row[-1] != row[width - 8]).any()) for row in bottom]
    assert marked == [False, False, True, True] * 2
    fewer = list(dream_panels(Grey(), dreams, list(reel(dreams, 1)), real, every=2, scale=1, text=0.1))
    np.testing.assert_array_equal(fewer, panels[::2])


def test_a_strip_marks_where_the_prediction_begins():
    parts = [drawn(grey, 16) for grey in (10, 60, 110)]
    prediction = PredictedFrames(parts[1], parts[2], context=5)
    real = RealDrive(parts[0], np.zeros((15, 1), np.float32), np.zeros(15, np.float32), False)
    image = strip(prediction, real)
    left = [int(image[-16, x, 0]) for x in range(image.shape[1]) if image[-16, x].std() == 0 and image[-16, x, 0] < 255]
    assert left[0] == 110 and left[-1] == 125  # from the first frame watched to the last one predicted
    line = np.flatnonzero((image[-16] == (200, 30, 120)).all(-1))
    last_seen = np.flatnonzero(image[-16, :, 0] == 115).max()
    first_predicted = np.flatnonzero((image[-16] == 116).all(-1)).min()
    assert ((line > last_seen) & (line < first_predicted)).any() and not (line < last_seen).any()
    films = list(prediction_panels(prediction, real))
    assert len(films) == 16
    outlined = [bool((film[-1, -1] == (200, 30, 120)).all()) for film in films]
    assert outlined == [False] * 6 + [True] * 10
