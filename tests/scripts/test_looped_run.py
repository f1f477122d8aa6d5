"""Every command that reads a run, on one whose results are those of a loop's chosen round, from the command line."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scripts.cli import main
from tests.small import seal
from worldmodels import Run, load_dream
from worldmodels.accuracy.fingerprint import fingerprint
from worldmodels.accuracy.verdict import findings_of_card, findings_of_stages, verdict
from worldmodels.errors import RunError
from worldmodels.files import read_lines
from worldmodels.report.gather import gather, world_verdict

ACCURACY = {
    "controllers": "3", "controller-tracks": "2", "controller-dreams": "2",
}  # fmt: skip
QUICK = [word for name, value in ACCURACY.items() for word in (f"--accuracy.{name}", value)]


@pytest.fixture
def run(_looped, tmp_path):
    """A copy of a looped run that a command may write into."""
    shutil.copytree(_looped.path, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def exported(run, tmp_path):
    assert main(["export", str(run.path), str(tmp_path / "exported"), "--half", "False"]) == 0
    return Run(tmp_path / "exported")


def test_the_chosen_round_is_a_later_one_with_fields_of_its_own(run):
    """Otherwise no test here would find a command that reads the loop's own configuration."""
    chosen = Run(run.chosen_round())
    assert run.done("loop")["chosen_round"] > 0
    assert chosen.config.seed != run.config.seed and chosen.config.evolve.start and not run.config.evolve.start
    assert chosen.config.evolve.optimiser.sigma != run.config.evolve.optimiser.sigma
    assert (run.config.dream.horizon, chosen.config.dream.horizon) == (30, 25)


def test_rounds_are_one_curve(run):
    assert not list(run.path.glob("rounds/*/tensorboard"))
    shown = EventAccumulator(str(run.path / "tensorboard"))
    shown.Reload()
    every = [event.step for event in shown.Scalars("evolve/mean")]
    of_rounds = [len(Run(folder).history("evolve")) for folder in sorted(run.path.glob("rounds/[0-9]*"))]
    assert every == list(range(sum(of_rounds))) and len(of_rounds) > 1


def test_what_was_learnt_has_the_configuration_of_the_round(run):
    chosen = Run(run.chosen_round())
    assert run.learnt == replace(chosen.config, loop=run.config.loop)
    assert chosen.learnt == chosen.config
    run.change(replace(run.config, evaluate=replace(run.config.evaluate, tracks=9)))
    assert run.learnt.evaluate.tracks == 9


def test_a_loop_under_way_has_its_own_configuration(run):
    (run.folder("loop") / "done.json").unlink()
    assert run.learnt == run.config and run.chosen_round() is None


def test_a_chosen_round_that_is_gone_is_named(run):
    (run.chosen_round() / "config.yaml").unlink()
    with pytest.raises(RunError, match=r"rounds.0\d.config\.yaml is missing.*restore it"):
        assert run.learnt


@pytest.mark.slow
def test_accuracy_replays_the_chosen_round(run, capsys):
    assert main(["accuracy", str(run.path), *QUICK]) == 0
    card = json.loads((run.folder("accuracy") / "card.json").read_text())
    assert card["agreement"]["controllers"] == 3 and card["facts"]["dream"]["horizon"] == 25
    assert card["facts"]["round"] == run.chosen_round().name
    assert main(["report", str(run.path)]) == 0
    said = verdict(findings_of_card(card)).headline
    assert all(said in (run.folder(stage) / "index.html").read_text() for stage in ("accuracy", "report"))
    assert main(["info", str(run.path)]) == 0
    assert verdict(findings_of_card(card)).headline in capsys.readouterr().out
    (run.folder("evolve") / "agent.safetensors").unlink()  # a card of other parts does not count
    assert world_verdict(run, fingerprint(run)) == verdict(
        findings_of_stages(run.done("train-vision"), run.done("train-memory"), str(run.path))
    )


@pytest.mark.slow
def test_a_replay_that_leads_elsewhere_names_what_is_possible(run, capsys):
    path = run.folder("evolve") / "generations.jsonl"
    log = read_lines(path)
    log[0]["scores"] = log[0]["scores"][::-1]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in log))
    seal(run, "evolve")
    assert main(["accuracy", str(run.path), *QUICK]) == 1
    said = capsys.readouterr().err
    for cause in ("machine", "versions", "generations.jsonl", "start.safetensors", "config.yaml"):
        assert cause in said


def test_it_is_evaluated_and_shown(run, capsys):
    assert main(["evaluate", str(run.path), "--tracks", "2"]) == 0
    assert main(["dream", str(run.path)]) == 0
    capsys.readouterr()
    assert main(["info", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert f"3 rounds, round {run.chosen_round().name} chosen" in said
    assert main(["report", str(run.path)]) == 0
    page = (run.folder("report") / "index.html").read_text()
    words = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert f"Of 3 rounds, 00 to 02, round {run.chosen_round().name} was chosen." in words
    assert "Not measured on held-out tracks yet" in words and "The agent drives in its dream" in words
    assert "dream return" in words and "real return" in words
    assert "dream.horizon 30 25" in words


def test_losses_and_generations_of_all_rounds_follow_one_another(run):
    data = gather(run, "")
    assert [name for _, name in data.breaks] == ["00", "01", "02"]
    assert [row["generation"] for row in data.generations] == [1, 2, 3, 4, 5, 6]
    steps = [row["step"] for row in data.memory.history]
    assert steps == sorted(steps) and data.memory.breaks == [(0.0, "00"), (40.0, "01"), (50.0, "02")]
    assert data.vision.breaks == [(0.0, "00"), (60.0, "02")]  # round 01 keeps vision
    assert data.dreamt and data.rounds.chosen == run.done("loop")["chosen_round"]


def test_a_loop_under_way_is_reported_by_its_newest_round(run):
    for name in ("rollouts", "vision", "memory", "controller"):
        shutil.rmtree(run.path / name)
    for name in ("done.json", "top_k.jsonl"):
        (run.folder("loop") / name).unlink()
    shutil.rmtree(run.folder("loop") / "02")
    path = run.folder("loop") / "curve.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    data, newest = gather(run, ""), Run(run.folder("loop") / "01")
    assert newest.done("train-memory")["nll"] in data.memory.measures.values() and data.verdict is not None
    assert data.images["rollouts"] == (newest.folder("collect") / "contact_sheet.png").read_bytes()
    assert main(["report", str(run.path)]) == 0
    assert "2 of 3 rounds are finished" in (run.folder("report") / "index.html").read_text()


def test_its_dream_is_the_one_that_taught(run):
    chosen = Run(run.chosen_round())
    assert load_dream(run).config == load_dream(chosen).config == chosen.config.dream


@pytest.mark.slow
def test_an_export_keeps_how_the_round_was_made(run, exported, capsys):
    assert exported.learnt.dream == run.learnt.dream and exported.learnt.seed == run.learnt.seed
    assert main(["evaluate", str(exported.path), "--tracks", "2"]) == 0
    assert main(["evaluate", str(run.path), "--tracks", "2"]) == 0
    ours, theirs = (each.done("evaluate")["summary"] for each in (run, exported))
    assert ours == theirs
    for command in ("dream", "report", "info"):
        capsys.readouterr()
        assert main([command, str(exported.path)]) == 0
    assert f"round {run.chosen_round().name} chosen" in capsys.readouterr().out
    assert "/" not in exported.learnt.evolve.start + exported.learnt.collect.extends


@pytest.mark.slow
def test_a_study_goes_on_from_it(run, tmp_path):
    """A cell that has the whole loop in common takes it, and is measured with the round's configuration."""
    folder = tmp_path / "study"
    folder.mkdir()
    accuracy = "".join(f"  accuracy.{name.replace('-', '_')}: {value}\n" for name, value in ACCURACY.items())
    (folder / "study.yaml").write_text(
        f"run: {run.path}\nset:\n{accuracy}cells: {{same: {{}}}}\nseeds: [{run.config.seed}]\ntracks: 2\n"
    )
    assert main(["study", str(folder), "--workers", "1"]) == 0
    cell = Run(folder / "cells" / f"same-s{run.config.seed}")
    assert cell.learnt.dream == run.learnt.dream and cell.learnt.seed == run.learnt.seed
    assert not list(cell.folder("loop").glob("*/rollouts"))
    card = json.loads((cell.folder("accuracy") / "card.json").read_text())
    assert card["facts"]["dream"]["horizon"] == 25 and "spearman" in card["agreement"]
    assert main(["report", str(cell.path)]) == 0


def test_a_round_is_a_run_for_a_study_too(run, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.yaml").write_text(
        f"run: {run.chosen_round()}\naccuracy: false\ncells: {{other: {{evolve.generations: 1}}}}\n"
        f"seeds: [{run.learnt.seed}]\ntracks: 2\n"
    )
    assert main(["study", str(folder), "--workers", "1"]) == 0
