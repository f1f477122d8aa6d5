import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from generative import ComponentError
from generative.data import FolderConfig
from generative.data.images.folder import read_image


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


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("megabytes", [0, 100])
def test_images_come_red_first_at_one_size(tmp_path, suffix, megabytes):
    for number in range(4):
        write(tmp_path / f"{number}{suffix}", plain((200, 60 * number, 10), 20 + number, 30))
    (tmp_path / "notes.txt").write_text("no image")
    data = FolderConfig(str(tmp_path), height=16, width=24, megabytes=megabytes).load()
    images = data.get("image", np.arange(len(data))).astype(int)
    assert (
        images.shape == (len(data), 16, 24, 3) and data.names("label") == () and len(data) + len(data.held_out()) == 4
    )
    expected = np.stack([plain((200, 60 * number, 10), 16, 24) for number in data.items])
    assert np.abs(images - expected).max() <= 8


def test_subfolders_are_classes(tmp_path):
    for name, place in (("b_blue", 2), ("a_red", 0)):
        for number in range(10):
            write(tmp_path / name / "deep" / f"{number}.png", plain(np.eye(3)[place] * (246 + number)))
    (tmp_path / "empty").mkdir()
    data = FolderConfig(str(tmp_path), height=8, width=8).load()
    assert data.names("label") == ("a_red", "b_blue")
    images, labels = data.get("image", np.arange(len(data))), data.get("label", np.arange(len(data)))
    assert (images[labels == 0].argmax(-1) == 0).all() and (images[labels == 1].argmax(-1) == 2).all()
    assert any("folders without a picture" in line and "1 (empty)" in line for line in data.origin.lines())
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
    with pytest.raises(ComponentError, match=rf"1 of 3 pictures cannot be used: 1\{suffix} \((cut short|damaged)"):
        FolderConfig(str(tmp_path), megabytes=megabytes).load()


def test_a_thumbnails_end_is_not_the_images_end(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.jpg", noise(number))
    content = (tmp_path / "0.jpg").read_bytes()
    header = b"\xff\xe1" + (2 + len(content)).to_bytes(2, "big") + content  # as cameras put a small image inside
    (tmp_path / "0.jpg").write_bytes(content[:2] + header + content[2 : len(content) // 2])
    with pytest.raises(ComponentError, match=r"0\.jpg \(cut short\)"):
        FolderConfig(str(tmp_path)).load()
    (tmp_path / "0.jpg").write_bytes(content[:2] + header + content[2:] + bytes(1000))  # as telephones add a film
    assert len(FolderConfig(str(tmp_path)).load()) == 1


@pytest.mark.parametrize("megabytes", [0, 100])
def test_damaged_and_foreign_files_are_named(tmp_path, megabytes):
    for number in range(3):
        write(tmp_path / f"{number}.png", noise(number))
    flipped = bytearray((tmp_path / "2.png").read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    for content, said in ((flipped, "damaged"), (b"<html>not found</html>", "no picture"), (b"", "no picture")):
        (tmp_path / "2.png").write_bytes(content)
        with pytest.raises(
            ComponentError, match=rf"1 of 3 pictures cannot be used: 2\.png \({said}.*damaged=leave-out"
        ):
            FolderConfig(str(tmp_path), megabytes=megabytes).load()
    data = FolderConfig(str(tmp_path), megabytes=megabytes, damaged="leave-out").load()
    assert data.origin.lines() == ["2 of 3 files used; left out: damaged: 1 (2.png)"]
    assert set(data.origin.files) == {"0.png", "1.png"}


@pytest.mark.parametrize("megabytes", [0, 100])
def test_a_jpeg_damaged_in_its_middle_is_found(tmp_path, megabytes):
    for number in range(3):
        write(tmp_path / f"{number}.jpg", noise(number, 100))
    content = bytearray((tmp_path / "1.jpg").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 512] = bytes(512)  # a sector of a disk, say; its end is whole
    (tmp_path / "1.jpg").write_bytes(content)
    with pytest.raises(ComponentError, match=r"1\.jpg \(damaged: Corrupt JPEG data"):
        FolderConfig(str(tmp_path), megabytes=megabytes).load()


def test_a_picture_that_changes_while_it_is_trained_on_is_refused(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", noise(number))
    data = FolderConfig(str(tmp_path), megabytes=0).load()
    write(tmp_path / "1.png", noise(9))
    with pytest.raises(ComponentError, match=r"1\.png: was changed since the folder was read"):
        for part in (data, data.held_out()):
            part.get("image", np.arange(len(part)))


def test_of_a_film_the_first_picture_is_read_and_that_is_told(tmp_path):
    write(tmp_path / "still.png", noise(0))
    pictures = [Image.fromarray(plain((250 * number, 0, 0))) for number in range(2)]
    for name in ("film.gif", "pages.tif", "film.webp"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
        assert read_image(tmp_path / name, 3).max() == 0
    said = FolderConfig(str(tmp_path)).load().origin.lines()
    assert said[-1] == "several pictures in a file, the first one read: 3 (film.gif, film.webp, pages.tif)"


def test_a_picture_that_no_memory_holds_is_refused_by_its_header(tmp_path):
    for number in range(2):
        write(tmp_path / f"{number}.png", noise(number))
    header = struct.pack(">IIBBBBB", 33_000, 33_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(c)) + t + c + struct.pack(">I", zlib.crc32(t + c)) for t, c in parts]
    (tmp_path / "wide.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(ComponentError, match=r"wide\.png \(more than 178 million pixels"):
        FolderConfig(str(tmp_path)).load()


def test_what_programs_leave_is_not_counted_and_is_named(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            write(tmp_path / name / f"{number}.png", noise(10 * ord(name) + number))
    for place in ("a/.ipynb_checkpoints/0-checkpoint.png", "__MACOSX/a/0.png", "b/@eaDir/1.png", "a/._1.png"):
        write(tmp_path / place, noise(50))
    for place in (".DS_Store", "a/Thumbs.db", "b/notes.txt"):
        (tmp_path / place).write_text("x")
    data = FolderConfig(str(tmp_path)).load()
    assert data.names("label") == ("a", "b") and len(data) + len(data.held_out()) == 6
    assert len(data.origin.left_out["hidden"]) == 6 and data.origin.left_out["no pictures"] == ("b/notes.txt",)
    assert data.origin.lines()[0].startswith("6 of 13 files used; left out: hidden: 6 (.DS_Store, ")


def test_links_are_followed_and_nothing_counts_twice(tmp_path):
    for number in range(3):
        write(tmp_path / "elsewhere" / f"{number}.png", noise(number))
        write(tmp_path / "data" / "a" / f"{number}.png", noise(10 + number))
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "round").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "a" / "again.png").symlink_to(tmp_path / "data" / "a" / "0.png")
    (tmp_path / "data" / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    data = FolderConfig(str(tmp_path / "data")).load()
    assert data.names("label") == ("a", "b") and len(data) + len(data.held_out()) == 6
    assert {reason.split(" ")[0]: names for reason, names in data.origin.left_out.items()} == {
        "second": ("a/again.png",),
        "broken": ("a/gone.png",),
        "links": ("a/round",),
    }


def test_parts_of_a_data_set_are_no_classes(tmp_path):
    for part in ("Train", "val"):
        for name in ("cat", "dog"):
            write(tmp_path / part / name / "0.png", noise(len(part) * 10 + ord(name[0])))
    with pytest.raises(ComponentError, match=r"Train, val are parts of a data set and no classes; set path to .*Train"):
        FolderConfig(str(tmp_path)).load()


def test_copies_stay_on_one_side_and_are_named(tmp_path):
    for number in range(20):
        write(tmp_path / f"{number:02}.png", noise(number))
        write(tmp_path / f"{number:02} copy.png", noise(number))
    data = FolderConfig(str(tmp_path), 40, 40).load()
    parts = [{image.tobytes() for image in part.get("image", np.arange(len(part)))} for part in (data, data.held_out())]
    assert parts[0] and parts[1] and not parts[0] & parts[1]
    assert data.origin.lines()[1].startswith("copies of other pictures, kept on the same side of the split: 20 (")


def test_pictures_that_come_or_go_move_no_other(tmp_path):
    for number in range(60):
        write(tmp_path / f"{number:02}.png", noise(number, 16))

    def held():
        part = FolderConfig(str(tmp_path), 16, 16).load().held_out()
        return {image.tobytes() for image in part.get("image", np.arange(len(part)))}

    before = held()
    gone = noise(7, 16).tobytes()
    (tmp_path / "07.png").unlink()
    for number in range(60, 80):
        write(tmp_path / f"0a{number}.png", noise(number, 16))
    old = {noise(number, 16).tobytes() for number in range(60)} - {gone}
    assert before - {gone} == held() & old and len(before) > 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_content_says_which_way_is_up(tmp_path, suffix):
    tall = np.zeros((24, 24, 3), np.uint8)
    tall[:12] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it a quarter clockwise
    Image.fromarray(tall).save(tmp_path / f"turned{suffix}", exif=exif)
    (tmp_path / f"turned{suffix}").rename(tmp_path / "turned.jpg" if suffix == ".png" else tmp_path / "turned.png")
    image = read_image(next(tmp_path.iterdir()), 1)[..., 0]
    assert (image[:, :10] < 20).all() and (image[:, 14:] > 235).all()


def test_folders_without_enough_images(tmp_path):
    with pytest.raises(ComponentError, match="missing: no such folder"):
        FolderConfig(str(tmp_path / "missing")).load()
    with pytest.raises(ComponentError, match="no images; give a folder of PNG"):
        FolderConfig(str(tmp_path)).load()
    write(tmp_path / "only.png", noise())
    with pytest.raises(ComponentError, match="at least 2"):
        FolderConfig(str(tmp_path)).load()


@pytest.mark.parametrize("options", [{"height": 0}, {"width": -1}, {"megabytes": -1}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        FolderConfig("images", **options)
