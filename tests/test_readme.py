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


def test_an_environment_of_ones_own_is_named_as_the_file_says(tmp_path):
    from worldmodels import preset, read_config

    (tmp_path / "mine.yaml").write_text(block("own"))
    config = read_config(tmp_path / "mine.yaml")
    assert (config.env.id, config.env.max_steps, len(config.env.wrappers)) == ("my_package:Mine-v0", 500, 3)
    assert config.env.crop == (0, 0) and config.vision == preset("quick-real").vision


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
