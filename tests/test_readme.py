"""What the README tells people to type works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name, text=README):
    """The fenced block that stands between the marker of a name and that of the end."""
    (content,) = re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)```\n<!-- end -->", text, re.DOTALL)
    return content


SMALLER = """
import worldmodels
from tests.small import small_config
worldmodels.preset = {"toy": small_config()}.__getitem__
"""


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    """In a Python of its own, where a preset has fewer steps; with the preset's own, the command runs elsewhere."""
    done = subprocess.run(
        [sys.executable, "-c", SMALLER + block("python") + "print(action.shape)"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=400,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "evolve 3 of 3 generations" in done.stdout and done.stdout.rstrip().endswith("(3,)")


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
