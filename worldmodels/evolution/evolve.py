"""Evolution: ask an optimiser for candidates, try them all on the same tracks or dreams, tell it their mean scores.

Within a generation every candidate meets the same tracks, and every generation meets fresh ones. How many a candidate
meets follows the noise: where two halves of the tracks rank the candidates differently, there are more next time
(Hansen et al. 2009). What is validated and shipped is the mean of the distribution, not the luckiest candidate.

The log of scores is the state: an optimiser that is told the same scores again is the same optimiser.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from agents import OptimiserConfig, replay
from agents.optimisers import AskTell
from generative.options import check_numbers
from worldmodels.errors import RunError
from worldmodels.evolution.drive import BATCHES, Cost, drive, drive_in_order, share
from worldmodels.evolution.tasks import DreamTask
from worldmodels.parallel.executor import Executor
from worldmodels.seeds import DREAM, EVOLVE, TRYOUT, VALIDATION, stream, training_tracks
from worldmodels.statistics import spearman, summarise

SAME_MEAN = 1e-4
"""Largest relative difference between the norm of a restored mean and the logged one."""


@dataclass(frozen=True)
class EvolveConfig:
    """How the controller evolves."""

    world: Literal["real", "dream"] = "real"
    """Where candidates are tried: the real environment or the memory's dream."""
    start: str = ""
    """Run folder whose controller evolution begins at, or an imitation of it where vision or memory are others; empty
    for zeros."""
    bias: tuple[float, ...] = ()
    """Biases of the outputs, before squashing, with which an evolution from zeros begins; empty for none. A negative
    one for CarRacing's brake lets it rest: noise about zero brakes half of the time."""
    generations: int = 100
    """Rounds of ask and tell."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    episodes: int = 4
    """Tracks or dreams that every candidate of the first generation meets."""
    max_episodes: int = 16
    """Most of them that the adaptation may ask for."""
    agreement: float = 0.5
    """Rank correlation between two halves of the tracks below which their number doubles; 0 keeps it."""
    validation_every: int = 5
    """Generations between validations of the distribution's mean."""
    validation_tracks: int = 16
    """Real validation tracks for each."""
    tryouts: int = 0
    """Training tracks, others in every evolution, that the mean drives instead of validation tracks: its episodes end
    as in training and are recorded, so that a loop's later rounds learn from what they cost; 0 for none."""
    finalists: int = 1
    """Best validated generations that are measured again before one is chosen; 1 takes the best one's word."""
    final_tracks: int = 64
    """Further validation tracks on which finalists are measured."""
    action_cost: float = 0.0
    """Charge a frame on how far actions that go either way, such as steering, are from zero (1 at a bound), in training
    only: evolution under noise likes to steer from bound to bound, which noise cannot spoil and which wastes speed."""
    temperatures: tuple[float, ...] = ()
    """Dream temperatures of which the one is kept whose evolution validates best after `trial_generations`; empty keeps
    dream.temperature."""
    trial_generations: int = 10
    """Generations at each of `temperatures`; evolution goes on from the best one's."""
    worst: float = 1.0
    """Share of a candidate's episodes, its worst ones, whose mean is its score; below 1 evolution is pessimistic."""
    alarm: Literal["none", "stop"] = "none"
    """Stop when the dream pays more than when validation was best, and validation less than `alarm_share` of that."""
    alarm_share: float = 0.7
    """Share of the best validation return below which the alarm rings."""
    envs: int = 16
    """Environments that a worker steps together, and the batch width of its networks."""
    seed: int | None = None
    """Of the optimiser and its tracks or dreams; the run's where none is given."""

    def __post_init__(self) -> None:
        for name, least in (
            ("generations", 1),
            ("episodes", 2),
            ("max_episodes", self.episodes),
            ("validation_every", 1),
            ("validation_tracks", 2),
            ("finalists", 1),
            ("final_tracks", 2),
            ("envs", 1),
            ("trial_generations", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"evolve.{name}={getattr(self, name)}: must be at least {least}")
        if self.tryouts < 0 or self.tryouts == 1:
            raise ValueError(f"evolve.tryouts={self.tryouts}: take at least 2 tracks, or 0 for validation tracks")
        if not self.action_cost >= 0:
            raise ValueError(f"evolve.action_cost={self.action_cost}: is a charge of at least 0 a frame")
        if self.bias and self.start:
            raise ValueError(f"evolve.bias={self.bias}: evolve.start={self.start} has biases of its own; set one")
        if self.temperatures and self.world == "real":
            raise ValueError(f"evolve.temperatures={self.temperatures}: are of dreams; set evolve.world=dream too")
        if len(set(self.temperatures)) < len(self.temperatures) or not all(0 <= each for each in self.temperatures):
            raise ValueError(f"evolve.temperatures={self.temperatures}: give each once, at least 0")
        if self.temperatures and self.trial_generations > self.generations:
            raise ValueError(
                f"evolve.trial_generations={self.trial_generations}: more than evolve.generations={self.generations}"
            )
        if not 0 < self.worst <= 1:
            raise ValueError(f"evolve.worst={self.worst}: is a share above 0; 1 counts every episode")
        if not 0 <= self.alarm_share < 1:
            raise ValueError(f"evolve.alarm_share={self.alarm_share}: is a share from 0 to below 1")
        if not 0 <= self.agreement < 1:
            raise ValueError(f"evolve.agreement={self.agreement}: must be at least 0 and below 1")
        if self.validation_tracks + self.tracks_again > len(VALIDATION):
            asked = f"evolve.validation_tracks={self.validation_tracks}"
            asked += f" and evolve.final_tracks={self.final_tracks}" if self.tracks_again else ""
            raise ValueError(f"{asked}: there are {len(VALIDATION)} validation tracks")
        check_numbers(self, "evolve")

    @property
    def tracks_again(self) -> int:
        """On how many further validation tracks something is measured."""
        return self.final_tracks if self.finalists > 1 else 0

    def seed_in(self, run_seed: int) -> int:
        """Return the seed that evolution draws from in a run of this seed."""
        return run_seed if self.seed is None else self.seed


class Trials:
    """Cuts trials into tasks for an executor and puts the results together in order."""

    def __init__(self, executor: Executor, width: int, block: int, action_cost: float = 0.0):
        """Hold the executor, the environments and the candidates of a batch, and `EvolveConfig.action_cost`."""
        self.executor, self.width, self.block, self.action_cost = executor, width, block, action_cost

    def real_scores(self, parameters: np.ndarray, tracks: Sequence[int], training: bool, cost: Cost) -> np.ndarray:
        """Return the scores, float64 (P E), of every candidate on every track; in training less what actions cost.

        One task a worker, if possible: while one's last episodes end, most of its batch is empty.
        """
        size = min(share(self.executor, len(parameters) * len(tracks)), BATCHES * self.width)
        scores = np.full((len(parameters), len(tracks)), np.nan)
        for row, place, _, played, _ in drive(
            self.executor, parameters, tracks, size=size, training=training, cost=cost
        ):
            scores[row, place] = played.score - (self.action_cost * played.effort if training else 0.0)
        return scores

    def tryout_scores(self, mean: np.ndarray, tracks: Sequence[int], cost: Cost) -> tuple[np.ndarray, list[bytes]]:
        """Return the returns, float64 (E), of one candidate (N) on every track, and the episodes' files."""
        size = min(share(self.executor, len(tracks)), self.width)
        every = drive_in_order(self.executor, mean, tracks, size=size, training=True, record=True, cost=cost)
        return np.array([each.played.score for each in every]), [each.recorded for each in every]

    def dream_scores(self, parameters: np.ndarray, seeds: Sequence[int], cost: Cost) -> np.ndarray:
        """Return the returns, float64 (P E), of every candidate in every dream."""
        starts = range(0, len(parameters), self.block)
        blocks = [np.asarray(parameters[start : start + self.block], dtype=np.float32) for start in starts]
        scores: list[np.ndarray] = [np.empty(0)] * len(blocks)
        for number, tried in self.executor.run([DreamTask(block, list(seeds)) for block in blocks]):
            cost.add(tried)
            assert tried.dreamt is not None
            scores[number] = tried.dreamt
        return np.concatenate(scores)


def fitness(scores: np.ndarray, worst: float) -> np.ndarray:
    """Return each candidate's score (P): the mean over its worst episodes, of scores (P E)."""
    if worst == 1:
        return scores.mean(axis=1)
    counted = max(1, round(worst * scores.shape[1]))
    return np.sort(scores, axis=1)[:, :counted].mean(axis=1)


def exploited(log: Sequence[dict[str, Any]], share: float) -> bool:
    """Return whether the last validation paid less than a share of the best one while candidates scored more."""
    best = best_validated(log)
    if best is None or "validation" not in log[-1]:
        return False
    earned = best["validation"]["mean"] > 0  # before anything is earned there is nothing to lose
    fell = log[-1]["validation"]["mean"] < share * best["validation"]["mean"]
    return bool(earned and fell and log[-1]["mean"] > best["mean"])


def next_episodes(config: EvolveConfig, episodes: int, agreements: Sequence[float]) -> int:
    """Return how many tracks a candidate meets next: twice as many once three generations disagree on the ranking."""
    recent = agreements[-3:]
    if config.agreement > 0 and len(recent) == 3 and float(np.mean(recent)) < config.agreement:
        return min(2 * episodes, config.max_episodes)
    return episodes


def rank_agreement(scores: np.ndarray) -> float:
    """Return Spearman's correlation of candidates' mean scores (P E) over even and over odd tracks; 0 if all tie."""
    even, odd = scores[:, ::2].mean(axis=1), scores[:, 1::2].mean(axis=1)
    if np.ptp(even) == 0 or np.ptp(odd) == 0:
        return 0.0
    return spearman(even, odd)


def restore(
    config: EvolveConfig, size: int, seed: int, log: Sequence[dict[str, Any]], x0: np.ndarray | None = None
) -> AskTell:
    """Return the optimiser as it stands after the logged generations, which began at `x0`.

    Raises:
        RunError: here the logged scores lead to another distribution than where they were logged.
    """
    optimiser = replay(config.optimiser, size, optimiser_seed(seed), [entry["scores"] for entry in log], x0)
    check_mean(log, optimiser.mean)
    return optimiser


def check_mean(log: Sequence[dict[str, Any]], mean: np.ndarray) -> None:
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
    config: EvolveConfig, optimiser: AskTell, trials: Trials, seed: int, log: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], np.ndarray, list[bytes]]]:
    """Yield each generation's entry, the mean after it, and the files of its tryouts, from where the log ends.

    The entry is plain data and has to be appended to the log before the next one is asked for.
    """
    for generation in range(len(log), config.generations):
        if config.alarm == "stop" and exploited(log, config.alarm_share):
            return
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
        optimiser.tell(parameters, fitness(scores, config.worst))
        told = time.perf_counter()
        entry = _entry(scores, episodes, cost, log, config)
        last = generation == config.generations - 1
        mean = np.asarray(optimiser.mean, dtype=np.float32)
        validation_cost = Cost()
        recorded: list[bytes] = []
        if last or (generation + 1) % config.validation_every == 0:
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
    networks = (cost.network_seconds + validation.network_seconds) / trials.executor.workers
    parts = {"environment": environment, "networks": networks, "optimiser": optimiser}
    waiting = max(0.0, whole - sum(parts.values()))
    return {name: round(seconds, 3) for name, seconds in {**parts, "waiting for workers": waiting}.items()}


def _entry(
    scores: np.ndarray, episodes: int, cost: Cost, log: list[dict[str, Any]], config: EvolveConfig
) -> dict[str, Any]:
    means = fitness(scores, config.worst)
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
) -> tuple[dict[str, Any], list[bytes]]:
    """Return what the mean scores on validation tracks, or on tryouts with their episodes' files."""
    if config.tryouts:
        scores, recorded = trials.tryout_scores(mean, training_tracks(seed, TRYOUT, 0, config.tryouts), cost)
        return _summary(scores), recorded
    tracks = list(VALIDATION[: config.validation_tracks])
    return _summary(trials.real_scores(mean[None], tracks, False, cost)[0]), []


def _summary(scores: np.ndarray) -> dict[str, Any]:
    summary = summarise(scores, seed=0)
    return {"mean": summary.mean, "std": summary.std, "ci_low": summary.ci_low, "ci_high": summary.ci_high}


def measure_again(
    config: EvolveConfig, trials: Trials, means: Sequence[np.ndarray], cost: Cost
) -> list[dict[str, Any]]:
    """Return what each mean scores on the validation tracks after those that chose it."""
    first = config.validation_tracks
    tracks = list(VALIDATION[first : first + config.final_tracks])
    return [_summary(row) for row in trials.real_scores(np.stack(means), tracks, False, cost)]


def finalists(config: EvolveConfig, log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of the generations that are measured again, the best validated first."""
    validated = [entry for entry in log if "validation" in entry]
    return sorted(validated, key=lambda entry: -entry["validation"]["mean"])[: config.finalists]


def best_validated(log: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the entry with the highest validation mean, the earliest of equals, or None."""
    validated = [entry for entry in log if "validation" in entry]
    return max(validated, key=lambda entry: entry["validation"]["mean"], default=None)
