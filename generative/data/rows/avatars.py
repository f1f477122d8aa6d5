"""Descriptions of cartoon faces in six words each: the book's first data set, rows of categories.

The features depend on each other along a chain (what a head wears goes by its hair), so a model that takes them as
independent is wrong by a known amount, and the true probability of every row is known too. `draw` shows rows as faces.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from generative.data.drawn.face import HAIR_COLOURS, HAIR_STYLES, FaceFactors
from generative.data.drawn.faces import FACTORS, draw_faces
from generative.data.draws import split, uniform
from generative.data.fields import Data, Field

Rows = Int64[np.ndarray, "N F"]
FEATURES = {
    "hair_style": HAIR_STYLES,
    "hair_colour": HAIR_COLOURS,
    "glasses": ("without", "with"),
    "smile": ("sad", "straight", "smiling", "beaming"),
    "skin": ("light", "middle", "dark"),
    "background": ("red", "green", "blue", "violet"),
}
"""Names and values of the features, in the order of the columns."""
SHARES: tuple[Float64[np.ndarray, "P K"], ...] = tuple(
    np.array(table)
    for table in (
        [[0.10, 0.35, 0.25, 0.20, 0.10]],
        [  # hair colour by hair style
            [0.2, 0.2, 0.2, 0.2, 0.2],
            [0.40, 0.35, 0.10, 0.10, 0.05],
            [0.10, 0.20, 0.15, 0.50, 0.05],
            [0.25, 0.25, 0.40, 0.05, 0.05],
            [0.10, 0.15, 0.05, 0.10, 0.60],
        ],
        [[0.80, 0.20], [0.75, 0.25], [0.65, 0.35], [0.60, 0.40], [0.15, 0.85]],  # glasses by hair colour
        [[0.10, 0.20, 0.40, 0.30], [0.25, 0.45, 0.20, 0.10]],  # smile by glasses
        [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4]],  # skin by smile
        [[0.1, 0.2, 0.4, 0.3], [0.3, 0.3, 0.2, 0.2], [0.4, 0.4, 0.1, 0.1]],  # background by skin
    )
)
"""Probabilities of each feature's values, a row for each value of the feature before it."""
_DRAWN: dict[str, tuple[float, ...]] = {
    **{name: (value,) for name, value in FaceFactors()._asdict().items()},
    "hair_style": tuple(range(len(HAIR_STYLES))),
    "hair_colour": tuple(range(len(HAIR_COLOURS))),
    "glasses": (0.0, 1.0),
    "smile": (-1.0, -0.1, 0.45, 1.0),
    "skin": (0.05, 0.5, 0.95),
    "background": (0.0, 0.33, 0.6, 0.8),
}
"""The factor of a face that each value is drawn as; what no feature names has one value for all."""


@dataclass(frozen=True)
class AvatarsConfig:
    """Rows of hair style and colour, glasses, smile, skin and background: 2,400 combinations."""

    count: int = 10_000
    """Number of rows, a tenth of them held out."""
    seed: int = 0
    """Determines every row."""
    picture_size: int = 48
    """Height and width of the pictures of rows in pixels."""

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"count={self.count}: must be at least 2, as one row is held out")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative; give 0 or more")
        if self.picture_size < 16:
            raise ValueError(f"picture_size={self.picture_size}: faces need at least 16 pixels, better 32")

    def load(self) -> Data:
        """Return the rows."""

        def read(items: Int64[np.ndarray, " N"]) -> Rows:
            drawn = uniform(self.seed, items, len(SHARES))
            rows = np.zeros(drawn.shape, np.int64)
            before = np.zeros(len(items), np.int64)
            for column, shares in enumerate(SHARES):
                edges = shares.cumsum(1)[before][:, :-1]  # (N K-1)
                before = rows[:, column] = (drawn[:, column, None] >= edges).sum(1)
            return rows

        sizes = tuple(map(len, FEATURES.values()))
        return Data(
            "avatars",
            {"row": Field("row", (len(FEATURES),), "int64", tuple(FEATURES), sizes)},
            {"row": read},
            *split(self.count),
            log_prob=true_log_prob,
            draw=lambda rows: faces(rows, self.picture_size),
        )


def true_log_prob(rows: Rows) -> Float64[np.ndarray, " N"]:
    """Return the log-probability in nats with which each row is drawn."""
    before = np.concatenate([np.zeros_like(rows[:, :1]), rows[:, :-1]], 1)
    return np.sum([np.log(shares[before[:, at], rows[:, at]]) for at, shares in enumerate(SHARES)], 0)


def faces(rows: Rows, size: int) -> UInt8[np.ndarray, "N H W 3"]:
    """Return a face for each row."""
    column = {name: np.zeros(len(rows), np.int64) for name in FACTORS} | dict(zip(FEATURES, rows.T, strict=True))
    return draw_faces(np.stack([np.array(_DRAWN[name], np.float64)[column[name]] for name in FACTORS], 1), size)
