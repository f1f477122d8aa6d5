import cv2
import numpy as np
import pytest

from generative import ComponentError
from generative.data import FolderConfig
from generative.data.folder import read_image


def write(path, image):
    """Writes red, green and blue (or grey, or with opacity) in the format of the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {2: lambda i: i, 3: lambda i: i[..., ::-1] if i.shape[2] == 3 else i[..., [2, 1, 0, 3]]}[image.ndim]
    done, content = cv2.imencode(path.suffix, order(image))
    assert done
    path.write_bytes(content.tobytes())


def plain(colour, height=20, width=20):
    return np.full((height, width, 3), colour, np.uint8)


def noise(seed=0, size=40):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
@pytest.mark.parametrize("megabytes", [0, 100])
def test_images_come_red_first_at_one_size(tmp_path, suffix, megabytes):
    for number in range(4):
        write(tmp_path / f"{number}{suffix}", plain((200, 60 * number, 10), 20 + number, 30))
    (tmp_path / "notes.txt").write_text("no image")
    data = FolderConfig(str(tmp_path), height=16, width=24, megabytes=megabytes).load()
    images = data.images(np.arange(3)).astype(int)
    assert images.shape == (3, 16, 24, 3) and data.classes == ()
    expected = np.stack([plain((200, 60 * number, 10), 16, 24) for number in data.items])
    assert np.abs(images - expected).max() <= 8


def test_subfolders_are_classes(tmp_path):
    for name, colour in (("b_blue", (0, 0, 255)), ("a_red", (255, 0, 0))):
        for number in range(10):
            write(tmp_path / name / "deep" / f"{number}.png", plain(colour))
    (tmp_path / "empty").mkdir()
    data = FolderConfig(str(tmp_path), height=8, width=8).load()
    assert data.classes == ("a_red", "b_blue")
    images, labels = data.images(np.arange(18)), data.labels(np.arange(18))
    assert (images[labels == 0] == (255, 0, 0)).all() and (images[labels == 1] == (0, 0, 255)).all()
    write(tmp_path / "loose.png", plain((1, 2, 3)))
    with pytest.raises(ComponentError, match=r"1 images lie beside the subfolders, such as loose\.png"):
        FolderConfig(str(tmp_path)).load()


def test_grey_transparent_and_deep_images(tmp_path):
    write(tmp_path / "grey.png", np.full((4, 4), 77, np.uint8))
    assert (read_image(tmp_path / "grey.png", 3) == 77).all()
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2] = (10, 20, 30, 255)
    write(tmp_path / "clear.png", clear)
    image = read_image(tmp_path / "clear.png", 3)
    assert (image[:2] == (10, 20, 30)).all() and (image[2:] == 255).all()
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4), 0x8000, np.uint16))
    assert (read_image(tmp_path / "deep.png", 1) == 128).all()
    assert read_image(tmp_path / "clear.png", 1).shape == (4, 4, 1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("megabytes", [0, 100])
def test_cut_files_are_found_before_training(tmp_path, suffix, megabytes):
    for number in range(3):
        write(tmp_path / f"{number}{suffix}", noise(number))
    content = (tmp_path / f"1{suffix}").read_bytes()
    (tmp_path / f"1{suffix}").write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(ComponentError, match=rf"1\{suffix}: the image is cut short"):
        FolderConfig(str(tmp_path), megabytes=megabytes).load()


def test_a_thumbnails_end_is_not_the_images_end(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.jpg", noise(number))
    content = (tmp_path / "0.jpg").read_bytes()
    header = b"\xff\xe1" + (2 + len(content)).to_bytes(2, "big") + content  # as cameras put a small image inside
    (tmp_path / "0.jpg").write_bytes(content[:2] + header + content[2 : len(content) // 2])
    with pytest.raises(ComponentError, match=r"0\.jpg: the image is cut short"):
        FolderConfig(str(tmp_path)).load()
    (tmp_path / "0.jpg").write_bytes(content[:2] + header + content[2:] + bytes(1000))  # as telephones add a film
    assert len(FolderConfig(str(tmp_path)).load()) == 1


def test_damaged_and_foreign_files_are_named(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", noise(number))
    content = bytearray((tmp_path / "2.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "2.png").write_bytes(content)
    with pytest.raises(ComponentError, match=r"2\.png: damaged"):
        FolderConfig(str(tmp_path)).load()
    lazy = FolderConfig(str(tmp_path), megabytes=0).load()
    with pytest.raises(ComponentError, match=r"2\.png: damaged"):
        for part in (lazy, lazy.held_out()):
            part.images(np.arange(len(part)))
    for content in (b"<html>not found</html>", b""):
        (tmp_path / "2.png").write_bytes(content)
        with pytest.raises(ComponentError, match=r"2\.png: no PNG, JPEG or WebP"):
            FolderConfig(str(tmp_path)).load()


def test_folders_without_enough_images(tmp_path):
    with pytest.raises(ComponentError, match="missing: no such folder"):
        FolderConfig(str(tmp_path / "missing")).load()
    with pytest.raises(ComponentError, match=r"no images; give a folder with \.png"):
        FolderConfig(str(tmp_path)).load()
    write(tmp_path / "only.png", noise())
    with pytest.raises(ComponentError, match="at least 2"):
        FolderConfig(str(tmp_path)).load()


@pytest.mark.parametrize("options", [{"height": 0}, {"width": -1}, {"megabytes": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        FolderConfig("images", **options)
