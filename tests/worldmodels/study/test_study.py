import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import yaml

from generative.report.plots import picture
from tests.small import SMALL
from worldmodels.config import nested
from worldmodels.errors import RunError
from worldmodels.study.file import read_study, study_from, write_study
from worldmodels.study.page import render_study
from worldmodels.study.plots import accuracy_panels, drawn
from worldmodels.study.study import flat, impossible, refuse_changes, steps
from worldmodels.study.table import (
    Row,
    card_figures,
    correlation,
    crossed,
    measured_tracks,
    recipes,
    summaries,
    table_csv,
)

LEARNT = ("collect", "train-vision", "train-memory", "evolve")


def made(**fields):
    return study_from({"preset": "toy", "set": SMALL, "cells": {"base": {}}, "tracks": 4, **fields})


def keys(overrides, **fields):
    (cell,) = made(cells={"one": overrides}, **fields).expand()
    return {step.stage: step.key for step in steps(cell.config)}


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ({"memory.type": "lstm"}, ["train-memory", "evolve"]),
        ({"memory.options.hidden": 16}, ["train-memory", "evolve"]),
        ({"vision.fit.steps": 61}, ["train-vision", "train-memory", "evolve"]),
        ({"collect.episodes": 13}, list(LEARNT)),
        ({"dream.temperature": 1.3}, ["evolve"]),
        ({"dream.warmup": 3}, ["evolve"]),
        ({"dream.noise": "residual"}, ["evolve"]),
        ({"features.reads": "vision"}, ["evolve"]),
        ({"evaluate.baseline": False, "executor.workers": 3}, []),
    ],
)
def test_a_stage_is_shared_unless_what_it_uses_differs(overrides, changes):
    base, other = keys({}), keys(overrides)
    assert [stage for stage in LEARNT if base[stage] != other[stage]] == changes


def test_seeds_repeat_the_recipe_and_optimiser_seeds_evolution():
    base = keys({})
    assert all(base[stage] != key for stage, key in keys({}, seeds=[1]).items())
    again = keys({}, optimiser_seeds=[1])
    assert [stage for stage in LEARNT if base[stage] != again[stage]] == ["evolve"]


def test_random_agents_drive_with_networks_of_the_configured_sizes():
    driven = {"collect.policies": ["random-agent"]}
    one, two = keys(driven), keys({**driven, "memory.options.hidden": 16})
    assert one["collect"] != two["collect"]
    assert one["collect"] == keys({**driven, "memory.fit.steps": 41})["collect"]


def test_a_loop_is_one_step_that_depends_on_everything():
    one, two = (keys({"loop.rounds": 2, "dream.temperature": t}) for t in (1.0, 1.3))
    assert list(one) == ["loop"] and one != two


def test_a_grid_is_every_combination():
    grid = {"memory.type": ["lstm", "mdn-rnn"], "dream.temperature": [1.0, 1.3, 2.0]}
    cells = study_from({"preset": "toy", "grid": grid}).cells
    assert list(cells)[:4] == ["type=lstm_temperature=1.0", "type=lstm_temperature=1.3", "type=lstm_temperature=2.0",
                               "type=mdn-rnn_temperature=1.0"]  # fmt: skip
    assert len(cells) == 6 and cells["type=mdn-rnn_temperature=1.3"] == {"memory.type": "mdn-rnn",
                                                                         "dream.temperature": 1.3}  # fmt: skip
    both = study_from({"preset": "toy", "grid": {"memory.type": ["lstm"], "vision.type": ["pca"]}}).cells
    assert list(both) == ["memory.type=lstm_vision.type=pca"]


def test_cells_times_seeds_times_optimiser_seeds():
    study = made(cells={"a": {}, "b": {"memory": {"type": "lstm"}}}, seeds=[3, 4], optimiser_seeds=[7, 8, 9])
    cells = study.expand()
    assert [cell.folder for cell in cells[:4]] == ["a-s3-o7", "a-s3-o8", "a-s3-o9", "a-s4-o7"] and len(cells) == 12
    assert (cells[-1].config.seed, cells[-1].config.evolve.seed, cells[-1].config.memory.type) == (4, 9, "lstm")
    assert made(evaluate="test", tracks=7).expand()[0].config.evaluate.tracks == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cells": {"a": {"memory.tipe": "lstm"}}}, "cells.a: .*did you mean `memory.type`"),
        ({"cells": {"a": {"memory.options.hiden": 3}}}, "cells.a: .*hidden"),
        ({"cells": {"a": {"memory.type": "lstn"}}}, "cells.a: .*lstm"),
        ({"cells": {"a": {"dream.horizon": 0}}}, r"cells.a: .*dream\.horizon=0"),
        ({"cells": {"a": {"features.stack": 7}}}, r"cells.a: .*features\.stack=7 does nothing here: it needs"),
        ({"set": {"features.stack": 7}}, r"set: .*features\.stack=7 does nothing here: it needs"),
        ({"cells": {"a": {"seed": 3}}}, "study's `seeds`"),
        ({"cells": {"a": {"evolve.seed": 3}}}, "study's `optimiser_seeds`"),
        ({"cells": {"a/b": {}}}, "also a folder's"),
        ({"cells": {}}, "name at least one"),
        ({"set": {"memori.type": "lstm"}}, "set: .*did you mean `memory`"),
        ({"sedes": [0]}, "unknown field `sedes`; did you mean 'seeds'"),
        ({"seeds": [0, 0]}, "different numbers"),
        ({"seeds": []}, "at least one"),
        ({"seeds": 3}, "expected a list"),
        ({"evaluate": "training"}, "not a choice"),
        ({"tracks": 501}, "between 2 and 500"),
        ({"grid": {"memory.type": ["lstm"]}}, "either `grid` or `cells`"),
        ({"config": {"seed": 1}}, "not both"),
        ({"cells": {"a": {"memory": 3, "memory.type": "lstm"}}}, "value of its own"),
    ],
)
def test_what_is_wrong_is_said(fields, message):
    with pytest.raises(RunError, match=message):
        made(**fields)


def test_what_acts_in_one_cell_can_be_set_for_all():
    cells = {"linear": {}, "mlp": {"controller.type": "mlp"}}
    study = made(set={"controller.layers": [9]}, cells=cells)
    assert [cell.config.controller.layers for cell in study.expand()] == [(9,), (9,)]


def test_a_grid_needs_lists_and_distinct_names():
    with pytest.raises(RunError, match="a list of values"):
        study_from({"preset": "toy", "grid": {"memory.type": "lstm"}})
    with pytest.raises(RunError, match="two cells would be named"):
        study_from({"preset": "toy", "grid": {"evolve.start": ["runs/a", "runs a"]}})


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [
        ({"evolve.world": "dream", "memory.options.reward": False}, {}, "predicts no reward"),
        ({"loop.rounds": 2}, {"optimiser_seeds": [1]}, "use seeds"),
        ({"evolve.validation.tracks": 501}, {}, "reach into"),
        (
            {"evolve.validation.tracks": 490, "evolve.validation.top_k": 2, "evolve.validation.top_k_tracks": 20},
            {},
            "reach into",
        ),
        ({"loop.rounds": 2, "evolve.validation": {"tracks": 490, "top_k_tracks": 20}}, {}, "reach into"),
    ],
)
def test_impossible_cells_are_known_before_anything_runs(overrides, fields, reason):
    (cell,) = made(cells={"one": overrides}, **fields).expand()
    assert reason in impossible(cell)
    assert impossible(made().expand()[0]) is None


def test_a_study_survives_its_file(tmp_path):
    study = made(cells={"a": {}, "b": {"memory": {"type": "lstm", "options": {"hidden": 12}}}}, optimiser_seeds=[1],
                 accuracy=False, evaluate="test")  # fmt: skip
    write_study(tmp_path / "study.yaml", study)
    assert read_study(tmp_path / "study.yaml") == study
    assert yaml.safe_load((tmp_path / "study.yaml").read_text())["cells"]["b"]["memory.options.hidden"] == 12
    (tmp_path / "broken.yaml").write_text("cells: [")
    with pytest.raises(RunError, match=r"broken\.yaml, line 1: "):
        read_study(tmp_path / "broken.yaml")
    with pytest.raises(RunError, match="cannot read"):
        read_study(tmp_path / "none.yaml")


def test_flat_and_nested_are_opposites():
    fields = {"memory.type": "lstm", "memory.options.hidden": 3, "seed": 1, "env.options": {}}
    assert flat(nested(fields), "x") == fields


def test_only_cells_and_seeds_may_be_added():
    old = made(cells={"a": {}, "b": {"memory.type": "lstm"}}, seeds=[0, 1])
    refuse_changes(old, made(cells={"c": {"dream.horizon": 9}, "b": {"memory.type": "lstm"}, "a": {}}, seeds=[2, 1, 0]))
    refuse_changes(old, replace(old, accuracy=False, tracks=9, evaluate="test"))
    workers = replace(old.base, executor=replace(old.base.executor, workers=7))
    refuse_changes(old, replace(old, base=workers))
    hotter = replace(old.base, dream=replace(old.base.dream, temperature=2.0))
    for new, message in [
        (replace(old, cells={"a": {}}), "cells.b: .* -> 'missing'"),
        (replace(old, cells={"a": {}, "b": {"memory.type": "transformer"}}), "lstm.*transformer"),
        (replace(old, seeds=(0,)), r"seeds: \[0, 1\] -> \[0\]"),
        (replace(old, optimiser_seeds=(0,)), r"optimiser_seeds: \[\] -> \[0\]"),
        (replace(old, base=hotter), r"dream\.temperature: 1\.0 -> 2\.0"),
    ]:
        with pytest.raises(RunError, match=message):
            refuse_changes(old, new)


def rows_of(study, returns, figures=None):
    """Rows with the given returns by cell and seed, (cells, seeds, tracks)."""
    tracks = list(measured_tracks(study))
    cells = iter(study.expand())
    rows = []
    for mine in returns:
        for values in mine:
            cell = next(cells)
            scored = dict(zip(tracks, map(float, values), strict=True))
            rows.append(Row(cell, "finished", returns=scored, frames=5, core_hours=0.1,
                            figures=(figures or {}).get(cell.folder, {})))  # fmt: skip
    return rows


def test_the_interval_covers_seeds_as_well_as_tracks():
    apart = crossed(np.array([[0.0] * 40, [10.0] * 40]))
    assert (apart.value, apart.ci_low, apart.ci_high) == (5.0, 0.0, 10.0)
    values = np.random.default_rng(0).normal(0, 10, 40)
    one = crossed(values[None])
    assert one.value == pytest.approx(values.mean())
    assert one.ci_high - one.ci_low == pytest.approx(2 * 1.96 * values.std() / 40**0.5, rel=0.1)
    with_seeds = crossed(np.stack([values - 30, values, values + 30]))
    assert with_seeds.ci_high - with_seeds.ci_low > 3 * (one.ci_high - one.ci_low)


def test_cells_are_compared_on_the_same_seeds_and_tracks():
    study = made(cells={"a": {}, "b": {"dream.horizon": 9}}, seeds=[0, 1])
    hard = np.array([[0.0, 500, -80, 40], [30.0, 100, 9, 900]])
    first, second = summaries(study, rows_of(study, [hard, hard + 2]))
    assert first.difference is None and first.score.value == pytest.approx(hard.mean())
    found = second.difference
    assert [found.value, found.ci_low, found.ci_high] == pytest.approx([2, 2, 2])
    rows = rows_of(study, [hard, hard + 2])
    without = [rows[0], Row(rows[1].cell, "failed", "lost"), *rows[2:]]
    first, second = summaries(study, without)
    assert (len(first.rows), first.expected, second.difference.episodes) == (1, 2, 4)
    assert summaries(study, [Row(row.cell, "unfinished") for row in rows])[1].difference is None


CARD = {
    "sets": {
        "random": {
            "one_step": {"gain": {"persistence": {"value": 0.5}}, "action_sensitivity": {"value": 0.25}},
            "open_loop": {"horizons": [1, 10], "energy": {"memory": [{"value": 0.1}, {"value": 0.3}],
                                                          "persistence": [{"value": 0.1}, {"value": 0.6}]}},
            "reward": {"skipped": "no reward head"},
        },
        "on-policy": {"skipped": "no controller"},
    },
    "agreement": {"spearman": {"value": 0.75}, "regret_share": None},
}  # fmt: skip


def test_figures_of_a_card():
    found = card_figures(CARD)
    assert found["random.nll_gain"] == 0.5 and found["random.action_sensitivity"] == 0.25
    assert (found["random.open_loop_10"], found["random.open_loop_10_share"]) == (0.3, 0.5)
    assert found["random.open_loop_50"] is None and found["random.open_loop_50_share"] is None
    assert found["random.reward_r2"] is None and found["on-policy.nll_gain"] is None
    assert found["agreement"] == 0.75 and found["regret_share"] is None


def test_the_table_says_what_differs_and_what_came_of_it():
    study = made(cells={"a": {}, "b": {"collect.policies": ["uniform"]}}, seeds=[5])
    rows = rows_of(study, [[[1, 2, 3, 6]]], {"a-s5": card_figures(CARD)})
    rows.append(Row(study.expand()[1], "failed", "train-vision: lost, alas"))
    first, second = csv.DictReader(io.StringIO(table_csv(study, rows)))
    assert (first["cell"], first["seed"], first["return"], first["tracks"]) == ("a", "5", "3.0", "4")
    assert float(first["ci_low"]) < 3 < float(first["ci_high"])
    assert (first["random.open_loop_10_share"], first["agreement"], first["mixed.reward_r2"]) == ("0.5", "0.75", "")
    assert (second["state"], second["reason"]) == ("failed", "train-vision: lost, alas")
    assert (second["collect.policies"], second["return"]) == ('["uniform"]', "")


def ranked(values, returns):
    study = made(cells={f"c{place}": {} for place in range(len(values))})
    figures = {f"c{place}-s0": {"random.nll_gain": float(value)} for place, value in enumerate(values)}
    return study, rows_of(study, [[[score - 1, score, score, score + 1]] for score in returns], figures)


def test_correlation_of_a_figure_with_return():
    _, rows = ranked([0.1, 0.2, 0.5, 0.4, 0.9], [1, 20, 300, 40, 5000])
    assert correlation(rows, "nll_gain", "random").value == pytest.approx(1.0)
    _, rows = ranked([4.0, 3, 2, 1], [1, 2, 3, 4])
    assert correlation(rows, "nll_gain", "random").value == pytest.approx(-1.0)
    assert correlation(rows, "nll_gain", "mixed") is None
    assert correlation(rows[:2], "nll_gain", "random") is None
    _, rows = ranked([2.0, 2, 2, 2], [1, 2, 3, 4])
    assert correlation(rows, "nll_gain", "random") is None


def test_optimiser_seeds_of_one_world_model_count_once():
    study = made(cells={f"c{place}": {} for place in range(3)}, optimiser_seeds=[0, 1])
    figures = {f"c{place}-s0-o{again}": {"random.nll_gain": float(place)} for place in range(3) for again in (0, 1)}
    rows = rows_of(study, [[[4] * 4, [2] * 4], [[3] * 4, [9] * 4], [[7] * 4, [7] * 4]], figures)
    assert recipes(rows, "nll_gain", "random").tolist() == [[0, 3], [1, 6], [2, 7]]
    assert correlation(rows, "nll_gain", "random").value == pytest.approx(1.0)


def test_the_page_holds_means_plot_and_failures():
    study, rows = ranked([0.1, 0.2, 0.5, 0.4], [1, 20, 300, 40])
    rows[3] = Row(rows[3].cell, "failed", "evolve: <b>lost</b>")
    page = render_study("mine", study, rows, {"core-hours in all": "3.00"})
    assert "300.0 (299.2 to 300.8)" in page
    assert "&lt;b&gt;lost&lt;/b&gt;" in page and "<b>lost" not in page
    assert page.count("<svg") == 2 and "3.00" in page and "10500 to 10503" in page
    cells = summaries(study, rows)
    assert drawn(study, cells) == ["nll_gain"]
    assert picture(accuracy_panels(study, cells)).std() > 1  # something is drawn
    empty = render_study("mine", study, [Row(row.cell, "unfinished") for row in rows], {})
    assert "No cell is finished" in empty and "<svg" not in empty


def test_the_tracks_of_a_study_choose_no_controller():
    study = made(tracks=500)
    assert measured_tracks(study).start == 10_500 and measured_tracks(study).stop == 11_000
    assert list(measured_tracks(made(evaluate="test", tracks=3))) == [0, 1, 2]


def test_the_optimiser_follows_its_own_seed_or_the_runs():
    config = made().base.evolve
    assert config.seed_in(4) == 4 and replace(config, seed=0).seed_in(4) == 0
    with pytest.raises(ValueError, match=r"evolve\.seed=-1"):
        replace(config, seed=-1)
