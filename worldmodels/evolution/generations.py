"""Evolution: ask an optimiser for candidates, try them all on the same tracks or dreams, tell it their mean scores.

Within a generation every candidate meets the same tracks, and every generation meets fresh ones. How many a candidate
meets follows the noise: where two halves of the tracks rank the candidates differently, there are more next time
(Hansen et al. 2009). What is validated and shipped is the mean of the distribution, not the luckiest candidate.

The log of scores is the state: an optimiser that is told the same scores again is the same optimiser.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from agents import replay
from agents.optimisers import AskTell
from generative.core.facts import Facts
from worldmodels.dream.imagine import BLOCK
from worldmodels.errors import RunError
from worldmodels.evolution.config import EvolveConfig, ValidationConfig
from worldmodels.evolution.dreamer import Dreamer
from worldmodels.evolution.drive import BATCHES, Cost, drive, drive_in_order
from worldmodels.evolution.tasks import DreamTask
from worldmodels.parallel.executor import Executor
from worldmodels.seeds import DREAM, EVOLVE, RECORDED, VALIDATION, stream, training_tracks
from worldmodels.statistics import spearman, summarise

SAME_MEAN = 1e-4
"""Largest relative difference between the norm of a restored mean and the logged one."""


class Trials:
    """Cuts trials into tasks for an executor and puts the results together in order."""

    def __init__(
        self,
        executor: Executor,
        width: int,
        block: int = BLOCK,
        action_cost: float = 0.0,
        dreamer: Dreamer | None = None,
    ):
        """Hold what trials need.

        Args:
            executor: of `TrialWorker`s.
            width: environments in a worker's batch.
            block: candidates in a worker's batch of dreams.
            action_cost: `EvolveConfig.action_cost`.
            dreamer: dreams in this process, on a GPU; None where workers do.
        """
        self.executor, self.width, self.block, self.action_cost = executor, width, block, action_cost
        self.dreamer = dreamer

    def real_scores(self, parameters: np.ndarray, tracks: Sequence[int], training: bool, cost: Cost) -> np.ndarray:
        """Return the scores, float64 (P E), of every candidate on every track; in training less what actions cost."""
        most, scores = BATCHES * self.width, np.full((len(parameters), len(tracks)), np.nan)
        for row, place, _, played, _ in drive(
            self.executor, parameters, tracks, most=most, training=training, cost=cost
        ):
            scores[row, place] = played.score - (self.action_cost * played.effort if training else 0.0)
        return scores

    def recorded_scores(self, mean: np.ndarray, tracks: Sequence[int], cost: Cost) -> tuple[np.ndarray, list[bytes]]:
        """Return the returns, float64 (E), of one candidate (N) on every track, and the episodes' files."""
        every = drive_in_order(self.executor, mean, tracks, most=self.width, training=True, record=True, cost=cost)
        return np.array([each.played.score for each in every]), [each.recorded for each in every]

    def dream_scores(self, parameters: np.ndarray, seeds: Sequence[int], cost: Cost) -> np.ndarray:
        """Return the returns, float64 (P E), of every candidate in every dream."""
        if self.dreamer is not None:
            begun = time.perf_counter()
            found = self.dreamer(parameters, seeds)
            cost.device_seconds += time.perf_counter() - begun
            return found
        starts = range(0, len(parameters), self.block)
        blocks = [np.asarray(parameters[start : start + self.block], dtype=np.float32) for start in starts]
        scores: list[np.ndarray] = [np.empty(0)] * len(blocks)
        for number, tried in self.executor.run([DreamTask(block, list(seeds)) for block in blocks]):
            cost.add(tried)
            assert tried.dreamt is not None
            scores[number] = tried.dreamt
        return np.concatenate(scores)


def next_episodes(config: EvolveConfig, episodes: int, agreements: Sequence[float]) -> int:
    """Return how many tracks a candidate meets next: twice the first number once three generations disagree."""
    recent = agreements[-3:]
    if config.agreement > 0 and len(recent) == 3 and float(np.mean(recent)) < config.agreement:
        return 2 * config.episodes
    return episodes


def rank_agreement(scores: np.ndarray) -> float:
    """Return Spearman's correlation of candidates' mean scores (P E) over even and over odd tracks; 0 if all tie."""
    even, odd = scores[:, ::2].mean(axis=1), scores[:, 1::2].mean(axis=1)
    if np.ptp(even) == 0 or np.ptp(odd) == 0:
        return 0.0
    return spearman(even, odd)


def restore(config: EvolveConfig, size: int, seed: int, log: Sequence[Facts], x0: np.ndarray | None = None) -> AskTell:
    """Return the optimiser as it stands after the logged generations, which began at `x0`.

    Raises:
        RunError: here the logged scores lead to another distribution than where they were logged.
    """
    optimiser = replay(config.optimiser, size, optimiser_seed(seed), [entry["scores"] for entry in log], x0)
    check_mean(log, optimiser.mean)
    return optimiser


def check_mean(log: Sequence[Facts], mean: np.ndarray) -> None:
    """Check the mean to which a replay of logged generations has led, against the norm that the last of them notes.

    Raises:
        RunError: it is another one.
    """
    there = log[-1].get("mean_norm") if log else None
    here = float(np.linalg.norm(mean))
    if there is not None and not np.isclose(here, there, rtol=SAME_MEAN):
        raise RunError(
            f"the {len(log)} logged generations lead to another distribution here (norm of its mean {here:.6g}, logged "
            f"{there:.6g}). Possible causes: they were evolved on another kind of machine, or with other versions of "
            "numpy or cma (versions.json tells both); or controller/generations.jsonl, controller/start.safetensors "
            "or config.yaml (seed, evolve) was changed since. Restore what was changed or go on there, or begin a new "
            "run at this one's controller: --evolve.start RUN"
        )


def optimiser_seed(seed: int) -> int:
    """Return the seed of the optimiser's own random stream."""
    return int(stream(seed, EVOLVE).integers(2**31))


def evolve(
    config: EvolveConfig, optimiser: AskTell, trials: Trials, seed: int, log: list[Facts]
) -> Iterator[tuple[Facts, np.ndarray, list[bytes]]]:
    """Yield each generation's entry, the mean after it, and what validation recorded, from where the log ends.

    The entry is plain data and has to be appended to the log before the next one is asked for.
    """
    for generation in range(len(log), config.generations):
        begun = time.perf_counter()
        cost = Cost()
        episodes = log[-1]["next_episodes"] if log else config.episodes
        parameters = optimiser.ask()
        asked = time.perf_counter()
        if config.world == "real":
            tracks = training_tracks(seed, EVOLVE, generation, episodes)
            scores = trials.real_scores(parameters, tracks, True, cost)
        else:
            tracks = training_tracks(seed, DREAM, generation, episodes)
            scores = trials.dream_scores(parameters, tracks, cost)
        tried = time.perf_counter()
        optimiser.tell(parameters, scores.mean(axis=1))
        told = time.perf_counter()
        entry = _entry(scores, episodes, cost, log, config)
        last = generation == config.generations - 1
        mean = np.asarray(optimiser.mean, dtype=np.float32)
        validation_cost = Cost()
        recorded: list[bytes] = []
        if last or (generation + 1) % config.validation.every == 0:
            entry["validation"], recorded = _validate(config, trials, mean, seed, validation_cost)
        entry |= {
            "generation": generation,
            "sigma": float(optimiser.sigma),
            "mean_norm": float(np.linalg.norm(optimiser.mean)),
            "validation_frames": validation_cost.frames,
            "seconds": round(time.perf_counter() - begun, 3),
            "timings": _timings(
                cost, validation_cost, asked - begun + told - tried, time.perf_counter() - begun, trials
            ),
        }
        yield entry, mean, recorded


def _timings(cost: Cost, validation: Cost, optimiser: float, whole: float, trials: Trials) -> dict[str, float]:
    """Return where a generation's seconds went, validation included; what workers do side by side counts once."""
    environment = (cost.environment_seconds + validation.environment_seconds) / trials.executor.workers
    networks = (cost.network_seconds + validation.network_seconds) / trials.executor.workers + cost.device_seconds
    parts = {"environment": environment, "networks": networks, "optimiser": optimiser}
    waiting = max(0.0, whole - sum(parts.values()))
    return {name: round(seconds, 3) for name, seconds in {**parts, "waiting for workers": waiting}.items()}


def _entry(scores: np.ndarray, episodes: int, cost: Cost, log: list[Facts], config: EvolveConfig) -> Facts:
    means = scores.mean(axis=1)
    agreement = rank_agreement(scores)
    earlier = [entry["agreement"] for entry in log if entry["episodes"] == episodes]
    return {
        "episodes": episodes,
        "scores": [float(score) for score in means],
        "mean": float(means.mean()),
        "best": float(means.max()),
        "worst": float(means.min()),
        "std": float(means.std()),
        "agreement": agreement,
        "next_episodes": next_episodes(config, episodes, [*earlier, agreement]),
        "frames": cost.frames,
    }


def _validate(
    config: EvolveConfig, trials: Trials, mean: np.ndarray, seed: int, cost: Cost
) -> tuple[Facts, list[bytes]]:
    """Return what the mean scores on validation tracks, or on training tracks with the files of its episodes."""
    if config.validation.record:
        tracks = training_tracks(seed, RECORDED, 0, config.validation.tracks)
        scores, recorded = trials.recorded_scores(mean, tracks, cost)
        return _summary(scores), recorded
    tracks = list(VALIDATION[: config.validation.tracks])
    return _summary(trials.real_scores(mean[None], tracks, False, cost)[0]), []


def _summary(scores: np.ndarray) -> Facts:
    summary = summarise(scores, seed=0)
    return {name: getattr(summary, name) for name in ("episodes", "mean", "std", "ci_low", "ci_high")}


def top_k(config: ValidationConfig, validated: Sequence[Facts]) -> list[Facts]:
    """Return the best of some generations or rounds that have a `validation`, the best first: those measured again."""
    return sorted(validated, key=lambda row: -row["validation"]["mean"])[: config.top_k]


def measure_again(config: ValidationConfig, trials: Trials, parameters: np.ndarray, cost: Cost) -> Facts:
    """Return what a controller (N) of the top k scores in the top-k re-evaluation, and on how many tracks."""
    places = config.top_k_places
    tracks = list(VALIDATION[places.start : places.stop])
    scores = trials.real_scores(parameters[None], tracks, False, cost)[0]
    return {"episodes": len(tracks), **_summary(scores)}


def best_validated(log: Sequence[Facts]) -> Facts | None:
    """Return the entry with the highest validation mean, the earliest of equals, or None."""
    validated = [entry for entry in log if "validation" in entry]
    return max(validated, key=lambda entry: entry["validation"]["mean"], default=None)
