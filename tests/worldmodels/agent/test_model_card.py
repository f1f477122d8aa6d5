import hashlib
import json
import shutil

import pytest
import yaml

from scripts.stages import evaluate
from tests.worldmodels.agent.cards import table
from worldmodels import Run
from worldmodels.agent.export import export_agent
from worldmodels.agent.trained import load_vision
from worldmodels.files import append_line, read_lines


def test_the_model_card_tells_the_runs_own_numbers(finished, _exported):
    card = (_exported[True] / "README.md").read_text()
    rows, head = table(card), yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "mit" and head["library_name"] == "worldmodels" and "vae" in head["tags"]
    collected, evolved = finished.done("collect")["env_frames"], finished.done("evolve")
    log = read_lines(finished.folder("evolve") / "generations.jsonl")
    validated = sum(entry["validation_frames"] for entry in log)
    assert f"{collected:,} frames" in rows["collection"][0] and "12 episodes" in rows["collection"][0]
    in_all = validated + sum(entry["frames"] for entry in log)
    assert rows["evolution"] == [
        f"3 generations in the real world; {in_all:,} real frames, {validated:,} of them for validation"
    ]
    assert rows["real frames in all"] == [f"{collected + in_all:,}"]
    assert f"generation {evolved['chosen_generation']}, " in rows["chosen"][0]
    versions = json.loads((finished.path / "versions.json").read_text())
    assert rows["commit"] == [versions["commit"]] and f"torch {versions['torch']}" in rows["versions"][0]
    count = sum(parameter.numel() for parameter in load_vision(finished).parameters())
    assert rows["vision"] == ["vae", f"{count:,}", "float16"]
    assert rows["controller"] == ["linear", f"{evolved['parameters']:,}", "float32"]
    for name in ("vision/model.safetensors", "controller/agent.json", "spent.jsonl"):
        content = (_exported[True] / name).read_bytes()
        assert rows[f"`{name}`"] == [f"{len(content):,}", f"`{hashlib.sha256(content).hexdigest()}`"]


@pytest.mark.slow
def test_the_model_card_says_on_which_weights_the_score_was_measured(finished, _exported, copy, tmp_path):
    summary = finished.done("evaluate")["summary"]
    score = f"Mean return **{summary['mean']:.1f} ± {summary['std']:.1f}** over 4 test tracks"
    for half, folder in _exported.items():
        card = (folder / "README.md").read_text()
        assert score in card and ("exactly these weights" in card) == (not half)
        assert ("until they are evaluated again" in card) == half
    # What is exported in half precision and evaluated again is not rounded twice.
    again = Run(shutil.copytree(_exported[True], tmp_path / "again"))
    for _ in evaluate(again):
        pass
    export_agent(again, tmp_path / "twice")
    assert "exactly these weights" in (tmp_path / "twice" / "README.md").read_text()
    shutil.rmtree(copy.folder("evaluate"))
    export_agent(copy, tmp_path / "unmeasured")
    assert "Not evaluated yet" in (tmp_path / "unmeasured" / "README.md").read_text()


def test_core_hours_are_those_of_training(copy, tmp_path):
    (copy.path / "spent.jsonl").unlink()
    for stage, seconds in (("collect", 3600), ("evolve", 1800), ("evaluate", 9000), ("evolve", 1800)):
        append_line(copy.path / "spent.jsonl", {"stage": stage, "seconds": seconds, "cores": 2})
    export_agent(copy, tmp_path / "agent")
    assert table((tmp_path / "agent" / "README.md").read_text())["core-hours"] == ["4.00"]
    assert Run(tmp_path / "agent").core_hours() == 4
