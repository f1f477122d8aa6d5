import re
from dataclasses import replace

import numpy as np
import pytest

from generative.report.images import png_bytes, side_by_side
from generative.report.plots import svg
from generative.report.video import webm_bytes
from tests.page import Page
from worldmodels.accuracy.verdict import Verdict
from worldmodels.report.plots import learning_curve, return_strip
from worldmodels.report.report import ReportData, TrainedPart, render_report
from worldmodels.statistics import summarise


def track(height: int = 64, width: int = 64, phase: float = 0.0) -> np.ndarray:
    """A drawn road on grass with a car, for pictures in the page."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.empty((height, width, 3), np.uint8)
    image[:] = (102, 204, 102)
    image[(rows // 8 + columns // 8) % 2 == 0] = (102, 230, 102)
    centre = width / 2 + width / 4 * np.sin(rows / height * 3 + phase)
    image[np.abs(columns - centre) < width / 8] = (105, 105, 105)
    image[height * 3 // 4 : height * 3 // 4 + height // 10, width // 2 - 2 : width // 2 + 2] = (204, 0, 0)
    return image


def made_up() -> ReportData:
    """Every section filled with invented figures: this is a test of the page, no result."""
    rng = np.random.default_rng(0)
    returns = np.clip(rng.normal(860, 70, 100), -50, 950)
    returns[:4] = (300, 420, 510, 600)
    generations = []
    for index in range(60):
        mean = -30 + 880 * (1 - np.exp(-index / 14)) + rng.normal(0, 8)
        generations.append(
            {
                "generation": index,
                "mean": mean - 60,
                "best": mean + 60,
                "worst": mean - 300,
                "std": 80.0,
                "validation": {"mean": mean, "ci_low": mean - 20, "ci_high": mean + 20} if index % 5 == 4 else None,
                "frames": 64_000,
                "seconds": 41.0,
                "timings": {"drive": 29.0, "vision and memory": 8.0, "optimiser": 0.4, "validate": 2.0},
            }
        )
    history = [
        {
            "step": 100 * index,
            "train_loss": 40 * np.exp(-index / 6) + 8 + rng.normal(0, 0.3),
            "held_out_loss": 40 * np.exp(-index / 6) + 9 if index % 4 == 0 else None,
        }
        for index in range(50)
    ]
    memory_history = [{"step": row["step"], "train_loss": row["train_loss"] / 40 - 1.1} for row in history]
    frames = np.stack([track(phase=index / 10) for index in range(40)])
    strip = side_by_side(list(frames[::5]), [f"t = {index}" for index in range(0, 40, 5)], scale=2)
    film = webm_bytes((track(96, 96, index / 15) for index in range(10)), 20)
    return ReportData(
        name="made-up-figures",
        facts={
            "preset": "test page, invented figures",
            "environment": "WorldModels/CarRacing-v3",
            "action repeat": "1",
            "training wrapper": "EarlyStop, in training only",
            "seeds": "run 0, test tracks 30000 to 30099",
            "commit": "0000000",
            "versions": "Python 3.11, torch 2.6",
            "hardware": "2 cores, no GPU",
        },
        summary=summarise(returns, 0),
        baseline=summarise(rng.normal(-33, 12, 100), 0),
        generations=generations,
        vision=TrainedPart(
            history=history,
            loss="squared error per frame + KL",
            verdict="Beats the mean frame by a factor of 3.5; the car is visible in its crop.",
            measured="squared error per frame",
            measures={"held-out frames": 9.02, "baseline: the mean frame": 31.4, "training frames": None},
        ),
        memory=TrainedPart(
            history=memory_history,
            loss="nats per dimension of z",
            baselines={"persistence": -0.42},
            measured="held-out episodes",
            measures={"nll": -0.87, "baseline: persistence": -0.42},
        ),
        images={"reconstructions": png_bytes(strip), "rollouts": png_bytes(frames[0])},
        drive=film,
        dreams={"strip": png_bytes(frames[1])},
        episodes=[
            {
                "seed": 30000 + index,
                "return": float(value),
                "steps": 1000,
                "tiles": 280,
                "lap": bool(value > 880),
            }
            for index, value in enumerate(returns)
        ],
        config_yaml="env:\n  id: WorldModels/CarRacing-v3\n  size: 64\nseed: 0\n",
        warnings=["vision: 3 of 32 latent dimensions carry information (collapsed posterior)"],
        command="worldmodels run --preset quick runs/made-up-figures",
    )


@pytest.fixture(scope="module")
def data() -> ReportData:
    return made_up()


@pytest.fixture(scope="module")
def text(data: ReportData) -> str:
    return render_report(data)


def test_headline_is_the_mean_with_its_interval_tracks_and_baseline(data: ReportData, text: str) -> None:
    words = Page(text).words
    assert data.summary is not None and data.baseline is not None
    headline = words[: words.index("In its dream")]
    assert "Mean return over 100 test tracks" in headline
    assert f"{data.summary.mean:.1f}" in headline
    assert f"95 % interval {data.summary.ci_low:.1f} to {data.summary.ci_high:.1f}" in headline
    assert f"−{-data.baseline.mean:.1f}" in headline
    assert f"{data.summary.max:.1f}" not in headline  # never the best episode
    assert "collapsed posterior" in headline


def test_the_page_needs_nothing_else_and_shows_every_picture_and_figure(data: ReportData, text: str) -> None:
    page = Page(text)
    assert page.loads == [] and not re.search(r"@import|url\((?!#)", text)
    assert sorted(page.media) == sorted([data.drive, *data.images.values(), *data.dreams.values()])
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 100 and [tag for tag, _ in page.tags].count("svg") == 4
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text)) <= set(ids)
    for title in ("In its dream", "Test tracks", "Learning", "Vision", "Memory", "Rollouts", "Reproduce"):
        assert title in page.words


def test_tables_say_what_was_measured(text: str) -> None:
    words = Page(text).words
    assert "drive 29.00 s 71 %" in words  # 29 of 41 seconds
    assert "other 1.60 s 4 %" in words  # what no part claims
    assert "60 generations in 41.0 min, 3,840,000 frames at 1,561 per second" in words
    assert "held-out frames 9.02" in words and "baseline: the mean frame 31.4" in words
    assert "baseline: persistence −0.42" in words and "training frames n/a" in words
    assert words.count("30042") == 1 and "All 100 episodes" in words


def test_every_text_is_escaped(data: ReportData) -> None:
    evil = "<script>alert('x')</script>\"&$x$"
    assert data.vision is not None and data.memory is not None
    text = render_report(
        replace(
            data,
            name=evil,
            facts={evil: evil},
            generations=[{**row, "timings": {evil: 1.0}} for row in data.generations],
            vision=replace(data.vision, verdict=evil, loss=evil, measured=evil, measures={evil: 1.0}),
            memory=replace(data.memory, baselines={evil: 1.0}),
            dreams={evil: data.dreams["strip"], "dream": data.dreams["strip"]},
            dream_captions={"dream": evil, "not_filmed": evil},
            verdict=Verdict("fair", evil, (evil,), evil),
            round_differences=[(evil, evil, evil)],
            episodes=[{evil: evil, "return": 1.0}] * 100,
            config_yaml=evil,
            warnings=[evil],
            command=evil,
        )
    )
    assert "<script" not in text.lower()
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.words.count(evil) > 12


def test_missing_stages_are_named_with_their_command() -> None:
    words = Page(render_report(ReportData(name="first"))).words
    for stage in ("evaluate", "evolve", "train-vision", "train-memory"):
        assert f"not run yet: worldmodels {stage} first" in words
    assert "nan" not in words and "None" not in words


def test_missing_dream_and_baseline_are_named(data: ReportData) -> None:
    words = Page(render_report(replace(data, images={}, drive=b"", dreams={}, baseline=None))).words
    assert "not run yet: worldmodels dream made-up-figures" in words
    assert "Random policy: not run yet: worldmodels evaluate made-up-figures" in words
    assert "not run yet: worldmodels train" not in words


@pytest.mark.slow
def test_one_episode_claims_no_interval(data: ReportData) -> None:
    one = replace(data, summary=summarise(np.array([512.0]), 0), episodes=[{"seed": 1, "return": 512.0}])
    words = Page(render_report(one)).words
    assert "1 test track 512.0 one episode: no interval" in words
    assert "95 % interval 512.0" not in words and "(95 % 512.0" not in words


def test_a_file_that_is_no_picture_is_named() -> None:
    with pytest.raises(ValueError, match="rollouts: no PNG"):
        render_report(ReportData(name="first", images={"rollouts": b"%PDF-1.7"}))


def test_same_data_gives_the_same_page(data: ReportData, text: str) -> None:
    assert render_report(data) == text


def test_figures_show_their_curves_and_names(data: ReportData) -> None:
    drawn = svg(learning_curve(data.generations, data.baseline), "learning", "")
    for label in ("population mean", "population ± std", "population best", "validation of the mean", "random policy"):
        assert label in drawn
    quantiles = [{**row, "quantile_10": row["mean"] - 9, "quantile_90": row["mean"] + 9} for row in data.generations]
    drawn = svg(learning_curve(quantiles), "learning", "")
    assert "population 10 to 90 %" in drawn and "random policy" not in drawn
    assert data.summary is not None
    returns = np.array([row["return"] for row in data.episodes])
    strip = svg(return_strip(returns, data.summary, data.baseline), "returns", "")
    assert strip.count("<use ") >= 100  # a dot per track
    assert f"mean {data.summary.mean:.1f} (95 %" in strip and "solved 900" in strip


def test_figures_refuse_nothing_to_draw(data: ReportData) -> None:
    assert data.summary is not None
    with pytest.raises(ValueError, match="generations"):
        learning_curve([])
    with pytest.raises(ValueError, match="returns is empty"):
        return_strip(np.array([]), data.summary)
