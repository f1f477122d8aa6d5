"""`worldmodels accuracy` from a finished run to its page, and what it leaves out where parts are missing."""

import json
import os
import re
import shutil
import sys
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from generative.report.pages import number
from scripts.accuracy import accuracy, held_out, load_agent_of
from scripts.cli import main
from scripts.info import info
from scripts.stages import evolve
from tests.page import Page
from tests.small import seal, small_config
from worldmodels import Run
from worldmodels.accuracy import AccuracyConfig, CardConfig
from worldmodels.accuracy import config as card_module
from worldmodels.accuracy.fingerprint import fingerprint
from worldmodels.accuracy.page import render_card
from worldmodels.accuracy.verdict import findings_of_card, verdict
from worldmodels.errors import RunError
from worldmodels.report.glance import AccuracyCard
from worldmodels.rollouts.episode import EpisodeFile
from worldmodels.seeds import TEST, VALIDATION

accuracy_module = sys.modules["scripts.accuracy"]
QUICK = {"controllers": 4, "controller_tracks": 2, "controller_dreams": 4}


@pytest.fixture(scope="module")
def measured(_trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "run"
    shutil.copytree(_trained.path, path)
    run = Run.create(path, small_config(accuracy=QUICK))
    for _ in evolve(run):
        pass
    progress = list(accuracy(run))
    assert [state.done for state in progress][-1] == progress[-1].total
    return run


def read(run):
    return json.loads((run.folder("accuracy") / "card.json").read_text())


@pytest.mark.slow
def test_the_card_has_every_measure_of_every_set(measured):
    card = read(measured)
    assert list(card["sets"]) == ["random", "on-policy", "mixed"]
    for content in card["sets"].values():
        for part in ("reconstruction", "one_step", "calibration", "termination", "probes", "open_loop", "pixels",
                     "reward", "physical"):  # fmt: skip
            assert content.get(part), part
        assert content["tracks"] == list(VALIDATION[-card_module.EPISODES :]) and not set(content["tracks"]) & set(TEST)
        assert set(content["one_step"]["nll"]) == {
            "memory", "shuffled_action", "persistence", "linear", "linear_no_action"}  # fmt: skip
        assert set(content["probes"]["now"]) == {"z", "z+h", "z+untrained"}
        assert content["probes"]["names"][0] == "x"
    assert card["agreement"]["controllers"] == 4 and "spearman" in card["agreement"]
    assert card["settings"]["horizons"] == [1, 2, 5, 10, 15, 25]


@pytest.mark.slow
def test_the_page_stands_alone_and_says_what_may_be_compared(measured):
    text = (measured.folder("accuracy") / "index.html").read_text()
    page, card = Page(text), read(measured)
    assert page.loads == [] and text.count("<svg") >= 5
    assert all(row["figure"] in page.words for row in card["comparisons"])
    assert verdict(findings_of_card(card)).headline in page.words
    memory = card["sets"]["random"]["one_step"]["nll"]["memory"]["value"]
    assert f"the memory {number(memory, 3)} (" in page.words
    assert cv2.imread(str(measured.folder("accuracy") / "card.png")).std() > 1  # something is drawn


@pytest.mark.slow
def test_a_card_cannot_inject_markup(measured):
    card = read(measured)
    card["facts"]["run"] = "<script>alert(1)</script>"
    assert "<script>" not in render_card(card) and "<script>" not in AccuracyCard(card)._repr_html_()


@pytest.mark.slow
def test_a_notebook_shows_the_card(measured):
    card = measured.accuracy_card()
    page = Page(card._repr_html_())
    assert card.verdict.headline in page.words and page.loads == []
    gain = read(measured)["sets"]["mixed"]["one_step"]["gain"]["persistence"]["value"]
    assert number(gain, 3) in page.words
    titles = [part.get_suptitle() for part in card.plot().subfigs]
    assert titles[0] == "Error of dreams by horizon" and "Controllers in both worlds" in titles
    assert len(card.plot("reward").subfigs) == 1
    with pytest.raises(RunError, match="no figure 'rewards'; did you mean 'reward'"):
        card.plot("rewards")


@pytest.mark.slow
def test_again_nothing_is_done_and_a_changed_option_keeps_the_episodes(measured, tmp_path):
    shutil.copytree(measured.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert len(list(accuracy(run))) == 1
    before = read(run)
    times = {path: os.stat(path).st_mtime_ns for path in (run.folder("accuracy") / "episodes").iterdir()}
    assert len(times) == 3 * card_module.EPISODES
    run.change(small_config(accuracy={**QUICK, "controllers": 0}))
    list(accuracy(run))
    after = read(run)
    assert {path: os.stat(path).st_mtime_ns for path in times} == times
    assert after["sets"]["random"]["one_step"] == before["sets"]["random"]["one_step"]
    assert after["settings"]["horizons"] == [1, 2, 5, 10, 15, 25] and "controllers=0" in after["agreement"]["skipped"]


@pytest.mark.slow
def test_another_noise_records_the_mixed_episodes_anew_alone(measured, tmp_path, monkeypatch):
    shutil.copytree(measured.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    times = {path.name: os.stat(path).st_mtime_ns for path in (run.folder("accuracy") / "episodes").iterdir()}
    monkeypatch.setattr(CardConfig, "noise", 0.7)
    agent = load_agent_of(run)
    sets = {name: held_out(run, name, agent) for name in ("random", "on-policy", "mixed")}
    for path in (run.folder("accuracy") / "episodes").iterdir():
        assert (os.stat(path).st_mtime_ns != times[path.name]) == path.name.startswith("mixed"), path.name
    calm, wild = sets["on-policy"][0].action, sets["mixed"][0].action
    assert float(wild.diff(dim=0).abs().mean()) > 2 * float(calm.diff(dim=0).abs().mean())


@pytest.mark.slow
def test_an_agent_drives_alike_however_many_episodes_are_missing(measured, tmp_path):
    shutil.copytree(measured.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    path = sorted((run.folder("accuracy") / "episodes").glob("on-policy_*"))[2]
    before = EpisodeFile(path).read()
    path.unlink()
    held_out(run, "on-policy", load_agent_of(run))
    after = EpisodeFile(path).read()
    assert before.track == after.track
    for name in ("obs", "action", "reward", "state"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


@pytest.fixture
def other(measured, tmp_path):
    """The same parts, with an evolution of its own of one generation."""
    shutil.copytree(measured.path, tmp_path / "run")
    run = Run(tmp_path / "run")
    path = run.folder("evolve") / "generations.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    seal(run, "evolve")
    return run


@pytest.mark.slow
def test_world_models_are_asked_about_the_same_controllers(measured, other):
    def driven(**options):
        other.change(small_config(accuracy={**QUICK, **options}))
        return [point["real"] for point in accuracy_module._agreement(other, load_agent_of(other))["points"]]

    theirs = driven(histories=[str(measured.path)])
    assert len(theirs) == 4 and driven() != theirs
    both = driven(histories=[str(measured.path), str(other.path)], controllers=5)
    assert len(both) == 5
    before = fingerprint(other)
    other.change(small_config(accuracy=QUICK))
    assert fingerprint(other) != before


@pytest.mark.slow
def test_controllers_of_other_runs_drive_other_tracks_before_some_are_chosen(measured, other, monkeypatch):
    tracks, drive = [], accuracy_module._drive
    monkeypatch.setattr(accuracy_module, "_drive",
                        lambda trials, parameters, on: tracks.append((len(parameters), list(on))) or
                        drive(trials, parameters, on))  # fmt: skip
    other.change(small_config(accuracy={**QUICK, "histories": [str(measured.path)]}))
    found = accuracy_module._agreement(other, load_agent_of(other))
    assert tracks == [(8, list(VALIDATION[-4:-2])), (4, list(VALIDATION[-2:]))] and found["controllers"] == 4


@pytest.mark.slow
def test_controllers_that_read_something_else_are_refused(measured, other):
    other.change(small_config(accuracy={**QUICK, "histories": [str(measured.path)]}))
    agent = load_agent_of(other)
    stranger = replace(agent[0], features=replace(agent[0].features, reads="vision"))
    with pytest.raises(RunError, match="read other features"):
        accuracy_module._agreement(other, (stranger, agent[1]))
    (measured_copy := other.path.parent / "empty").mkdir()
    shutil.copy(measured.path / "config.yaml", measured_copy)
    other.change(small_config(accuracy={**QUICK, "histories": [str(measured_copy)]}))
    with pytest.raises(RunError, match="has evolved no controller"):
        accuracy_module._agreement(other, agent)


@pytest.mark.slow
def test_without_a_controller_the_rest_is_measured(trained):
    run = Run(trained.path)
    run.change(small_config(accuracy=QUICK))
    list(accuracy(run))
    card = read(run)
    assert "worldmodels evolve" in card["sets"]["on-policy"]["skipped"] and "nll" in card["sets"]["random"]["one_step"]
    assert "skipped" in card["agreement"]
    assert "worldmodels evolve" in (run.folder("accuracy") / "index.html").read_text()
    assert re.search(r"accuracy +.*random episodes: .* nats better than persistence", info(run))


def test_an_untrained_run_is_told_what_comes_first(tmp_path):
    run = Run.create(tmp_path / "run", small_config())
    with pytest.raises(RunError, match="worldmodels collect"):
        list(accuracy(run))


@pytest.mark.slow
def test_the_command_line_knows_it(measured, capsys):
    assert main(["accuracy", str(measured.path)]) == 0
    assert "index.html" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["accuracy", str(measured.path), "--help-all"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for field in fields(AccuracyConfig):
        assert f"--accuracy.{field.name.replace('_', '-')}" in shown
