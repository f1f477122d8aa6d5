import hashlib
import shutil
from pathlib import Path

import pytest

from scripts.cli import main, parse
from scripts.stages import collect
from tests.worldmodels.agent.cards import table
from worldmodels import Run, load_agent, make_env
from worldmodels.agent.pretrained import agent_folder, unpack_agent
from worldmodels.config import config_from
from worldmodels.seeds import VALIDATION


def test_pretrained_is_unpacked_once(shipped, capsys, tmp_path):
    before = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    assert main(["evaluate", "pretrained", "--tracks", "2"]) == 0
    unpacked = tmp_path / "work" / "runs" / "pretrained"
    assert "over 2 test tracks" in capsys.readouterr().out and (unpacked / "evaluation" / "summary.json").exists()
    (unpacked / "README.md").write_text("mine")
    assert main(["info", "pretrained"]) == 0
    assert main(["evaluate", "pretrained", "--tracks", "2"]) == 0
    assert (unpacked / "README.md").read_text() == "mine"
    assert {path.name for path in unpacked.parent.iterdir()} == {"pretrained"}
    assert {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_run_of_the_users_that_is_named_pretrained_is_used(shipped, copy, capsys):
    shutil.copytree(copy.path, "runs/pretrained")
    assert main(["info", "pretrained"]) == 0
    assert "3 generations" in capsys.readouterr().out and Run("runs/pretrained").begun("evaluate")
    shutil.copytree(copy.path, "pretrained")
    shutil.rmtree("runs")
    assert main(["dream", "pretrained"]) == 0
    assert not list(shipped.glob("dream")) and Run("pretrained").done("dream")


@pytest.mark.slow
def test_a_new_run_may_be_named_pretrained_and_asking_writes_nothing(shipped, monkeypatch, capsys):
    monkeypatch.setattr("worldmodels.run.rates.BUDGET", 0.1)
    assert main(["run", "pretrained", "--preset", "toy", "--dry-run"]) == 0
    with pytest.raises(SystemExit):
        main(["evaluate", "pretrained", "--help"])
    assert parse("evaluate", ["pretrained", "--dry-run"]).config == Run(shipped).config
    assert not Path("runs").exists()


def test_without_a_shipped_agent_the_message_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("worldmodels.agent.pretrained.SHIPPED", tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    for words in (["evaluate", "pretrained"], ["info", "pretrained"], ["export", "pretrained", "copy"]):
        assert main(words) == 1
        assert "holds no agent named `pretrained`" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_shipped_agent_is_read_where_it_is(shipped, finished, tmp_path):
    before = sorted(shipped.rglob("*"))
    agent = load_agent("pretrained")
    assert agent.env_config == finished.config.env
    assert sorted(shipped.rglob("*")) == before and not list((tmp_path / "work").iterdir())
    shutil.copytree(shipped, "pretrained")
    assert str(agent_folder("pretrained")) == "pretrained"


@pytest.mark.slow
def test_the_agent_in_the_package_is_small_and_drives():
    folder = agent_folder("pretrained")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6
    assert {path.suffix for path in files} == {".md", ".yaml", ".json", ".jsonl", ".safetensors"}
    rows = table((folder / "README.md").read_text())
    for path in files:
        if (name := path.relative_to(folder).as_posix()) != "README.md":
            content = path.read_bytes()
            assert rows[f"`{name}`"] == [f"{len(content):,}", f"`{hashlib.sha256(content).hexdigest()}`"], name
    agent = load_agent("pretrained")
    env = make_env(agent.env_config)
    obs, _ = env.reset(seed=VALIDATION[0])
    earned = 0.0
    for _ in range(300):
        obs, reward, *_ = env.step(agent.act(obs))
        earned += float(reward)
    env.close()
    assert earned > 150  # a car that stands still loses 30, one that goes straight on gains some 50


def test_two_that_unpack_at_once_both_find_it(shipped, monkeypatch, tmp_path):
    folder = tmp_path / "runs" / "pretrained"

    def while_another_is_first(_):
        shutil.copytree(shipped, folder)
        return {}

    monkeypatch.setattr("worldmodels.agent.pretrained.files_in", while_another_is_first)
    assert unpack_agent("pretrained", folder) == folder
    assert (folder / "config.yaml").exists() and len(list(folder.parent.iterdir())) == 1


def test_the_shipped_agent_drives_for_a_collection_by_its_name(shipped, finished):
    policies = {"policies": ["agent"], "agent": "pretrained", "episodes": 2, "max_frames": 12, "extends": ""}
    run = Run.create("runs/driven", config_from({"collect": policies, "vision": {"batch": 8}}, finished.config))
    assert list(collect(run))[-1].done == 2
