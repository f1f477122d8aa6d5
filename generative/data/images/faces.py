"""Cartoon faces with known, independent factors and attributes: photographs of faces without the photographs.

Every experiment that needs labelled faces (add a smile, exchange the hair, condition on glasses) runs on them offline.
Other than in a data set of people, every factor is drawn on its own, so that an attribute vector that also changes
something else shows a confusion of the model and not of the data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8

from generative.data.contract import ImageData, ImageSource, image_data
from generative.data.draws import uniform
from generative.data.images.face_drawing import HAIR_COLOURS, HAIR_STYLES, draw_face

FACTORS = ("smile", "glasses", "hair_style", "hair_colour", "skin", "background", "eye_size", "face_width", "turn")
"""smile from -1 (sad) to 1 (broad); glasses 0 or 1; numbers of hair style and colour; skin 0 (light) to 1 (dark),
background hue, eye size and face width 0 to 1; turn of the face from -1 (left) to 1 (right of the image)."""
Row = Float32[np.ndarray, "N F"]
ATTRIBUTES: dict[str, Callable[[Row], np.ndarray]] = {
    "smiling": lambda row: row[:, 0] > 0,
    "glasses": lambda row: row[:, 1] > 0.5,
    "bald": lambda row: row[:, 2] == HAIR_STYLES.index("bald"),
    "long_hair": lambda row: row[:, 2] == HAIR_STYLES.index("long"),
    "blond": lambda row: (row[:, 3] == HAIR_COLOURS.index("blond")) & (row[:, 2] != HAIR_STYLES.index("bald")),
    "dark_skin": lambda row: row[:, 4] > 0.5,
    "big_eyes": lambda row: row[:, 6] > 0.5,
    "wide_face": lambda row: row[:, 7] > 0.5,
    "turned_right": lambda row: row[:, 8] > 0,
}
"""Name and rule of each yes-or-no attribute; a bald head is not blond."""


@dataclass(frozen=True)
class FacesConfig:
    """Procedural cartoon faces in colour, with known factors."""

    size: int = 64
    """Height and width of the images in pixels; from 32 on everything can be told."""
    glasses: float = 0.5
    """Share of faces that wear glasses."""
    hair_styles: tuple[str, ...] = HAIR_STYLES
    """Which hair styles to draw, each equally often; they are the classes."""
    count: int = 100_000
    """Number of faces, a tenth of them held out."""
    seed: int = 0
    """Determines every face."""

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ValueError(f"size={self.size}: faces need at least 16 pixels, better 32")
        if not 0 <= self.glasses <= 1:
            raise ValueError(f"glasses={self.glasses}: a share of faces; give 0 to 1")
        unknown = [each for each in self.hair_styles if each not in HAIR_STYLES]
        if unknown or not self.hair_styles or len(set(self.hair_styles)) < len(self.hair_styles):
            raise ValueError(f"hair_styles={list(self.hair_styles)}: give some of {', '.join(HAIR_STYLES)}, each once")
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one face is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")

    def load(self) -> ImageData:
        """Return the faces."""
        styles = np.array([HAIR_STYLES.index(each) for each in self.hair_styles])

        def style(drawn: Float[np.ndarray, "N F"]) -> Int64[np.ndarray, " N"]:
            return (drawn[:, 2] * len(styles)).astype(np.int64)

        def factors(items: Int64[np.ndarray, " N"]) -> Row:
            drawn = uniform(self.seed, items, len(FACTORS))
            rows = drawn.copy()
            rows[:, [0, 8]] = 2 * drawn[:, [0, 8]] - 1
            rows[:, 1] = drawn[:, 1] < self.glasses
            rows[:, 2] = styles[style(drawn)]
            rows[:, 3] = np.floor(drawn[:, 3] * len(HAIR_COLOURS))
            return rows.astype(np.float32)

        def labels(items: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
            return style(uniform(self.seed, items, len(FACTORS)))

        def images(items: Int64[np.ndarray, " N"]) -> UInt8[np.ndarray, "N H W C"]:
            return draw_faces(factors(items), self.size)

        source = ImageSource(
            shape=(self.size, self.size, 3),
            count=self.count,
            images=images,
            classes=self.hair_styles,
            labels=labels,
            factor_names=FACTORS,
            factors=factors,
            attribute_names=tuple(ATTRIBUTES),
            attributes=lambda items: face_attributes(factors(items)),
        )
        return image_data("faces", source)


def draw_faces(factors: Float[np.ndarray, "N 9"], size: int) -> UInt8[np.ndarray, "N H W 3"]:
    """Return one face per row of factors in the order of `FACTORS`; useful for traversals.

    Raises:
        ValueError: there is no hair style or hair colour of a row's number.
    """
    for name, known in (("hair_style", HAIR_STYLES), ("hair_colour", HAIR_COLOURS)):
        numbers = factors[:, FACTORS.index(name)]
        if not ((0 <= numbers) & (numbers < len(known))).all():
            raise ValueError(f"{name} from {numbers.min()} to {numbers.max()}: give 0 to {len(known) - 1}")
    return np.stack([draw_face(row, size) for row in factors.tolist()])


def face_attributes(factors: Row) -> UInt8[np.ndarray, "N A"]:
    """Return the columns of `ATTRIBUTES` as 0 and 1."""
    return np.stack([rule(factors) for rule in ATTRIBUTES.values()], 1).astype(np.uint8)
