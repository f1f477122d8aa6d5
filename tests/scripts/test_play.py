import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from scripts.cli import main
from worldmodels.play.parts import RunParts

ENTRY = "import sys; from scripts.cli import entry; sys.path.pop(0); entry()"


@pytest.mark.slow
def test_the_shipped_agent_is_served_until_ctrl_c(tmp_path, monkeypatch, capsys):
    words = ["play", "pretrained", "--port", "0", "--browser", "False"]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", ENTRY, *words], cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as served:  # fmt: skip
        line = served.stdout.readline()
        address = re.search(r"play: pretrained at (http://127\.0\.0\.1:(\d+)/)", line)
        try:
            assert b"worldmodels play" in urlopen(address[1], timeout=20).read()
            monkeypatch.chdir(tmp_path)
            monkeypatch.setattr(RunParts, "of", lambda run: pytest.fail("loaded before the port is taken"))
            assert main(["play", "pretrained", "--port", address[2]]) == 1
            assert f"port {address[2]} is taken" in capsys.readouterr().err
        finally:
            served.send_signal(signal.SIGINT)
            said, errors = served.communicate(timeout=60)
        assert (served.returncode, said, errors) == (0, "play: ended\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere is no run folder"),
        (["pretrained", "--port", "70000"], "--port 70000: must be from 0 to 65535"),
        (["pretrained", "--drivers", "0"], "--drivers 0: must be at least 1"),
        ([], "run is missing"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["play", *words]) != 0
    error = capsys.readouterr().err
    assert said.lower() in error.lower() and error.count("\n") == 1
