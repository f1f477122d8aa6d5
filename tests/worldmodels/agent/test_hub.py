"""Agents on the Hub: the real client, a small server on this machine, no network."""

import json
import sys
from dataclasses import replace

import huggingface_hub
import pytest
from huggingface_hub import constants

from scripts.cli import main
from tests.worldmodels.agent.hub_server import served
from worldmodels import Run, RunError, load_agent
from worldmodels.agent.hub import TEXT, fetch_agent, local_name, push_agent
from worldmodels.config_files import write_config
from worldmodels.files import files_in

NAME = "hf://ann/driver"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty Hub, where nobody is logged in, and an empty cache."""
    with served() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield hub


@pytest.fixture
def filled(hub, _exported):
    """A Hub that has an agent."""
    hub.repositories["ann/driver"] = {name: path.read_bytes() for name, path in files_in(_exported[True]).items()}
    return hub


@pytest.mark.slow
def test_an_agent_is_pushed_with_its_card_and_comes_back_the_same(hub, finished, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    monkeypatch.chdir(tmp_path)
    assert main(["push", str(finished.path), "ann/driver"]) == 0
    assert f"push: {hub.url}/ann/driver/commit/" in capsys.readouterr().out
    card = hub.repositories["ann/driver"]["README.md"].decode()
    assert card.startswith("---\nlicense: mit") and "hf://ann/driver" in card and "FOLDER" not in card
    ours, theirs = load_agent(finished), load_agent(NAME)
    assert ours._parameters.tobytes() == theirs._parameters.tobytes()
    before = len(hub.asked)
    load_agent(NAME)
    assert not any("/resolve/" in path for _, path in hub.asked[before:])  # what is there is not fetched again
    hub.repositories["ann/driver"]["rounds/07/config.yaml"] = b"of an agent that was a loop's"
    hub.repositories["ann/driver"]["memory/old.json"] = b"{}"
    push_agent(finished, "ann/driver")
    assert "memory/old.json" not in hub.repositories["ann/driver"]


@pytest.mark.slow
def test_commands_take_it_by_its_name(filled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", NAME]) == 0
    assert main(["evaluate", NAME, "--evaluate.tracks", "2", "--executor.type", "serial"]) == 0
    assert Run("runs/ann--driver").done("evaluate")["tracks"] == 2
    assert local_name(f"{NAME}@v1/x") == "ann--driver@v1--x"
    assert "score" in capsys.readouterr().out


def test_what_is_not_there_is_said(filled, monkeypatch):
    with pytest.raises(RunError, match=r"hf://ann/nothing: there is no such repository.*HF_TOKEN"):
        fetch_agent("hf://ann/nothing")
    with pytest.raises(RunError, match="has no revision v9"):
        fetch_agent(f"{NAME}@v9")
    for name in ("hf://ann", "hf://ann/driver/more", "hf://../driver", "hf://ann/driver@../x"):
        with pytest.raises(RunError, match="is named hf://USER/NAME"):
            fetch_agent(name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RunError, match="pip install 'huggingface_hub'"):
        fetch_agent(NAME)


def test_without_a_connection_the_copy_is_taken_or_its_lack_is_said(filled, monkeypatch):
    kept = fetch_agent(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.warns(UserWarning, match="its copy from before is taken"):
        assert fetch_agent(NAME) == kept
    with pytest.raises(RunError, match=r"127.0.0.1:1 cannot be reached.*no copy from before"):
        fetch_agent("hf://ann/other")
    monkeypatch.setattr(constants, "ENDPOINT", filled.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match="no copy from before"):
        fetch_agent("hf://ann/other")


def test_nobody_pushes_without_a_token_or_with_a_wrong_one(hub, finished, monkeypatch):
    with pytest.raises(RunError, match=r"`hf auth login`.*HF_TOKEN"):
        push_agent(finished, "ann/driver")
    monkeypatch.setenv("HF_TOKEN", "hf_read")
    with pytest.raises(RunError, match="needs write access"):
        push_agent(finished, "ann/driver")
    assert not hub.repositories


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("../../evil.json", b"{}", "leads out of its folder"),
        ("controller\\evil.json", b"{}", "leads out of its folder"),
        ("versions.json", b" " * (TEXT + 1), "more than the"),
        ("config.yaml", None, "holds no agent"),
    ],
)
def test_files_that_no_agent_has_are_refused_before_they_are_fetched(filled, tmp_path, file, content, message):
    files = filled.repositories["ann/driver"]
    files.pop(file, None)
    if content is not None:
        files[file] = content
    with pytest.raises(RunError, match=message):
        fetch_agent(NAME)
    assert not any("/resolve/" in path for _, path in filled.asked)


def test_pickles_and_whatever_else_lies_there_are_never_fetched(filled):
    filled.repositories["ann/driver"] |= {"pytorch_model.bin": b"cos\nsystem", "controller/x.pkl": b"", "a.py": b""}
    assert {path.suffix for path in files_in(fetch_agent(NAME)).values()} <= {
        ".md", ".yaml", ".json", ".jsonl", ".safetensors"
    }  # fmt: skip
    filled.claims["versions.json"] = 10  # a size that is not true changes nothing
    filled.repositories["ann/driver"]["versions.json"] = b" " * (TEXT + 1)
    with pytest.raises(RunError):
        fetch_agent(NAME)


def test_weights_that_were_changed_are_refused(filled):
    files = filled.repositories["ann/driver"]
    files["controller/agent.safetensors"] = files["controller/agent.safetensors"][:-4] + b"\0\0\0\1"
    with pytest.raises(RunError, match=r"agent\.safetensors"):
        load_agent(NAME)


@pytest.mark.parametrize(
    "changes",
    [{"env": {"id": "evil_module:Env-v0"}}, {"env": {"wrappers": ["evil_module:W"]}}, {"evaluate": {"env": "evil:E"}}],
)
def test_a_configuration_that_names_code_of_its_own_is_refused(filled, tmp_path, changes):
    files, config = filled.repositories["ann/driver"], Run(fetch_agent(NAME)).config
    for section, fields in changes.items():
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        config = replace(config, **{section: replace(getattr(config, section), **fields)})
    write_config(tmp_path / "config.yaml", config)
    files["config.yaml"] = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(RunError, match="names code or a machine of its author's choice"):
        fetch_agent(NAME)
    agent = json.loads(files["controller/agent.json"])
    assert ":" not in agent["env"]["id"]
