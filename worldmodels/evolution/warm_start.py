"""Starting a controller from what another one knows, when vision or memory were trained anew in between.

Latents and states mean something else after training, so parameters cannot be carried over. But what the old agent
would do along recorded episodes can be imitated: the linear controller over the new features whose outputs, before
they are squashed, come closest to the old one's is a least-squares problem.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from worldmodels.agent.bundle import Bundle
from worldmodels.errors import RunError
from worldmodels.rollouts.episode import Episode, EpisodeFile

ROWS = 16
"""Episodes that are read side by side."""
RIDGE = 1e-4
"""Penalty on the fitted weights, as a share of the features' mean power."""


def imitate(
    old: Bundle, parameters: Float32[np.ndarray, " N"], new: Bundle, files: Sequence[EpisodeFile]
) -> tuple[Float32[np.ndarray, " M"], float]:
    """Return parameters over the new parts that act as the old agent would along recorded episodes.

    Returns:
        The parameters, and the share of the variance of the old agent's raw outputs that they explain.

    Raises:
        RunError: a controller is not linear, the agents act differently, or there is nothing to watch.
    """
    for bundle in (old, new):
        if bundle.controller.type != "linear":
            raise RunError(f"controller.type={bundle.controller.type}: only linear controllers can be imitated")
    if old.spec != new.spec:
        raise RunError(f"the old agent acts by {old.spec}, the new one by {new.spec}: it cannot be imitated")
    if not files:
        raise RunError("there are no episodes along which the old agent could be imitated")
    before, after = [], []
    for start in range(0, len(files), ROWS):
        episodes = [file.read() for file in files[start : start + ROWS]]
        before.append(read_along(old, episodes))
        after.append(read_along(new, episodes))
    size = old.spec.size
    wanted = np.concatenate(before) @ parameters[size:].reshape(-1, size) + parameters[:size]  # (S A)
    weights, explained = least_squares(np.concatenate(after), wanted)
    return weights.astype(np.float32).ravel(), explained


def read_along(bundle: Bundle, episodes: Sequence[Episode]) -> Float32[np.ndarray, "S F"]:
    """Return the features that an agent's parts give at every frame with an action, episode after episode in time."""
    perception = bundle.perception(len(episodes))
    for row in range(len(episodes)):
        perception.begin(row)
    lengths = [len(episode.action) for episode in episodes]
    features, known = [], []
    for step in range(max(lengths)):
        rows = [min(step, length - 1) for length in lengths]  # the ended ones stand still and are not kept
        obs = np.stack([episode.obs[row] for episode, row in zip(episodes, rows, strict=True)])
        action = np.stack([episode.action[row] for episode, row in zip(episodes, rows, strict=True)])
        features.append(perception.observe(obs).numpy().copy())
        perception.advance(torch.from_numpy(action))
        known.append([step < length for length in lengths])
    return np.stack(features, axis=1)[np.array(known).T]


def least_squares(features: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Return bias and weights (1 + F, A) of the ridge regression of `wanted` (S A), and the variance explained.

    It is ours as the rounds of a loop begin at its last digits, which another solver would change.
    """
    inputs = np.concatenate([np.ones((len(features), 1)), features], axis=1).astype(np.float64)
    products = inputs.T @ inputs / len(inputs)
    penalty = RIDGE * np.trace(products[1:, 1:]) / max(1, len(products) - 1) * np.eye(len(products))
    penalty[0, 0] = 0.0
    weights = np.linalg.solve(products + penalty, inputs.T @ wanted / len(inputs))
    error = (inputs @ weights - wanted).var(0).sum()
    return weights, float(1 - error / max(wanted.var(0).sum(), 1e-12))


def same_parts(old: Bundle, new: Bundle) -> bool:
    """Return whether two agents read the same features with the same controller, so that parameters carry over."""
    sizes = [(bundle.controller.type, bundle.controller.layers) for bundle in (old, new)]
    alike = (old.features, sizes[0], old.spec) == (new.features, sizes[1], new.spec)
    return alike and _identity(old) == _identity(new)


def _identity(bundle: Bundle) -> list[object]:
    """What tells parts apart: their configs, which hold a digest of their weights, and a shuffled memory's bank."""
    bank = None if bundle.bank is None else bundle.bank.tobytes()
    return [bundle.vision["config"], bundle.memory and bundle.memory["config"], bank]
