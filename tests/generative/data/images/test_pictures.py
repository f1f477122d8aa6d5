import io

import cv2
import numpy as np
import pytest
from PIL import Image

from generative.data import FolderConfig
from generative.data.images.folder import read_image
from generative.data.images.pictures import check_stream, is_picture

COLOURS = np.zeros((8, 6, 3), np.uint8)
COLOURS[:4] = (250, 10, 20)


def opaque(colours):
    return Image.fromarray(np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)]))


PICTURES = {
    "palette.png": Image.fromarray(COLOURS).quantize(8),
    "palette.gif": Image.fromarray(COLOURS).quantize(8),
    "palette.bmp": Image.fromarray(COLOURS).quantize(8),
    "ink.jpg": Image.fromarray(COLOURS).convert("CMYK"),
    "ink.tif": Image.fromarray(COLOURS).convert("CMYK"),
    "luma.tif": Image.fromarray(COLOURS).convert("YCbCr"),
    "opaque.png": opaque(COLOURS),
    "opaque.webp": opaque(COLOURS),
}


@pytest.mark.parametrize("name", PICTURES)
def test_colours_are_meant_however_they_are_stored(tmp_path, name):
    lossless = {"quality": 100, "subsampling": 0} if name.endswith("jpg") else {"lossless": True}
    PICTURES[name].save(tmp_path / name, **lossless)
    assert np.abs(read_image(tmp_path / name, 3).astype(int) - COLOURS).max() <= 3


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled(tmp_path, name, channels):
    deep = np.random.default_rng(0).integers(0, 256, (8, 6, channels), np.uint8)
    if channels == 4:
        deep[..., 3] = 255
    order = [2, 1, 0, 3][:channels] if channels > 1 else [0]
    cv2.imwrite(str(tmp_path / name), deep[..., order].astype(np.uint16) * 257)
    assert (read_image(tmp_path / name, min(channels, 3)) == deep[..., :3]).all()


def test_twelve_bits_in_sixteen_come_out_as_bright_as_they_are(tmp_path):
    """Cameras and scanners use as many bits as they have; the brightest number of the whole folder tells."""
    for number in range(6):
        ramp = np.linspace(0, 4095 if number == 3 else 1000 + number, 64).reshape(8, 8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), ramp.astype(np.uint16))
    data = FolderConfig(str(tmp_path), 8, 8, channels=1).load()
    brightest = sorted(data.readers["image"](np.arange(6)).max((1, 2, 3)).tolist())
    assert brightest == [62, 62, 62, 63, 63, 255]
    assert data.origin.lines()[1].startswith("more than 8 bits a colour, 4095 read as white: 6 (0.png")


def test_fractions_are_read_from_0_to_1_and_refused_beyond(tmp_path):
    Image.fromarray(COLOURS[..., 0] / np.float32(255)).save(tmp_path / "unit.tif")
    assert (read_image(tmp_path / "unit.tif", 1)[..., 0] == COLOURS[..., 0]).all()
    Image.fromarray(COLOURS[..., 0].astype(np.float32)).save(tmp_path / "far.tif")
    with pytest.raises(ValueError, match=r"far\.tif: fractions from 0 to 250"):
        read_image(tmp_path / "far.tif", 1)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    clear = np.array(opaque(COLOURS))
    clear[4:, :, 3] = 0
    picture = Image.fromarray(clear)
    picture = picture.quantize(8) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "clear.png")
    image = read_image(tmp_path / "clear.png", 3)
    assert (image[4:] == 255).all() and (image[:4] < 255).all()


def test_most_damage_inside_a_jpeg_is_found():
    """Of sectors that were zeroed: what libjpeg warns of. Single bits often make another right picture."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(file, "JPEG")
    whole, found = file.getvalue(), 0
    check_stream(whole)
    for place in range(2000, len(whole) - 2000, len(whole) // 20):
        damaged = bytearray(whole)
        damaged[place : place + 512] = bytes(512)
        try:
            check_stream(bytes(damaged))
        except ValueError:
            found += 1
    assert found >= 17


def test_the_first_bytes_say_what_a_file_is():
    for name in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        file = io.BytesIO()
        Image.fromarray(COLOURS).save(file, name)
        assert is_picture(file.getvalue()[:32])
    assert not any(is_picture(head) for head in (b"", b"BMW is a car and no picture, is it", b"<svg>", b"RIFF....WAVE"))
