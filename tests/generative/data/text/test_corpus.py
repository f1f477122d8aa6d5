import itertools
from pathlib import Path

import numpy as np
import pytest

from generative import ComponentError
from generative.data import check_data, load_data
from generative.data.text.corpus import UNKNOWN

POEM = "".join(f"{number} green bottles hang on the wall.\n" for number in range(200))


def text_of(data, rows):
    return "".join(data.names("tokens")[token] for token in np.asarray(rows).ravel())


def whole(part):
    return text_of(part, part.get("tokens", np.arange(len(part))))


def test_a_file_comes_back_and_its_last_tenth_is_held_out(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_bytes(b"\xef\xbb\xbf" + POEM.replace("\n", "\r\n").encode())
    data = load_data("text", {"path": str(path), "length": 16})
    check_data(data, batch=8)
    border = len(POEM) - len(POEM) // 10
    assert POEM.startswith(whole(data)) and border - len(whole(data)) < 16
    assert POEM[border:].startswith(whole(data.held_out()))
    assert data.item.sizes == (len(set(POEM)),) and data.names("tokens") == tuple(sorted(set(POEM)))
    assert data.name == "poem.txt" and list(data.origin.files) == ["poem.txt"]


def test_rows_of_contiguous_batches_read_on(tmp_path):
    (tmp_path / "poem.txt").write_text(POEM)
    data = load_data("text", {"path": str(tmp_path / "poem.txt"), "length": 16})
    batches = list(itertools.islice(data.batches(4, seed=1, order="contiguous")(), 5))
    for row in range(4):
        read = text_of(data, [batch[row].numpy() for batch in batches])
        assert len(read) == 80 and read in whole(data) + whole(data)


def test_of_a_folder_whole_documents_are_held_out_and_copies_stay_together(tmp_path):
    texts = {f"{number:02}.txt": f"document {number} " * 9 for number in range(40)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / f"copy-{name}").write_text(text)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    (tmp_path / ".hidden").write_text("secret")
    (tmp_path / "empty.md").write_text(" \n")
    data = load_data("text", {"path": str(tmp_path), "length": 8})
    trained, tested = whole(data), whole(data.held_out())
    numbers = [set(part.replace("document", "").split()[1:-1]) for part in (trained, tested)]
    assert not numbers[0] & numbers[1] and len(numbers[0]) > 25 and numbers[1]
    assert "secret" not in trained + tested
    assert data.origin.lines()[0] == (
        "80 of 83 documents used; left out: hidden: 1 (.hidden); empty: 1 (empty.md); no text in UTF-8: 1 (picture.png)"
    )


def test_rare_characters_share_a_token(tmp_path):
    (tmp_path / "poem.txt").write_text(POEM + "Ω")
    data = load_data("text", {"path": str(tmp_path / "poem.txt"), "length": 16, "vocabulary": 20})
    assert len(data.names("tokens")) == 20 and UNKNOWN in data.names("tokens") and "Ω" not in data.names("tokens")
    assert UNKNOWN in whole(data) and any("rare characters" in note for note in data.origin.notes)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, r"no text in UTF-8 \(empty: 1"),
        (b"\xff\xfe\x00", {}, r"no text in UTF-8 \(no text in UTF-8: 1 \(mine.txt\)\)"),
        (b"short", {}, "less than length=128 characters to train on; give more text, or lower length"),
        (b"x" * 1000, {}, "less than length=128 characters to hold out"),
        (b"x", {"length": 0}, "length=0: give 1 or more"),
        (b"x", {"vocabulary": 1}, "vocabulary=1: give 2 or more"),
        (None, {}, "mine.txt: no such file or folder"),
    ],
)
def test_what_is_no_text_is_refused(content, options, message, tmp_path):
    if content is not None:
        (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises((ComponentError, ValueError), match=message):
        load_data("text", {"path": str(tmp_path / "mine.txt"), **options})


@pytest.mark.slow
def test_a_file_that_may_not_be_read_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "secret.txt").write_text("secret")
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"some words {number} " * 40)
    read = Path.read_bytes

    def refuse(path):
        if path.name == "secret.txt":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    data = load_data("text", {"path": str(tmp_path), "length": 16})
    assert data.origin.left_out == {"cannot be read (Permission denied)": ("secret.txt",)}


def test_without_a_path_it_is_english_that_is_installed():
    data = load_data("text")
    assert len(data) * 128 > 1_500_000 and len(data.names("tokens")) <= 256
    assert any("CPython (PSF-2.0)" in line for line in data.origin.lines()) and "PyTorch" in data.origin.files
    held, trained = (set(whole(part).splitlines()[1:-1]) - {""} for part in (data.held_out(), data))
    assert len(held) > 500 and not held & trained


def test_passages_say_which_folder_they_come_from(tmp_path):
    for folder, word in (("birds", "wren"), ("trees", "oak"), ("fish", "cod")):
        (tmp_path / folder).mkdir()
        for number in range(30):
            (tmp_path / folder / f"{number}.txt").write_text(f"{word} {number} " * 10)
    options = {"path": str(tmp_path), "length": 12}
    data = load_data("passages", options)
    check_data(data, batch=8)
    assert data.names("label") == ("birds", "fish", "trees")
    words = {"birds": "wren", "fish": "cod", "trees": "oak"}
    for part in (data, data.held_out()):
        rows = np.arange(len(part))
        for tokens, label in zip(part.get("tokens", rows), part.get("label", rows), strict=True):
            assert words[data.names("label")[label]] in text_of(data, tokens)
    few = load_data("passages", {**options, "count": 20})
    assert len(few) == 20 and len(few.held_out()) == len(data.held_out())
    assert set(few.get("label", np.arange(20)).tolist()) == {0, 1, 2}
    assert data.names("tokens") == load_data("text", {**options, "length": 8}).names("tokens")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "one.txt").write_text(POEM)
    with pytest.raises(ComponentError, match="it comes from one place"):
        load_data("passages", {"path": str(tmp_path / "alone" / "one.txt")})
