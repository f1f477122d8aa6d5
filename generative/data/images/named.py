"""Single pictures by name, to paint or to paint like: two photographs, two drawn paintings, and scikit-image's.

china (a temple) and flower (a dahlia) come with scikit-learn; strokes and mosaic are drawn. brick, grass, gravel, cat,
coffee, astronaut and rocket come with scikit-image, where that is installed.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from generative.core.files import read_whole
from generative.core.options import ComponentError, did_you_mean
from generative.data.drawn.paintings import PAINTINGS
from generative.data.images.bundled import photograph
from generative.data.images.pictures import Unreadable, check_stream, open_picture, pixels
from generative.data.images.pixels import resized
from generative.data.images.textures import FILES, whole_picture

PHOTOGRAPHS = ("china", "flower")
NAMES = (*PAINTINGS, *PHOTOGRAPHS, *FILES)
"""Of all pictures that need no file."""


def picture_named(name: str, size: int, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture in colour, its shorter side of `size` pixels.

    Args:
        name: one of `NAMES`, or a file.
        size: in pixels; drawn pictures are squares.
        seed: of what is drawn.

    Raises:
        ComponentError: there is no such name or file, or it is no picture.
    """
    if name in PAINTINGS:
        return PAINTINGS[name](size, seed)
    if name in PHOTOGRAPHS:
        found = photograph(name)
    elif name in FILES:
        found = whole_picture(name)
    else:
        found = picture_file(Path(name))
    scale = size / min(found.shape[:2])
    height, width = (max(size, round(side * scale)) for side in found.shape[:2])
    found = resized(found, height, width, "stretch")
    return np.ascontiguousarray(np.repeat(found, 3, 2) if found.shape[2] == 1 else found)


def picture_file(path: Path) -> UInt8[np.ndarray, "H W C"]:
    """Return the picture in a file; raise ComponentError where there is none."""
    if not path.is_file():
        raise ComponentError(f"{path}: no such file, and no picture of that name;{did_you_mean(str(path), NAMES)}")
    content = read_whole(path, "name a picture, or one of " + ", ".join(NAMES))
    try:
        check_stream(content)
        return pixels(open_picture(content), content)
    except (Unreadable, OSError) as error:
        raise ComponentError(f"{path}: is no picture that can be read ({error}); give a PNG or a JPEG") from error
