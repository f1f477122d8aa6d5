"""Which executor a kept one is lent for; the processes of Ray themselves are in `test_kept_workers`."""

import pytest

from worldmodels.parallel import open as opening
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.parallel.open import kept_workers, open_executor
from worldmodels.parallel.ray_executor import RayExecutor


class Begun(RayExecutor):
    """Stands for Ray and its workers."""

    every: list["Begun"] = []  # noqa: RUF012
    is_open = True

    def __init__(self, config, factory, setup):
        self.workers, self.built = config.workers, [(factory, setup)]
        self.every.append(self)

    def configure(self, setup, factory):
        self.built.append((factory, setup))

    def end_run(self):
        pass

    def close(self):
        self.is_open = False


@pytest.fixture
def begun(monkeypatch):
    monkeypatch.setattr(opening, "RayExecutor", Begun)
    monkeypatch.setattr(Begun, "every", [])
    return Begun.every


def test_workers_are_kept_as_long_as_they_are_asked_for_alike_and_open(begun):
    with kept_workers():
        for factory in (dict, list):
            with open_executor(ExecutorConfig(workers=2), factory, "setup") as executor:
                assert executor.workers == 2
        assert len(begun) == 1 and begun[0].is_open and begun[0].built == [(dict, "setup"), (list, "setup")]
        with open_executor(ExecutorConfig(workers=1), dict, "setup") as executor:
            assert executor.workers == 1
        assert [each.is_open for each in begun] == [False, True]
        begun[1].close()  # as by a failure
        with open_executor(ExecutorConfig(workers=1), dict, "setup"):
            assert len(begun) == 3
    assert not any(each.is_open for each in begun)
