import io
import zipfile

import numpy as np
import pytest

from generative.core.files import packing
from generative.data.music import chorales
from generative.data.music.pieces import Piece


def test_a_packed_archive_is_whole():
    file = io.BytesIO()
    with packing(file, zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one", "1" * 1000)
    with zipfile.ZipFile(file) as found:
        assert found.testzip() is None and found.read("one") == b"1" * 1000
        assert found.getinfo("one").compress_size < 100


def test_chorales_come_back_as_they_were_kept():
    pieces = [
        Piece(name, np.full((steps, 4), steps, np.int16), steps % 3, "minor") for name, steps in (("a", 4), ("b", 5))
    ]
    found, left_out = chorales.unkept(chorales.kept(pieces, {"too long": ("c", "d")}))
    assert [(each.name, each.upbeat, each.style) for each in found] == [("a", 1, "minor"), ("b", 2, "minor")]
    assert all((one.roll == other.roll).all() for one, other in zip(found, pieces, strict=True))
    assert left_out == {"too long": ("c", "d")}


def test_a_stop_while_chorales_are_packed_is_a_stop(monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile, "_ZipWriteFile", stopped)  # when the archive counts the entry as open
    with pytest.raises(KeyboardInterrupt):
        chorales.kept([Piece("a", np.zeros((4, 4), np.int16))], {})
