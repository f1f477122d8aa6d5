"""What the README tells people to type works."""

import re
from pathlib import Path

import pytest

from tests.small import small_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name, text=README):
    """The fenced block that stands between the marker of a name and that of the end."""
    (content,) = re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- end -->", text, re.DOTALL)
    return content


@pytest.mark.slow
def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    """With a preset of fewer steps; with its own, the command runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("worldmodels.preset", {"toy": small_config()}.__getitem__)
    exec(compile(block("python") + "print(action.shape)", "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "evolve 3 of 3 generations" in said and said.rstrip().endswith("(3,)")


def test_both_commands_set_up_their_own_environment():
    for name in ("run", "tests"):
        command = block(name).strip()
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ")


def test_the_first_command_is_one_that_the_command_line_knows():
    from scripts.terminal.request import parse

    words = block("run").strip().split("&&")[-1].split()
    assert words[0] == ".venv/bin/worldmodels"
    request = parse(words[1], words[2:])
    assert request.config.preset == "quick" and request.config.evaluate.tracks == 20


def test_the_cpu_build_is_that_of_the_constraints():
    assert f"{re.search(r'torch==[0-9.]+', (ROOT / 'constraints.txt').read_text())[0]} --index-url" in block("cpu")
