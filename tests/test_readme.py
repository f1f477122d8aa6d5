"""What the README tells people to type works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name):
    (content,) = re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- end -->", README, re.DOTALL)
    return content


@pytest.mark.slow
@pytest.mark.ray
def test_the_python_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block("python") + "print(action.shape)"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=400,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "evolve 6 of 6 generations" in done.stdout and done.stdout.rstrip().endswith("(3,)")


def test_both_commands_set_up_their_own_environment():
    for name in ("run", "tests"):
        command = block(name).strip()
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ")


def test_the_first_command_is_one_that_the_command_line_knows():
    from scripts.cli import parse

    words = block("run").strip().split("&&")[-1].split()
    assert words[0] == ".venv/bin/worldmodels"
    request = parse(words[1], words[2:])
    assert request.config.preset == "quick" and request.config.evaluate.tracks == 20


def test_every_command_and_preset_is_in_the_tables():
    from scripts.cli import COMMANDS
    from worldmodels import known_presets

    for name in COMMANDS:
        assert f"`worldmodels {name}" in README
    for name in known_presets():
        assert f"| `{name}` |" in README


def test_links_inside_the_repository_exist():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
