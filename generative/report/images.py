"""Pictures made of pictures: in rows, columns and grids, with captions; and PNG.

Pixels are enlarged by nearest neighbour, never smoothed: a picture should look like what the model sees.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from generative.core.files import write_bytes

PAPER, INK, RED = (255, 255, 255), (31, 36, 48), (196, 52, 48)
CAPTION_HEIGHT = 26
GAP = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def png_bytes(image: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return an RGB image as PNG."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def write_png(path: Path, image: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write an RGB image as PNG; the file appears whole or not at all."""
    write_bytes(Path(path), png_bytes(image))


def as_rgb(frames: UInt8[np.ndarray, "*T H W C"]) -> UInt8[np.ndarray, "*T H W 3"]:
    """Return frames of one or three channels as RGB."""
    return frames if frames.shape[-1] == 3 else np.repeat(frames[..., :1], 3, axis=-1)


def enlarged(image: UInt8[np.ndarray, "_ _ 3"], scale: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return an image a whole number of times as large; less than 1 is a ValueError."""
    if scale < 1:
        raise ValueError(f"scale={scale}: images are enlarged by a whole number, at least 1")
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


def outlined(frame: UInt8[np.ndarray, "H W 3"], color: tuple[int, int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Return a copy of a frame whose outermost pixels have a colour."""
    marked = frame.copy()
    marked[[0, -1]] = marked[:, [0, -1]] = color
    return marked


def captioned(
    image: UInt8[np.ndarray, "_ W 3"],
    text: str,
    size: float = 0.5,
    height: int | None = None,
    colour: tuple[int, int, int] = INK,
) -> UInt8[np.ndarray, "_ W 3"]:
    """Return an image under its caption, each line of which shrinks until it fits the width."""
    thickness = 1 + (size > 0.7)
    height = round(2 * size * CAPTION_HEIGHT) if height is None else height
    lines = []
    for line in text.split("\n"):
        width, _ = cv2.getTextSize(line, _FONT, size, thickness)[0]
        fitting = size * min(1.0, (image.shape[1] - 2) / max(width, 1))
        band = np.full((height, image.shape[1], 3), PAPER, np.uint8)
        lines.append(cv2.putText(band, line, (1, height - height // 3), _FONT, fitting, colour, thickness, cv2.LINE_AA))
    return np.concatenate([*lines, image])


def row(images: Sequence[UInt8[np.ndarray, "_ _ 3"]], gap: int = GAP) -> UInt8[np.ndarray, "H W 3"]:
    """Return images from left to right on white, tops aligned."""
    height = max(image.shape[0] for image in images)
    padded = [_padded(image, height, image.shape[1] + gap) for image in images]
    return np.concatenate(padded, axis=1)[:, : -gap or None]


def column(images: Sequence[UInt8[np.ndarray, "_ _ 3"]], gap: int = GAP) -> UInt8[np.ndarray, "H W 3"]:
    """Return images below each other on white, left edges aligned."""
    width = max(image.shape[1] for image in images)
    return np.concatenate([_padded(image, image.shape[0] + gap, width) for image in images])[: -gap or None]


def _padded(image: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = np.full((height, width, 3), PAPER, dtype=np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image
    return canvas


def side_by_side(
    frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str], scale: int = 4, text: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Return RGB frames next to each other, each `scale` times as large under its label; sizes may differ.

    A label may have several lines; `text` is the size of its letters.

    Raises:
        ValueError: no frames, not one label per frame, or scale < 1.
    """
    if not frames or len(frames) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(frames)} frames: give one label per frame, at least one")
    return row([captioned(enlarged(frame, scale), label, text) for frame, label in zip(frames, labels, strict=True)])


def episode_caption(seed: int, episode_return: float | int, steps: int) -> str:
    """Return the line over an episode's row in a contact sheet."""
    return f"seed {seed}   return {episode_return:.1f}   {steps} steps"


def contact_sheet(
    episodes_frames: Sequence[UInt8[np.ndarray, "_ _ _ 3"]],
    captions: Sequence[str],
    columns: int = 8,
    scale: int = 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Return each episode (T H W 3) as a captioned row of evenly spaced frames, its first and last included.

    An episode with fewer frames than columns gets a shorter row.

    Raises:
        ValueError: no episodes or an empty one, not one caption per episode, columns < 1 or scale < 1.
    """
    if not episodes_frames or len(episodes_frames) != len(captions):
        raise ValueError(f"{len(captions)} captions for {len(episodes_frames)} episodes: give one each, at least one")
    if columns < 1:
        raise ValueError(f"columns={columns}: need at least one frame per episode")
    rows = []
    for frames, caption in zip(episodes_frames, captions, strict=True):
        if len(frames) == 0:
            raise ValueError(f"episode {caption!r} has no frames: leave it out")
        chosen = np.unique(np.linspace(0, len(frames) - 1, columns).round().astype(int))
        rows.append(captioned(row([enlarged(frames[index], scale) for index in chosen]), caption))
    return column(rows)


def grid(
    tiles: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    columns: int,
    captions: Sequence[str] = (),
    marked: Sequence[bool] = (),
    gap: int = 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Return images in rows, left to right, each under its caption if there are any; marked captions are red."""
    if captions:
        colours = [RED if each else INK for each in marked or [False] * len(tiles)]
        tiles = [captioned(*each[:2], 0.4, 18, each[2]) for each in zip(tiles, captions, colours, strict=True)]
    return column([row(tiles[start : start + columns], gap) for start in range(0, len(tiles), columns)], gap)


def labelled_rows(strips: Sequence[UInt8[np.ndarray, "_ _ 3"]], labels: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Return strips of images below each other, each with its label at the left."""
    wide = 12 + max(cv2.getTextSize(label, _FONT, 0.45, 1)[0][0] for label in labels)
    rows = []
    for strip, label in zip(strips, labels, strict=True):
        margin = np.full((len(strip), wide, 3), PAPER, np.uint8)
        cv2.putText(margin, label, (2, len(strip) // 2 + 5), _FONT, 0.45, INK, 1, cv2.LINE_AA)
        rows.append(row([margin, strip], 0))
    return column(rows, 2)
