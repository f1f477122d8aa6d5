"""Drawings come from the disk the second time, and from the pencil whenever the disk fails."""

import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from generative.data.drawn import keeping
from generative.data.drawn.keeping import Drawings

DRAWN = []
"""Numbers of all images that were drawn in this process."""


@dataclasses.dataclass(frozen=True)
class Squares:
    side: int = 4
    shape = (4, 4, 1)

    def draw(self, items):
        DRAWN.extend(items.tolist())
        return np.broadcast_to((items * self.side % 251).astype(np.uint8)[:, None, None, None], (len(items), 4, 4, 1))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENERATIVE_CACHE", str(tmp_path / "cache"))
    DRAWN.clear()
    return tmp_path / "cache"


def test_an_image_is_drawn_once():
    items = np.array([7, 0, 7, 300])
    first = Drawings(Squares())(items)
    assert DRAWN == [7, 0, 7, 300]
    again = Drawings(Squares())(np.array([300, 7, 5]))
    assert DRAWN[4:] == [5] and (again[:2] == first[[3, 0]]).all() and (again[2] == 20).all()


def test_options_and_code_have_files_of_their_own(monkeypatch):
    paths = [Drawings(Squares()).path, Drawings(Squares(5)).path]
    monkeypatch.setattr(keeping, "_code", lambda: "other code")
    assert len({*paths, Drawings(Squares()).path}) == 3


def test_damage_is_seen_and_drawn_anew():
    drawings = Drawings(Squares())
    drawings(np.arange(3))
    content = bytearray(drawings.path.read_bytes())
    content[25] ^= 1  # in the second image
    drawings.path.write_bytes(content[:-1])  # the third is cut short
    DRAWN.clear()
    assert (drawings(np.arange(3)).ravel()[::16] == [0, 4, 8]).all() and DRAWN == [1, 2]


def test_a_file_has_an_end_and_a_folder_that_cannot_be_written_does_no_harm(monkeypatch, cache):
    monkeypatch.setattr(keeping, "LARGEST", 40)
    drawings = Drawings(Squares())
    for _ in range(2):
        drawings(np.arange(4))
    assert DRAWN == [0, 1, 2, 3, 2, 3] and drawings.path.stat().st_size == 40
    assert len(drawings.missing(np.arange(4))) == 0
    cache.joinpath("drawn").rename(cache / "away")
    cache.joinpath("drawn").write_text("no folder")
    assert (drawings(np.arange(2)).ravel()[::16] == [0, 4]).all()


@pytest.mark.slow
def test_drawing_ahead_leaves_nothing_to_draw_and_runs_no_script_again(tmp_path, monkeypatch):
    from generative.data import FacesConfig

    script = ModuleType("__main__")
    script.__file__ = str(tmp_path / "script.py")
    Path(script.__file__).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")  # it has no main guard
    monkeypatch.setitem(sys.modules, "__main__", script)
    config = FacesConfig(size=16, count=600)
    drawings = Drawings(config)
    assert len(drawings.missing(np.arange(500))) == 500
    assert sum(drawings.draw_ahead(np.arange(300), 1)) == 300
    assert drawings.missing(np.arange(500)).tolist() == list(range(300, 500))
    assert (drawings(np.arange(4)) == config.draw(np.arange(4))).all()
    assert not (tmp_path / "ran").exists() and script.__file__ == str(tmp_path / "script.py")
