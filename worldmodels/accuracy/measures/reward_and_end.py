"""What the memory says of reward and end, compared with what happened.

Rewards are summed over some steps before they are compared: the reward head predicts a smoothed reward, which is right
in sum but not step by step (`worldmodels.memories.targets`).

scipy and scikit-learn are imported where they are used: loading them takes two seconds, which most commands need not
wait. So it is in all files of this room.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import torch

from generative.core.facts import Facts
from worldmodels.accuracy.config import CardConfig
from worldmodels.accuracy.data import HeldOut, pad
from worldmodels.accuracy.measures.dreams import Dreams, HeldOutStarts
from worldmodels.memories import Memory
from worldmodels.statistics import Estimate, estimate

Compare = Callable[[np.ndarray, np.ndarray], float]
"""A figure of predicted and real values."""


@torch.inference_mode()
def reward(
    memory: Memory,
    dreams: Dreams,
    episodes: Sequence[HeldOut],
    starts: HeldOutStarts,
    config: CardConfig,
    seed: int,
) -> Facts:
    """Measure the return over `config.return_steps` from each place, in the environment's units.

    Returns:
        `open_loop` (dreamt with the recorded actions) and `real_latents` (every step predicted from real latents), each
        with `r2` (share of the variance of real returns that is explained), `bias` (predicted minus real return) and
        `mae`, with intervals over episodes; `points`: real and predicted returns. The constant guess has r2 = 0.
    """
    z, action, _ = pad([item.mean for item in episodes], [item.action for item in episodes])
    predicted = memory.forward_sequence(z[:, :-1], action)[0].reward  # (B T)
    if not bool(torch.isfinite(predicted).all()):
        return {"skipped": f"{type(memory).__name__} has no reward head"}
    steps = config.return_steps
    whole = [index for index, (row, time) in enumerate(starts.pairs())
             if time + steps <= episodes[row].steps]  # fmt: skip
    if not whole:
        return {"skipped": f"no episode has {steps} steps after the warm-up"}
    row, time = starts.row[whole], starts.time[whole]
    real = np.array([episodes[at].reward[now : now + steps].sum(dtype=np.float64)
                     for at, now in zip(row, time, strict=True)])  # fmt: skip
    guesses = {
        "open_loop": dreams.returns.double().cpu().numpy()[whole],
        "real_latents": np.array(
            [float(predicted[at, now : now + steps].double().sum()) for at, now in zip(row, time, strict=True)]
        ),
    }
    result: Facts = {"steps": steps, "places": len(whole)}
    for name, guess in guesses.items():
        groups = [np.flatnonzero(row == number) for number in sorted(set(row.tolist()))]
        result[name] = {
            figure: figures(estimate(_over(groups, function, guess, real), len(groups), seed))
            for figure, function in (("r2", r_squared), ("bias", _bias), ("mae", _mae))
        }
    result["points"] = {
        "real": [round(float(value), 4) for value in real],
        **{name: [round(float(value), 4) for value in guess] for name, guess in guesses.items()},
    }
    return result


@torch.inference_mode()
def termination(memory: Memory, episodes: Sequence[HeldOut], seed: int) -> Facts:
    """Measure how well the end is predicted step by step from real latents.

    Returns:
        `auroc` (0.5 knows nothing), `auprc` (the base rate knows nothing), `brier` (mean squared error of the
        probability), `brier_base_rate` (that of always giving the base rate) and `base_rate`; the target is what the
        termination head learns, `memory.termination`.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes long to import

    if any(item.termination is None for item in episodes):
        return {"skipped": "the target needs the simulator's state, which this environment does not tell"}
    z, action, _ = pad([item.mean for item in episodes], [item.action for item in episodes])
    logit = memory.forward_sequence(z[:, :-1], action)[0].termination_logit
    if bool(torch.isneginf(logit).all()):
        return {"skipped": f"{type(memory).__name__} has no termination head"}
    score = [logit[row, : item.steps].double().cpu().numpy() for row, item in enumerate(episodes)]
    ends = [np.asarray(item.termination) > 0.5 for item in episodes]
    base = float(np.concatenate(ends).mean())
    facts: Facts = {"base_rate": base, "steps": int(sum(len(row) for row in ends))}
    if base in (0.0, 1.0):
        return {**facts, "skipped": f"{'every' if base else 'no'} step of these episodes is an end"}
    flat_score, flat_ends = np.concatenate(score), np.concatenate(ends)
    groups = np.split(np.arange(len(flat_ends)), np.cumsum([len(row) for row in ends])[:-1])
    for name, function in (
        ("auroc", _both(roc_auc_score)),
        ("auprc", _both(average_precision_score)),
        ("brier", _brier),
    ):
        facts[name] = figures(
            estimate(_over(groups, function, flat_score, flat_ends), len(groups), seed, resamples=200)
        )
    return {**facts, "brier_base_rate": base * (1 - base)}


def figures(found: Estimate) -> Facts | None:
    """Return an estimate as plain data, None where its value is not known, its bounds None where they are not."""
    if not np.isfinite(found.value):
        return None
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(found).items()}  # fmt: skip


def r_squared(guess: np.ndarray, real: np.ndarray) -> float:
    """Return the share of the variance of `real` that `guess` explains; NaN where it does not vary."""
    from sklearn.metrics import r2_score  # takes long to import

    return float(r2_score(real, guess)) if real.var() > 1e-12 else float("nan")


def _bias(guess: np.ndarray, real: np.ndarray) -> float:
    return float((guess - real).mean())


def _mae(guess: np.ndarray, real: np.ndarray) -> float:
    from sklearn.metrics import mean_absolute_error  # takes long to import

    return float(mean_absolute_error(real, guess))


def _brier(score: np.ndarray, ends: np.ndarray) -> float:
    from scipy.special import expit  # takes long to import
    from sklearn.metrics import brier_score_loss  # takes long to import

    return float(brier_score_loss(ends, expit(score)))


def _both(function: Compare) -> Compare:
    """Let a figure of ends and other steps be NaN where a resample holds only one of them."""
    return lambda score, ends: function(ends, score) if ends.any() and not ends.all() else float("nan")


def _over(
    groups: Sequence[np.ndarray], function: Compare, guess: np.ndarray, real: np.ndarray
) -> Callable[[np.ndarray], float]:
    """Return a statistic of episode numbers from one of values, given each episode's values."""

    def statistic(episodes: np.ndarray) -> float:
        index = np.concatenate([groups[number] for number in episodes])
        return float(function(guess[index], real[index]))

    return statistic
