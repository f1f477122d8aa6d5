import itertools

import numpy as np
import pytest
from PIL import Image

from generative import ComponentError
from generative.data import ShapesConfig, check_data, load_data, two_domains


@pytest.fixture
def folders(tmp_path):
    """Thirty red pictures, and fifty blue ones; how bright each is says which it is."""
    for name, count, channel in (("reds", 30, 0), ("blues", 50, 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            colour = np.zeros((8, 12, 3), np.uint8)
            colour[..., channel] = 50 + 4 * number
            Image.fromarray(colour).save(tmp_path / name / f"{number:02}.png")
    return {"path": str(tmp_path / "reds"), "other": str(tmp_path / "blues"), "size": 8}


def numbers(images, channel):
    """Which pictures these are."""
    assert (images[..., [each for each in range(3) if each != channel]] == 0).all()
    return ((images[:, 0, 0, channel].astype(int) - 50) // 4).tolist()


def test_a_batch_has_images_of_both_domains_that_are_no_pairs(folders):
    data = load_data("domains", folders)
    check_data(data, batch=8, names=("image", "other"))
    seen = []
    for red, blue in itertools.islice(data.batches(9, 0, ("image", "other"), "unpaired", stored=True)(), 60):
        seen.append((numbers(red.numpy(), 0), numbers(blue.numpy(), 2)))
    reds, blues = (set(itertools.chain(*side)) for side in zip(*seen, strict=True))
    partners = {(red, blue) for both in seen for red, blue in zip(*both, strict=True)}
    assert len(partners) > 4 * len(blues)
    held = data.held_out().read(np.arange(len(data.held_out())), ("image", "other"))
    assert reds | set(numbers(held["image"], 0)) == set(range(30)) and not reds & set(numbers(held["image"], 0))
    assert blues | set(numbers(held["other"], 2)) == set(range(50)) and not blues & set(numbers(held["other"], 2))


def test_it_says_where_both_come_from(folders):
    data = load_data("domains", folders)
    assert data.origin.lines() == ["80 of 80 files used"] and len(data.origin.files) == 80
    assert "image/00.png" in data.origin.files and "other/49.png" in data.origin.files


def test_domains_of_unequal_shape_are_refused():
    with pytest.raises(ComponentError, match=r"both: items of \(8, 8, 3\) in shapes and of \(16, 16, 3\) in shapes"):
        two_domains("both", *(ShapesConfig(size=size, count=40).load() for size in (8, 16)))
