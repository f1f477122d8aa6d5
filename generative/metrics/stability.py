"""Whether training comes out the same from other seeds.

Losses of adversarial training say little of quality; give figures of a sample metric (FD, KD, an error).
"""

from collections.abc import Sequence

import numpy as np

from generative.core.options import ComponentError


def spread_over_seeds(finals: Sequence[float]) -> float:
    """Return the standard deviation (divisor n - 1) of one final figure per seed, in its units.

    Raises:
        ComponentError: fewer than three seeds, or a figure that is not finite.
    """
    if len(finals) < 3:
        raise ComponentError(f"{len(finals)} seeds: a spread needs at least 3; train more")
    return float(np.std(_finite(finals), ddof=1))


def _finite(values: Sequence[float]) -> np.ndarray:
    given = np.asarray(values, dtype=np.float64)
    if given.size == 0 or not np.isfinite(given).all():
        raise ComponentError(f"values: {given.size} given, not all finite; leave diverged runs out and count them")
    return given
