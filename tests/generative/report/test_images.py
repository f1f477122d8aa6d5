"""Pictures made of pictures: every pixel is where it should be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generative.report.images import (
    contact_sheet,
    episode_caption,
    grid,
    labelled_rows,
    png_bytes,
    side_by_side,
    write_png,
)

RED = (220, 30, 30)


def solid(colour: tuple[int, int, int], height: int = 48, width: int = 64) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def test_side_by_side_enlarges_by_nearest_neighbour() -> None:
    checker = np.zeros((2, 2, 3), np.uint8)
    checker[0, 0] = checker[1, 1] = 255
    panels = side_by_side([checker, solid(RED, 3, 5)], ["a", "b"], scale=4)
    assert panels.shape == (26 + 12, 8 + 4 + 20, 3)
    assert np.array_equal(panels[26:34, :8], np.kron(checker, np.ones((4, 4, 1), np.uint8)))  # no grey in between
    assert (panels[26:38, 12:] == RED).all()
    assert (panels[34:38, :8] == 255).all()  # the shorter panel leaves white
    with pytest.raises(ValueError, match="1 labels for 2 frames"):
        side_by_side([checker, checker], ["a"])


def test_captions_are_drawn_and_shrink_to_fit() -> None:
    frame = solid((255, 255, 255), 20, 40)
    assert (side_by_side([frame], ["word"])[:26] < 128).any()
    long = side_by_side([frame], ["a very long caption which cannot fit in one hundred and sixty pixels"])
    assert long.shape == (26 + 80, 160, 3)
    assert (long[:26, 80:] < 200).any() and (long[:26, -1] > 200).all()


def test_contact_sheet_shows_evenly_spaced_frames() -> None:
    counter = np.arange(101, dtype=np.uint8)[:, None, None, None] * np.ones((1, 6, 8, 3), np.uint8)
    short = counter[:2] + 200
    sheet = contact_sheet([counter, short], [episode_caption(7, 812.34, 101), "short"], columns=5, scale=2)
    row_height = 26 + 12 + 4
    assert sheet.shape == (2 * row_height - 4, 5 * 16 + 4 * 4, 3)
    assert [int(sheet[30, 8 + 20 * column, 0]) for column in range(5)] == [0, 25, 50, 75, 100]
    assert [int(sheet[row_height + 30, 8 + 20 * column, 0]) for column in range(3)] == [200, 201, 255]
    assert episode_caption(7, 812.34, 101) == "seed 7   return 812.3   101 steps"


def test_contact_sheet_refuses_what_it_cannot_show() -> None:
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    for episodes, captions, columns in (
        ([], [], 4),
        ([frames], [], 4),
        ([frames], ["a"], 0),
        ([frames[:0]], ["a"], 4),
    ):
        with pytest.raises(ValueError):
            contact_sheet(episodes, captions, columns)


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_png(tmp_path / "image.png", image)
    with Image.open(tmp_path / "image.png") as read:
        assert np.array_equal(np.asarray(read), image)
    assert (tmp_path / "image.png").read_bytes() == png_bytes(image)


def test_a_grid_puts_images_in_rows_under_their_captions() -> None:
    tiles = [np.full((6, 8, 3), value, np.uint8) for value in (10, 20, 30)]
    plain = grid(tiles, 2)
    assert plain.shape == (14, 18, 3)
    assert (plain[0, 0, 0], plain[0, 10, 0], plain[8, 0, 0], plain[8, 10, 0]) == (10, 20, 30, 255)
    marked = grid([solid((0, 0, 0))] * 2, 2, ["one", "two"], [False, True])
    bands = [band.reshape(-1, 3).astype(int) for band in (marked[:18, :64], marked[:18, 66:])]
    assert [bool((band[:, 0] - band[:, 2] > 60).any()) for band in bands] == [False, True]  # red letters


def test_labelled_rows_have_their_labels_at_the_left() -> None:
    picture = labelled_rows([solid((0, 0, 0), 20, 30)] * 2, ["a", "longer"])
    assert picture.shape[0] == 42 and (picture[:20, -30:] == 0).all()
    assert (picture[:20, :-30] < 128).any() and (picture[20:22] == 255).all()
