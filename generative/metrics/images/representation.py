"""What a code knows of the true factors: probes, mutual information gap, DCI, active units.

Codes are (N Z) numbers, factors (N K) numbers that the data's maker knows: classes, or continuous such as speed.
A column with at most 20 different values counts as classes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import mutual_info_score, r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from generative.core.options import ComponentError
from generative.features.checks import features64

MOST_CLASSES = 20
BINS = 20
ACTIVE_VARIANCE = 0.01


class DCI(NamedTuple):
    """Scores of Eastwood & Williams 2018, each 1 at best and 0 at worst."""

    disentanglement: float
    """Each used code dimension serves one factor."""
    completeness: float
    """Each factor is held by one code dimension."""
    informativeness: float
    """How well held-out factors are predicted from the code, as `probe_scores` counts."""


def linear_probe(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"], *, seed: int = 0) -> float:
    """Return the mean over factors of what a linear model reads out of the code, see `probe_scores`."""
    return float(np.mean(probe_scores(codes, factors, kind="linear", seed=seed)))


def neighbour_probe(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"], *, seed: int = 0) -> float:
    """Return the mean over factors of what 5 nearest neighbours read out of the code, see `probe_scores`."""
    return float(np.mean(probe_scores(codes, factors, kind="neighbours", seed=seed)))


def probe_scores(
    codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"], *, kind: str = "linear", seed: int = 0
) -> list[float]:
    """Return, per factor, how well a probe predicts it on the half of the rows it was not fitted on.

    1 is perfect and 0 is guessing, for both kinds of factor: R^2 of a continuous one, `(balanced accuracy - 1/C) /
    (1 - 1/C)` of one with C classes. Below 0 is reported as 0.

    Args:
        codes: what the encoder says, such as posterior means.
        factors: the truth.
        kind: "linear" (ridge or logistic regression) or "neighbours" (5 nearest, also finds bent relations).
        seed: splits the rows.

    Raises:
        ComponentError: fewer than 20 rows, unequal row counts, a constant factor, or a kind that is unknown.
    """
    probes: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "linear": (lambda: LogisticRegression(max_iter=1000), lambda: Ridge(alpha=1e-3)),
        "neighbours": (KNeighborsClassifier, KNeighborsRegressor),
    }
    if kind not in probes:
        raise ComponentError(f"kind={kind!r}: use linear or neighbours")
    x, y = _checked(codes, factors)
    fitted, held_out = _halves(len(x), seed)
    scores = []
    for k in range(y.shape[1]):
        classes = _is_classes(y[:, k])
        target = np.unique(y[:, k], return_inverse=True)[1] if classes else y[:, k]
        model = make_pipeline(StandardScaler(), probes[kind][0 if classes else 1]())
        model.fit(x[fitted], target[fitted])
        scores.append(_score(target[held_out], model.predict(x[held_out]), classes))
    return scores


def mutual_information_gap(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"]) -> float:
    """Return the MIG: 1 when each factor is in exactly one code dimension, 0 when two know equally much of it.

    For every factor, the difference between its two largest mutual informations with code dimensions, over its
    entropy (Chen et al. 2018, arXiv 1802.04942, eq. 6); then the mean. Continuous columns are cut into 20 bins of equal
    width.

    Raises:
        ComponentError: fewer than 20 rows, unequal row counts, or a constant factor.
    """
    x, y = _checked(codes, factors)
    code_bins = [_binned(x[:, z]) for z in range(x.shape[1])]
    gaps = []
    for k in range(y.shape[1]):
        factor = _binned(y[:, k])
        known = sorted((mutual_info_score(each, factor) for each in code_bins), reverse=True)
        second = known[1] if len(known) > 1 else 0.0
        gaps.append((known[0] - second) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))


def dci(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"], *, trees: int = 30, seed: int = 0) -> DCI:
    """Return disentanglement, completeness and informativeness (Eastwood & Williams 2018, section 3).

    Importances are those of randomised trees, one forest per factor. A row or column of the importance matrix
    is taken for a distribution; its score is `1 - entropy / log(number of entries)`, and disentanglement weighs
    code dimensions by their share of all importance.

    Args:
        codes: what the encoder says (N Z), Z at least 2.
        factors: the truth (N K), K at least 2.
        trees: size of each forest.
        seed: splits the rows and grows the trees.

    Raises:
        ComponentError: fewer than two code dimensions or factors, fewer than 20 rows, unequal row counts, or a
            constant factor.
    """
    x, y = _checked(codes, factors)
    if x.shape[1] < 2 or y.shape[1] < 2:
        raise ComponentError(
            f"codes (N {x.shape[1]}), factors (N {y.shape[1]}): there is nothing to disentangle; "
            "give at least 2 of both, or use a probe"
        )
    fitted, held_out = _halves(len(x), seed)
    importance, scores = np.zeros((x.shape[1], y.shape[1])), []
    for k in range(y.shape[1]):
        classes = _is_classes(y[:, k])
        target = np.unique(y[:, k], return_inverse=True)[1] if classes else y[:, k]
        forest = (ExtraTreesClassifier if classes else ExtraTreesRegressor)(
            trees, min_samples_leaf=3, max_features=None, random_state=seed
        ).fit(x[fitted], target[fitted])
        importance[:, k] = forest.feature_importances_
        scores.append(_score(target[held_out], forest.predict(x[held_out]), classes))
    weights = importance.sum(1) / max(importance.sum(), 1e-300)
    return DCI(
        disentanglement=float(weights @ _purity(importance)),
        completeness=float(_purity(importance.T).mean()),
        informativeness=float(np.mean(scores)),
    )


def disentanglement(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"]) -> float:
    """Return that of `dci`."""
    return dci(codes, factors).disentanglement


def completeness(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"]) -> float:
    """Return that of `dci`."""
    return dci(codes, factors).completeness


def informativeness(codes: Float[Tensor, "N Z"], factors: Float[Tensor, "N K"]) -> float:
    """Return that of `dci`."""
    return dci(codes, factors).informativeness


def active_units(means: Float[Tensor, "N Z"], *, threshold: float = ACTIVE_VARIANCE) -> int:
    """Return how many dimensions of the posterior mean vary over images by more than `threshold`.

    `Var_x E_q(z|x)[z] > 0.01` (Burda et al. 2016, arXiv 1509.00519, section 5.2); 0 is posterior collapse.
    """
    return int((features64("means", means).var(0) > threshold).sum())


def _checked(codes: Tensor, factors: Tensor) -> tuple[np.ndarray, np.ndarray]:
    x, y = features64("codes", codes, 20).numpy(), features64("factors", factors, 20).numpy()
    if len(x) != len(y):
        raise ComponentError(f"codes of {len(x)} rows, factors of {len(y)}: both must describe the same images")
    for k in range(y.shape[1]):
        if np.ptp(y[:, k]) == 0:
            raise ComponentError(f"factors: column {k} is constant, so nothing can be known of it; leave it out")
    return x, y


def _is_classes(column: np.ndarray) -> bool:
    return len(np.unique(column)) <= MOST_CLASSES


def _binned(column: np.ndarray) -> np.ndarray:
    if _is_classes(column):
        return np.unique(column, return_inverse=True)[1]
    edges = np.linspace(column.min(), column.max(), BINS + 1)[1:-1]
    return np.digitize(column, edges)


def _purity(rows: np.ndarray) -> np.ndarray:
    """1 - entropy / log(entries) of every row; 0 of an empty row."""
    share = rows / np.maximum(rows.sum(1, keepdims=True), 1e-300)
    entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(1) / np.log(rows.shape[1])
    return np.where(rows.sum(1) > 0, 1 - entropy, 0.0)


def _halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(count)
    return order[: count // 2], order[count // 2 :]


def _score(truth: np.ndarray, guess: np.ndarray, classes: bool) -> float:
    if not classes:
        return max(0.0, float(r2_score(truth, guess)))
    present = np.unique(truth)
    if len(present) == 1:
        raise ComponentError("factors: the held-out half has a single class; give more rows")
    accuracy = float(np.mean([(guess[truth == each] == each).mean() for each in present]))
    return max(0.0, (accuracy - 1 / len(present)) / (1 - 1 / len(present)))
