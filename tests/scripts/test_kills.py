"""A command that is killed at any operation on files can be given again, and ends in the same numbers.

One in seventeen points is tried by default; WORLDMODELS_KILLS=all tries every one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SHARE = "1" if os.environ.get("WORLDMODELS_KILLS") == "all" else "0.06"


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_was_begun_goes_on_after_a_kill(tmp_path):
    words = [sys.executable, "-m", "tests.scripts.kill_points", str(tmp_path), SHARE]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=root, env=os.environ | ALONE)
    assert done.returncode == 0, done.stderr
    *faults, last = done.stdout.splitlines()
    assert not faults, "\n".join(faults)
    print(last)
    assert int(last.split()[0]) > 6
