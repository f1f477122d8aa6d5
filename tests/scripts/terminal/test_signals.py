import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import sys, time
from scripts.terminal.signals import carry_out

def main():
    try:
        print("begun", flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        return 130
    finally:
        open(sys.argv[1], "w").write("tidy")
    return 0

sys.exit(carry_out(main))
"""


def begin(tmp_path, before="", **options):
    words = [sys.executable, "-c", before + CODE, str(tmp_path / "note")]
    return subprocess.Popen(words, cwd=ROOT, text=True, **options)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_end_tidies_up_and_says_so(tmp_path, told):
    process = begin(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(told)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + told, "interrupted\n")
    assert (tmp_path / "note").read_text() == "tidy"


def test_a_terminal_that_closes_ends_a_command_as_sighup(tmp_path):
    """What it would still say finds nobody, and is no error of its own."""
    master, slave = pty.openpty()
    process = begin(tmp_path, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                    preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))  # fmt: skip
    os.close(slave)
    while b"begun" not in os.read(master, 1000):
        pass
    os.close(master)
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert (tmp_path / "note").read_text() == "tidy"


def test_what_nohup_ignores_stays_ignored(tmp_path):
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = begin(tmp_path, before, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
