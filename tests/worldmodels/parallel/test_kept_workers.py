"""Processes of Ray that outlive an executor, for the stages of a run."""

import os
import signal

import numpy as np
import psutil
import pytest

from tests.worldmodels.parallel.test_ray_executor import ROLLS, Chaos, alive
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.executor import ExecutorError, WorkerError
from worldmodels.parallel.open import kept_workers, open_executor

pytestmark = [pytest.mark.ray, pytest.mark.slow]


class Other(Chaos):
    """Another kind of worker, which says that the one before it was closed."""

    def roll(self, start):
        return super().roll(start) + 1


class Closing(Chaos):
    """Leaves a mark when it is closed."""

    def close(self):
        (self.folder / f"closed-{os.getpid()}").touch()


def test_kept_workers_are_the_same_processes_with_the_numbers_of_new_ones(tmp_path):
    """Each stage builds its own kind of worker in them; one that died is replaced, and all end with the block."""
    setup, config = {"folder": str(tmp_path), "seed": 0}, ExecutorConfig(workers=2)
    expected = [open_executor(ExecutorConfig(type="serial"), kind, setup).map(ROLLS) for kind in (Closing, Other)]
    before = psutil.Process().children(recursive=True)
    pids, found = [], []
    with kept_workers():
        for kind in (Closing, Other):
            with open_executor(config, kind, setup) as executor, kept_workers():
                found.append(executor.map(ROLLS))
                pids.append({path.read_text() for path in tmp_path.glob("pid-*")})
            with pytest.raises(ExecutorError, match="the executor is closed"):
                next(executor.run(ROLLS))
        assert len(list(tmp_path.glob("closed-*"))) == 2
        os.kill(int(min(pids[1])), signal.SIGKILL)
        with open_executor(config, Other, setup) as executor:
            left = executor.run(ROLLS)
            next(left)
        with open_executor(config, Other, setup) as executor:
            np.testing.assert_array_equal(executor.map(ROLLS), expected[1])
            with pytest.raises(WorkerError, match="a flat tyre"):
                executor.map([("raise", 0)])
        children = [child for child in psutil.Process().children(recursive=True) if child not in before]
    assert pids[0] == pids[1] and len(pids[0]) == 2
    np.testing.assert_array_equal(found, expected)
    assert children and not alive(children)
