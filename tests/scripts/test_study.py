import csv
import json
import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from scripts.cli import main
from scripts.info import info
from scripts.stages import evaluate
from scripts.studies import jobs
from scripts.studies.jobs import take
from scripts.studies.session import Session
from scripts.study import study
from tests.small import SMALL
from worldmodels import Run
from worldmodels.errors import RunError
from worldmodels.files import read_lines
from worldmodels.parallel.executor import WorkerError
from worldmodels.parallel.open import open_executor
from worldmodels.statistics import summarise
from worldmodels.study.file import study_from

pytestmark = pytest.mark.usefixtures("hasty_vision")
TINY = {
    "collect": {"episodes": 6},
    "vision": {**SMALL["vision"], "fit": {"steps": 12}},
    "memory": {"fit": {"steps": 12}},
    "evolve": {**SMALL["evolve"], "generations": 2, "optimiser": {"population": 4},
               "validation": {"tracks": 2, "every": 2}},
    "evaluate": {"baseline": False},
    "accuracy": {"controllers": 3, "controller_tracks": 2, "controller_dreams": 2},
    "executor": {"type": "serial", "envs": 4},
}  # fmt: skip
CELLS = {
    "mdn-rnn": {},
    "lstm": {"memory.type": "lstm"},
    "diverges": {"memory.type": "transformer", "memory.fit.learning_rate": 100.0},
    "rewardless": {"evolve.world": "dream", "memory.options.reward": False},
}


def plan(**fields):
    return {"preset": "toy", "set": TINY, "cells": CELLS, "tracks": 3, **fields}


def carry_out(folder, **fields):
    session = Session(folder, study_from(plan(**fields)))
    for _ in study(session):
        pass
    return session


def table(folder):
    with open(folder / "table.csv", newline="") as file:
        return {row["folder"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def done(tmp_path_factory, hasty_vision):
    return carry_out(tmp_path_factory.mktemp("study") / "mine")


def made(folder):
    """How often each stage was carried out."""
    shared = [path.name.rpartition("-")[0] for path in sorted((folder / "shared").iterdir()) if path.is_dir()]
    begun = {stage: shared.count(stage) for stage in ("collect", "train-vision", "train-memory", "evolve")}
    for stage, count in begun.items():
        spent = [line for path in folder.glob(f"shared/{stage}-*/spent.jsonl") for line in read_lines(path)
                 if line["stage"] == stage]  # fmt: skip
        assert len(spent) == count * (2 if stage == "train-vision" else 1)  # encoding counts as vision's
    return begun


@pytest.mark.slow
def test_what_cells_have_in_common_is_made_once(done):
    assert made(done.folder) == {"collect": 1, "train-vision": 1, "train-memory": 3, "evolve": 2}
    one, two = (Run(done.folder / "cells" / name) for name in ("mdn-rnn-s0", "lstm-s0"))
    for name in (
        "rollouts/episode_000000.zip",
        "vision/model.safetensors",
        "vision/latents/episode_000000.safetensors",
    ):
        assert os.path.samefile(one.path / name, two.path / name)
    assert not os.path.samefile(one.path / "memory/model.safetensors", two.path / "memory/model.safetensors")
    assert one.config.memory.type == "mdn-rnn" and two.config.memory.type == "lstm"


@pytest.mark.slow
def test_cells_that_fail_or_cannot_be_are_reported_and_the_others_go_on(done):
    rows = table(done.folder)
    states = {name.removeprefix("cells/"): row["state"] for name, row in rows.items()}
    assert states == {"mdn-rnn-s0": "finished", "lstm-s0": "finished", "diverges-s0": "failed",
                      "rewardless-s0": "impossible"}  # fmt: skip
    assert rows["cells/diverges-s0"]["reason"].startswith("train-memory: ")
    assert "predicts no reward" in rows["cells/rewardless-s0"]["reason"] and not rows["cells/rewardless-s0"]["return"]
    assert len(list((done.folder / "shared").glob("train-memory-*.failure.txt"))) == 1
    assert "predicts no reward" in (done.folder / "index.html").read_text()


@pytest.mark.slow
def test_the_table_says_what_the_cells_folders_say(done):
    for cell in done.cells[:2]:
        run, row = Run(done.path(cell)), table(done.folder)[f"cells/{cell.folder}"]
        played = read_lines(run.path / "validation" / "episodes.jsonl")
        assert [line["track"] for line in played] == [10_500, 10_501, 10_502]
        summary = summarise(np.array([line["return"] for line in played]), seed=0)
        assert [float(row[name]) for name in ("return", "ci_low", "ci_high")] == [summary.mean, summary.ci_low,
                                                                               summary.ci_high]  # fmt: skip
        assert int(row["frames"]) == run.done("collect")["env_frames"] + run.done("evolve")["env_frames"]
        card = json.loads((run.folder("accuracy") / "card.json").read_text())
        found = card["sets"]["random"]
        assert float(row["random.nll_gain"]) == found["one_step"]["gain"]["persistence"]["value"]
        assert float(row["on-policy.action_sensitivity"]) == \
            card["sets"]["on-policy"]["one_step"]["action_sensitivity"]["value"]  # fmt: skip
        energy, at = found["open_loop"]["energy"], card["settings"]["horizons"].index(10)
        assert float(row["random.open_loop_10"]) == energy["memory"][at]["value"]
        share = energy["memory"][at]["value"] / energy["persistence"][at]["value"]
        assert float(row["random.open_loop_10_share"]) == pytest.approx(share)
        stages = [line["stage"] for line in read_lines(run.path / "spent.jsonl")]
        assert stages == ["collect", "train-vision", "train-vision", "train-memory", "evolve", "measure", "accuracy"]
        spent = sum(line["seconds"] for line in read_lines(run.path / "spent.jsonl")
                    if line["stage"] in ("collect", "train-vision", "train-memory", "evolve"))  # fmt: skip
        assert float(row["core_hours"]) == pytest.approx(spent / 3600, abs=1e-5)
        assert math.isfinite(float(row["random.reward_r2"]))
    assert (done.folder / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_cell_is_an_ordinary_run_folder(done, tmp_path):
    run = Run(done.folder / "cells" / "lstm-s0")
    text = info(run)
    assert "evolve        2 generations" in text and "collect       6 episodes" in text
    assert [row["step"] for row in run.history("train-memory")][-1] == 12
    assert run.config.executor == done.study.base.executor and run.config.dtype != "auto"
    copy = Run.create(tmp_path / "copy", run.config)
    for stage in ("collect", "train-vision", "train-memory", "evolve"):
        take(run, copy, stage)
    copy.config = replace(copy.config, evaluate=replace(copy.config.evaluate, tracks=2))
    list(evaluate(copy))
    assert copy.done("evaluate")["tracks"] == 2


def without_time(folder):
    """All but the time it took and the accuracy, which the second study leaves out for speed."""
    names = ("state", "memory.type", "return", "ci_low", "ci_high", "tracks", "frames")
    return {cell: [row[name] for name in names] for cell, row in table(folder).items()}


@pytest.mark.slow
def test_a_stopped_study_goes_on_to_the_same_table(done, tmp_path, monkeypatch):
    """Ctrl-C in the middle of the second memory's training."""
    original, begun = jobs.STAGE_FUNCTIONS["train-memory"], []

    def stops(run):
        begun.append(run.path.name)
        for progress in original(run):
            yield progress
            if len(begun) == 2 and progress.unit == "steps":
                raise KeyboardInterrupt

    monkeypatch.setitem(jobs.STAGE_FUNCTIONS, "train-memory", stops)
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path / "s", accuracy=False)
    assert {row["state"] for row in table(tmp_path / "s").values()} == {"unfinished", "impossible"}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "s" / "shared").glob("*/*/done.json")}
    assert {path.parent.name for path in kept} == {"rollouts", "vision", "memory"}
    monkeypatch.setitem(jobs.STAGE_FUNCTIONS, "train-memory", original)
    carry_out(tmp_path / "s", accuracy=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert without_time(tmp_path / "s") == without_time(done.folder)
    for name in ("mdn-rnn-s0", "lstm-s0"):
        agent = f"cells/{name}/controller/agent.safetensors"
        one, two = tmp_path / "s" / agent, done.folder / agent
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_evolution_alone_is_repeated_on_the_same_memory_and_cells_are_added_later(tmp_path):
    fields = {"cells": {"one": {}}, "optimiser_seeds": [0, 1], "accuracy": False, "evaluate": "test", "tracks": 2}
    session = carry_out(tmp_path / "s", **fields)
    assert made(session.folder) == {"collect": 1, "train-vision": 1, "train-memory": 1, "evolve": 2}
    first, second = (Run(session.path(cell)) for cell in session.cells)
    logs = [read_lines(run.folder("evolve") / "generations.jsonl") for run in (first, second)]
    assert logs[0][0]["scores"] != logs[1][0]["scores"]
    for run, row in zip((first, second), table(session.folder).values(), strict=True):
        assert float(row["return"]) == run.done("evaluate")["summary"]["mean"]
        assert row["random.nll_gain"] == ""
    before = {path: path.stat().st_mtime_ns for path in session.folder.glob("*/*/*/done.json")}
    more = {**fields, "cells": {"one": {}, "two": {"features.reads": "vision"}}}
    carry_out(tmp_path / "s", **more)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert made(session.folder)["evolve"] == 4 and made(session.folder)["train-memory"] == 1
    assert len(table(session.folder)) == 4
    shutil.rmtree(session.folder / "shared")
    carry_out(tmp_path / "s", **{**more, "tracks": 3})  # more tracks need no training
    assert {row["tracks"] for row in table(session.folder).values()} == {"3"}
    assert not (session.folder / "shared").exists()
    with pytest.raises(RunError, match=r"cells\.one.*missing"):
        carry_out(tmp_path / "s", **{**fields, "cells": {"two": {"features.reads": "vision"}}})


@pytest.mark.slow
def test_a_study_goes_on_from_what_a_run_has_done(done, tmp_path):
    """One world: rollouts and vision of a run for both cells, its memory and controller for the one that is like it."""
    run = done.path(done.cells[0])
    fields = {"run": str(run), "accuracy": False, "tracks": 2, "cells": {"same": {}, "lstm": {"memory.type": "lstm"}}}
    session = Session(tmp_path / "s", study_from(fields))
    assert session.study.base.collect.episodes == 6 and session.study.seeds == (0,)
    list(study(session))
    same, lstm = (session.path(cell) for cell in session.cells)
    for name in ("rollouts/episode_000000.zip", "vision/model.safetensors"):
        assert os.path.samefile(run / name, same / name) and os.path.samefile(run / name, lstm / name)
    for name in ("memory/model.safetensors", "controller/agent.safetensors"):
        assert os.path.samefile(run / name, same / name) and not os.path.samefile(run / name, lstm / name)
    assert {row["state"] for row in table(session.folder).values()} == {"finished"}
    assert "begun from" in (session.folder / "index.html").read_text()
    shutil.rmtree(session.folder / "shared")
    list(study(Session(session.folder, session.study)))
    assert not (session.folder / "shared").exists()


@pytest.mark.slow
def test_a_run_that_no_cell_goes_on_from_is_refused(done, tmp_path):
    fields = {"run": str(done.path(done.cells[0])), "seeds": [7]}
    with pytest.raises(RunError, match=r"leave its seed \(0\)"):
        list(study(Session(tmp_path / "s", study_from({"cells": {"one": {}}, **fields}))))
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({"cells": {"one": {}}, **fields}))
    assert main(["study", str(tmp_path / "s"), "--file", str(file), "--dry-run"]) == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_loop_is_done_as_a_whole(tmp_path):
    collect = {"episodes": 2, "max_frames": 20, "policies": ["agent", "action-hold"]}
    later = {"collect": collect, "memory": {"fit": {"steps": 4}}, "evolve": {"generations": 1}}
    rounds = {"rounds": 2, "vision_every": 2, "later": later}
    cells = {"loop": {"loop": rounds, "evolve.world": "dream", "evolve.validation.top_k_tracks": 2}}
    session = carry_out(tmp_path / "s", cells=cells, accuracy=False, tracks=2)
    (shared,) = (tmp_path / "s" / "shared").iterdir()
    assert shared.name.startswith("loop-") and (shared / "rounds" / "01" / "config.yaml").exists()
    run = Run(session.path(session.cells[0]))
    assert run.done("loop")["rounds"] == 2 and "2 rounds" in info(run)
    row = table(tmp_path / "s")["cells/loop-s0"]
    assert row["state"] == "finished" and int(row["frames"]) == run.done("loop")["env_frames"]
    assert float(row["core_hours"]) > 0


@pytest.mark.slow
def test_the_seed_of_the_run_is_the_seed_of_evolution_by_default(done, trained):
    """The same memory, evolved with the run's seed, and with that number as the seed of evolution."""
    from scripts.stages import evolve

    trained.config = replace(trained.config, evolve=replace(trained.config.evolve, generations=1))
    logs = []
    for seed in (None, trained.config.seed, 5):
        trained.config = replace(trained.config, evolve=replace(trained.config.evolve, seed=seed))
        list(evolve(trained))
        logs.append(read_lines(trained.folder("evolve") / "generations.jsonl")[0]["scores"])
        for path in trained.folder("evolve").iterdir():
            path.unlink()
    assert logs[0] == logs[1] != logs[2]


@pytest.mark.slow
def test_the_command(done, tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(plan()))
    assert main(["study", str(tmp_path / "new"), "--file", str(file), "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "4 runs of 4 cells from 1 sets of rollouts, 1 visions, 4 memories, 4 controllers" in captured.out
    assert "rewardless-s0 impossible" in captured.err and not (tmp_path / "new").exists()
    assert main(["study", str(done.folder)]) == 1  # taken up from its own folder; one cell fails again
    captured = capsys.readouterr()
    assert "diverges-s0 failed" in captured.err and str(done.folder / "table.csv") in captured.out
    assert main(["study", str(tmp_path / "nothing")]) == 2
    assert "--file" in capsys.readouterr().err
    file.write_text(yaml.safe_dump(plan(cells={"mdn-rnn": {"memory.options.hiden": 3}})))
    assert main(["study", str(tmp_path / "new"), "--file", str(file)]) == 1
    assert "hidden" in capsys.readouterr().err
    assert main(["study", str(tmp_path), "--file", str(file).replace("study.yaml", "none.yaml")]) == 1
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(plan(set={**TINY, "seed": 0, "dream": {"horizon": 9}})))
    assert main(["study", str(done.folder), "--file", str(file)]) == 1
    assert "dream.horizon: 30 -> 9" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_study_of_impossible_cells_alone_fails_with_each_reason_and_makes_nothing(tmp_path, capsys, more):
    cells = {"rewardless": CELLS["rewardless"], "again": CELLS["rewardless"], "many": {"evolve.validation.tracks": 501}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(plan(cells=cells, seeds=[0, 1])))
    assert main(["study", str(tmp_path / "s"), "--file", str(tmp_path / "study.yaml"), *more]) == 1
    first, *reasons = capsys.readouterr().err.splitlines()
    assert first == "worldmodels study: no cell of the study can be run, nothing was made"
    names = [line.partition(" impossible: ")[0] for line in reasons]
    assert names == ["again-s0, again-s1, rewardless-s0, rewardless-s1", "many-s0, many-s1"]
    assert "predicts no reward" in reasons[0] and "reach into" in reasons[1]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("fails", "code"), [(False, 0), (True, 1)])
def test_a_study_whose_cells_failed_fails_but_impossible_ones_are_left_out(tmp_path, monkeypatch, capsys, fails, code):
    def outcomes(executor, todo):
        yield from [(0, "out of luck" if fails else "")] if todo else []

    monkeypatch.setattr("scripts.study._outcomes", outcomes)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(plan(cells={"one": {}, "rewardless": CELLS["rewardless"]})))
    assert main(["study", str(tmp_path / "s"), "--file", str(tmp_path / "study.yaml")]) == code
    said = capsys.readouterr().err
    assert "rewardless-s0 impossible: " in said and ("one-s0 failed: collect: out of luck\n" in said) is fails


def test_relative_paths_mean_the_same_in_every_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "mark").write_text("this study")
    jobs.StudyWorker(jobs.StudySetup("here", tmp_path / "mark", "this study"))
    assert os.getcwd() == str(tmp_path / "here")


def test_a_machine_that_does_not_share_the_disk_is_told_before_the_first_job(tmp_path):
    """What a worker on another machine finds: nothing, its own folder at the same path, or no folder to start from."""
    mark, here = tmp_path / "study" / ".shared", str(tmp_path)
    with pytest.raises(RunError, match=r"does not see .*study as it is .* a disk that all machines share"):
        jobs.StudyWorker(jobs.StudySetup(here, mark, "this study"))
    mark.parent.mkdir()
    mark.write_text("another study")
    with pytest.raises(RunError, match=r"does not see .*study as it is"):
        jobs.StudyWorker(jobs.StudySetup(here, mark, "this study"))
    with pytest.raises(RunError, match=r"does not see .*elsewhere as it is"):
        jobs.StudyWorker(jobs.StudySetup(f"{here}/elsewhere", mark, "another study"))
    with pytest.raises(WorkerError, match=r"building a worker: .* does not see") as caught:
        open_executor(jobs.ALONE, jobs.StudyWorker, jobs.StudySetup(here, mark, "this study"))
    assert "Traceback" not in str(caught.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("\\section{}")
    with pytest.raises(RunError, match="is no study"):
        carry_out(tmp_path)


@pytest.mark.slow
def test_two_processes_do_not_work_on_one_study(done):
    running = study(Session(done.folder, done.study))
    next(running)
    with pytest.raises(RunError, match="another process"):
        next(study(Session(done.folder, done.study)))
    running.close()
