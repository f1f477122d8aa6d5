"""The strange environment of `tests/strange_env`, a package of its own that only tests see."""

from pathlib import Path

import pytest

from envs import EnvConfig

STRANGE = EnvConfig(id="strange:Strange-v0", size=16, wrappers=("strange:Shown",))


def folder() -> Path:
    return Path(__file__).parent / "strange_env"


@pytest.fixture
def on_path(monkeypatch):
    """Python's path leads to the package for one test; once imported it stays, as what it registers does."""
    monkeypatch.syspath_prepend(str(folder()))
    return folder()
