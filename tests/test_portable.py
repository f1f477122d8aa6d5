"""The packages can be imported where Unix's own modules and signals are missing, and tell their types."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("worldmodels", "generative", "agents", "envs", "scripts")

ELSEWHERE = """
import importlib, os, select, signal, sys
for name in {names!r}:  # what others need of Unix is their affair, and loaded now
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] in {packages!r}]:
    del sys.modules[name]
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGPIPE", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGQUIT"):
    delattr(signal, name)
del select.poll, os.sched_getaffinity, os.fork, os.getuid, os.geteuid
for name in {names!r}:
    importlib.import_module(name)
from pathlib import Path

import pytest
from scripts.terminal.signals import carry_out
from generative.core.files import locked
assert carry_out(lambda: 3) == 3
"""


@pytest.mark.slow
def test_all_modules_import_without_unix():
    names = [
        module.name for package in PACKAGES for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    ]
    assert len(names) > 150
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.format(names=names, packages=PACKAGES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_packages_say_that_they_are_typed():
    setup = (ROOT / "setup.cfg").read_text()
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()
        assert f"\n{package} = py.typed" in setup
