"""Random numbers that are a pure function of (seed, item, column), and the split that goes by them.

Generated data has no files: item 4711 is drawn whenever somebody asks for it. A generator per item would cost more than
the numbers taken from it, so whole batches are hashed at once with the finaliser of SplitMix64 (Steele, Lea & Flood
2014, "Fast splittable pseudorandom number generators").
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt64

HELD_OUT_EVERY = 10
"""One item (or group of items) in ten is held out of training."""
_SPLIT_SEED = 0x5EED
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, items: Int64[np.ndarray, " N"], columns: int) -> Float64[np.ndarray, "N K"]:
    """Return numbers in [0, 1), row by row the same ones for the same seed and item.

    Args:
        seed: 0 or more, below 2**63.
        items: numbers of the items, 0 or more.
        columns: K independent numbers per item; the first ones do not depend on how many there are.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed={seed}: must not be negative; give 0 or more")
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        key = _mix(np.array([seed], np.uint64) + _GOLDEN)
        rows = _mix(items.astype(np.uint64) * _GOLDEN + key)  # (N)
        steps = np.arange(1, columns + 1, dtype=np.uint64) * _GOLDEN  # (K)
        bits = _mix(_mix(rows[:, None] + steps) ^ key)  # (N K)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, items: Int64[np.ndarray, " N"], columns: int) -> Float64[np.ndarray, "N K"]:
    """Return standard normal numbers under the rules of `uniform` (Box & Muller 1958)."""
    drawn = uniform(seed, items, 2 * columns)
    radius = np.sqrt(-2.0 * np.log1p(-drawn[:, 0::2]))
    return radius * np.cos(2 * np.pi * drawn[:, 1::2])


def split(
    count: int, groups: Shaped[np.ndarray, " N"] | None = None
) -> tuple[Int64[np.ndarray, " T"], Int64[np.ndarray, " E"]]:
    """Return the items to train on and those held out, about one in ten, both in rising order.

    The choice depends on the number of the item (or of its group) alone, never on its place in a sorted file, so that
    data ordered by class loses none of its classes.

    Args:
        count: number of items.
        groups: one entry per item, such as the track of a frame; a group is never in both parts.

    Raises:
        ValueError: there are fewer than two items or groups, or `groups` has another length.
    """
    if groups is None:
        number, groups_count = np.arange(count), count
    else:
        if groups.shape != (count,):
            raise ValueError(f"groups of shape {groups.shape}: expected one entry for each of {count} items")
        names, number = np.unique(groups, return_inverse=True)
        groups_count = len(names)
    if groups_count < 2:
        what = "item" if groups is None else "group"
        raise ValueError(f"{groups_count} {what}: too little to hold one out; give at least 2")
    order = np.argsort(uniform(_SPLIT_SEED, np.arange(groups_count), 1)[:, 0])
    held = np.zeros(groups_count, bool)
    held[order[: max(1, groups_count // HELD_OUT_EVERY)]] = True
    chosen = held[number]
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def held_out_by_digest(digests: Sequence[str]) -> Int64[np.ndarray, " E"]:
    """Return the numbers of the items to hold out, about one in ten, chosen by each one's content alone.

    Items that come or go move no other from one part to the other, and those of the same content stay together.

    Args:
        digests: the SHA-256 of every item, in hexadecimal digits.

    Raises:
        ValueError: there are fewer than two different items.
    """
    if len(set(digests)) < 2:
        raise ValueError(f"{len(set(digests))} different item: too little to hold one out; give at least 2")
    place = np.array([int(each[:12], 16) / 16**12 for each in digests])  # evenly spread over [0, 1)
    held = place < 1 / HELD_OUT_EVERY
    if not held.any():
        held = place == place.min()
    elif held.all():
        held = place < place.max()
    return np.flatnonzero(held)


def _mix(bits: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    """Flip every bit with probability one half when one bit of the input changes (SplitMix64)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
