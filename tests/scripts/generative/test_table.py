from dataclasses import replace

import pytest

from generative import MODELS, ComponentError
from generative.core.files import write_json
from generative.runs.run_folder import TrainingRun
from scripts.generative import table
from scripts.generative.report import write_report
from tests.scripts.generative.small import config


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "preset", lambda model, name: config(model))
    return table.TableOptions(
        ("pca", "mlp-classifier"), seeds=2, samples=100, runs="runs", out="docs/models.md", device="cpu"
    )


@pytest.mark.slow
def test_rows_have_figures_spread_floor_baseline_and_a_grid(options, tmp_path):
    lines = list(table.main(options))
    page = (tmp_path / "docs" / "models.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == 2 and lines[:2] == rows and lines[2] == "table: docs/models.md"
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert len(cells) == len(table.COLUMNS) and cells[0] == "`pca`" and cells[1] == "shapes 16 px" and cells[2] == "0"
    assert cells[4].startswith("FD[judge-shapes]") and "±" in cells[5] and "components" in cells[7]
    assert (
        cells[8] in ("0 of 2", "1 of 2", "2 of 2") and cells[10] == '<img src="models/pca.png" width="240" alt="pca">'
    )
    assert (tmp_path / "docs" / "models" / "pca.png").read_bytes().startswith(b"\x89PNG")
    assert "accuracy" in rows[1] and "nearest training image" in rows[1]


@pytest.mark.slow
def test_what_is_finished_is_not_done_again(options, monkeypatch, tmp_path):
    stream = table.main(options)
    assert next(stream).startswith("| `pca`")  # stopped after the first row
    stream.close()
    page = (tmp_path / "docs" / "models.md").read_text()
    assert "`pca`" in page and "`mlp-classifier`" not in page
    trained = []
    real = table.train

    def spy(run):
        trained.append(run.path.name)
        return real(run)

    monkeypatch.setattr(table, "train", spy)
    list(table.main(options))
    assert trained == ["mlp-classifier-0", "mlp-classifier-1"]
    before = (tmp_path / "docs" / "models.md").read_text()
    list(table.main(options))
    assert len(trained) == 2 and (tmp_path / "docs" / "models.md").read_text() == before


def test_by_default_every_model_with_the_preset_has_a_row():
    rows = table.chosen(table.TableOptions(seeds=3, seeds_large=2))
    assert [row.name for row in rows if ":" not in row.name] == MODELS.names()
    assert "vae:faces" in {row.name for row in rows} and "vae:book" not in {row.name for row in rows}
    assert all(row.seeds == (2 if ":" in row.name else 3) for row in rows)
    with_ring = table.chosen(table.TableOptions(preset="ring"))
    assert {row.model for row in with_ring if row.preset == "ring"} == {"dcgan", "wgan-gp"}


def test_a_row_can_be_of_another_preset():
    (row,) = table.chosen(table.TableOptions(("vae:faces",)))
    assert (row.model, row.preset, row.stem, row.seeds) == ("vae", "faces", "vae-faces", 1)
    with pytest.raises(ComponentError, match="vae:no"):
        table.chosen(table.TableOptions(("vae:no",)))


@pytest.mark.parametrize("beats", [True, False])
def test_a_row_that_loses_says_why_or_that_nobody_knows(beats, options, tmp_path, monkeypatch):
    figure = {
        "name": "FD",
        "better": "lower",
        "value": 2.0,
        "reference": None,
        "baseline_value": 1.0,
        "baseline": "pca",
    }
    measured = {"headline": {**figure, "beats_baseline": beats}, "verdicts": []}
    run = TrainingRun.create(tmp_path / "run", config("pca"))
    write_json(run.path / "trained.json", {"steps": 0, "seconds": 1.0})
    monkeypatch.setattr(table, "_one", lambda row, seed, _: (run, measured))
    options = replace(options, models=("pca",))
    (tmp_path / "docs").mkdir()
    lines = [next(table.main(options))]
    (tmp_path / "docs" / "models-remarks.yaml").write_text("pca: it is the baseline\n")
    lines.append(next(table.main(options)))
    assert [line.strip("| ").split(" | ")[-1] for line in lines] == (
        ["none", "none"] if beats else [table.UNEXPLAINED, "it is the baseline"]
    )


def test_a_report_of_an_unfinished_run_says_so(tmp_path):
    run = TrainingRun.create(tmp_path / "run", config())
    page = write_report(run).read_text()
    assert "training has not ended" in page and "Not measured yet" in page
