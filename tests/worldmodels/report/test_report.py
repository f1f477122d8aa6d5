import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from worldmodels.accuracy.verdict import Verdict
from worldmodels.report.plots import learning_curve, loss_curves, return_strip
from worldmodels.report.report import ReportData, render_report
from worldmodels.report.video import contact_sheet, episode_caption, png_bytes, side_by_side, write_webm
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


def made_up(folder: Path) -> ReportData:
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
    sheet = contact_sheet([frames, frames[:20]], [episode_caption(7, 912.3, 1000), episode_caption(8, 300, 431)], 7)
    film = write_webm(folder / "drive.webm", (track(400, 600, index / 15) for index in range(40)), 20)
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
        vision={
            "history": history,
            "curve_label": "squared error per frame + KL",
            "train_error": 8.1,
            "held_out_error": 9.02,
            "mean_frame_error": 31.4,
            "car_crop_error": 2.2,
            "car_crop_baseline": 4.9,
            "error_unit": "per frame",
            "verdict": "Beats the mean frame by a factor of 3.5; the car is visible in its crop.",
        },
        memory={
            "history": memory_history,
            "curve_label": "nats per dimension of z",
            "curve_baselines": {"persistence": -0.42},
            "nll": -0.87,
            "persistence_nll": -0.42,
            "shuffled_nll": -0.71,
            "nll_unit": "nats per dimension",
            "reward_explained_variance": 0.31,
            "termination": None,
        },
        images={
            "reconstructions": png_bytes(strip),
            "contact_sheet": png_bytes(sheet),
            "rollouts": png_bytes(sheet),
        },
        videos={"drive": film.read_bytes()},
        dreams={"dream": png_bytes(strip)},
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
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return made_up(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def text(data: ReportData) -> str:
    return render_report(data)


class Page(HTMLParser):
    """Collects tags and their attributes, and fails where tags do not nest."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words += text + " "


def test_headline_is_the_mean_with_its_interval_tracks_and_baseline(data: ReportData, text: str) -> None:
    words = Page(text).words
    assert data.summary is not None and data.baseline is not None
    headline = words[: words.index("Test tracks")]
    assert "Mean return over 100 test tracks" in headline
    assert f"{data.summary.mean:.1f}" in headline
    assert f"95 % interval {data.summary.ci_low:.1f} to {data.summary.ci_high:.1f}" in headline
    assert f"−{-data.baseline.mean:.1f}" in headline
    assert f"{data.summary.max:.1f}" not in headline  # never the best episode
    assert "collapsed posterior" in headline


def test_page_needs_nothing_else(text: str) -> None:
    page = Page(text)
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(tags)
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "poster", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    assert not re.search(r"@import|url\((?!#)", text)
    assert tags.count("video") == 1 and tags.count("svg") == 4


def test_ids_are_unique_and_references_resolve(text: str) -> None:
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 100
    references = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
    assert references and set(references) <= set(ids)


def test_film_and_pictures_are_inside(data: ReportData, text: str) -> None:
    import base64

    page = Page(text)
    (video,) = (attributes for tag, attributes in page.tags if tag == "video")
    assert {"autoplay", "loop", "muted", "controls", "playsinline"} <= set(video)
    assert base64.b64decode((video["src"] or "").removeprefix("data:video/webm;base64,")) == data.videos["drive"]
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    decoded = {base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in pictures}
    assert decoded == {*data.images.values(), *data.dreams.values()}


def test_tables_say_what_was_measured(text: str) -> None:
    words = " ".join(Page(text).words.split())
    assert "drive 29.00 s 71 %" in words  # 29 of 41 seconds
    assert "other 1.60 s 4 %" in words  # what no part claims
    assert "60 generations in 41.0 min, 3,840,000 frames at 1,561 per second" in words
    assert "held-out frames 9.02" in words and "baseline: the mean frame 31.4" in words
    assert "baseline: persistence −0.42" in words and "reward, explained variance 0.31" in words
    assert "termination n/a" in words
    assert words.count("30042") == 1 and "All 100 episodes" in words


def test_termination_metrics_are_listed(data: ReportData) -> None:
    assert data.memory is not None
    memory = {**data.memory, "termination": {"recall": 0.75, "precision": 0.5}}
    words = " ".join(Page(render_report(ReportData(name="first", memory=memory))).words.split())
    assert "termination, recall 0.75" in words and "termination, precision 0.5" in words
    assert "termination n/a" not in words


def test_every_text_is_escaped(data: ReportData) -> None:
    evil = "<script>alert('x')</script>\"&$x$"
    assert data.vision is not None and data.memory is not None
    text = render_report(
        replace(
            data,
            name=evil,
            facts={evil: evil},
            generations=[{**row, "timings": {evil: 1.0}} for row in data.generations],
            vision={**data.vision, "verdict": evil, "curve_label": evil, "error_unit": evil},
            memory={
                **data.memory,
                "nll_unit": evil,
                "curve_baselines": {evil: 1.0},
                "termination": {evil: 1.0},
            },
            images={evil: data.images["rollouts"]},
            dreams={evil: data.dreams["dream"], "dream": data.dreams["dream"]},
            dream_captions={"dream": evil, "not_filmed": evil},
            verdict=Verdict("fair", evil, (evil,), evil),
            round_differences=[(evil, evil, evil)],
            videos={evil: data.videos["drive"]},
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
    words = " ".join(Page(render_report(ReportData(name="first"))).words.split())
    for stage in ("evaluate", "evolve", "train-vision", "train-memory"):
        assert f"not run yet: worldmodels {stage} first" in words
    assert "nan" not in words and "None" not in words


def test_missing_dream_and_baseline_are_named(data: ReportData) -> None:
    words = " ".join(Page(render_report(replace(data, images={}, videos={}, dreams={}, baseline=None))).words.split())
    assert "not run yet: worldmodels dream made-up-figures" in words
    assert "Random policy: not run yet: worldmodels evaluate made-up-figures" in words
    assert "not run yet: worldmodels train" not in words


def test_one_episode_claims_no_interval(data: ReportData) -> None:
    one = replace(data, summary=summarise(np.array([512.0]), 0), episodes=[{"seed": 1, "return": 512.0}])
    words = " ".join(Page(render_report(one)).words.split())
    assert "1 test track 512.0 one episode: no interval" in words
    assert "95 % interval 512.0" not in words and "(95 % 512.0" not in words


def test_wrong_files_are_refused() -> None:
    bare = ReportData(name="first", memory={})
    with pytest.raises(ValueError, match=r"images\['rollouts'\] is not a PNG"):
        render_report(replace(bare, images={"rollouts": b"GIF89a"}))
    with pytest.raises(ValueError, match=r"videos\['drive'\] is neither WebM nor WebP"):
        render_report(replace(bare, videos={"drive": b"\x00\x00\x00 ftypmp42"}))
    webp = b"RIFF\x00\x00\x00\x00WEBPVP8L"
    assert 'src="data:image/webp;base64,' in render_report(replace(bare, videos={"drive": webp}))


def test_same_data_gives_the_same_page(data: ReportData, text: str) -> None:
    assert render_report(data) == text


def test_figures_show_their_curves_and_names(data: ReportData) -> None:
    figure = learning_curve(data.generations, data.baseline)
    for label in (
        "population mean",
        "population ± std",
        "population best",
        "validation of the mean",
        "random policy",
    ):
        assert label in figure
    quantiles = [{**row, "quantile_10": row["mean"] - 9, "quantile_90": row["mean"] + 9} for row in data.generations]
    assert "population 10 to 90 %" in learning_curve(quantiles)
    assert "random policy" not in learning_curve(quantiles)
    baselines = {"mean frame": 31.0, "another": 12.0}
    assert all(name in loss_curves([{"step": 0, "train_loss": 3.0}], baselines) for name in baselines)
    assert data.summary is not None
    strip = return_strip(np.array([row["return"] for row in data.episodes]), data.summary, data.baseline)
    assert strip.count("<use ") >= 100  # a dot per track
    assert f"mean {data.summary.mean:.1f} (95 %" in strip and "solved 900" in strip


def test_figures_refuse_nothing_to_draw(data: ReportData) -> None:
    assert data.summary is not None
    with pytest.raises(ValueError, match="generations"):
        learning_curve([])
    with pytest.raises(ValueError, match="no train_loss"):
        loss_curves([{"step": 1}], {"mean frame": 3.0})
    with pytest.raises(ValueError, match="returns is empty"):
        return_strip(np.array([]), data.summary)
    with pytest.raises(ValueError, match="goes before ids"):
        learning_curve(data.generations, name='a"b')


def test_figures_leave_matplotlib_as_it_was(data: ReportData) -> None:
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    learning_curve(data.generations)
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
