"""Black-box optimisers: they see parameters and scores, nothing else, and MAXIMISE the scores.

CMA-ES (Hansen and Ostermeier 2001; the paper's choice) comes from pycma, wrapped so that it keeps to itself:
random numbers from a generator of its own, no signal files, no output, one BLAS thread. The last matters:
with more, sums run in another order, means differ in their last bits and a resumed run drifts away.

Fitness = score - weight_decay * mean(w^2), as in the paper's code; logs and `best` hold the raw scores.

State is never pickled. Config, size, seed, start and the scores of all generations give it back, bit for bit
on one kind of machine with the same library versions: see `replay`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64
from threadpoolctl import ThreadpoolController

from agents.interfaces import Best, LogEntry
from agents.lookup import choose

MOST_CANDIDATES = 1_000_000
FULL_COVARIANCE_LIMIT = 5000  # pycma keeps about 3 N^2 doubles, and an eigendecomposition takes N^3 steps


@dataclass(frozen=True)
class OptimiserConfig:
    """Which optimiser, and its few figures."""

    type: Literal["cma", "sep-cma", "random-search"] = "cma"
    """cma: full covariance; sep-cma: diagonal, for thousands of parameters, or of candidates on a GPU; random-search: a
    baseline."""
    population: int = 64
    """Candidates P per generation; `recommended_population` gives the least that suits a problem's size."""
    sigma: float = 0.1
    """Standard deviation of the first generation around its start."""
    weight_decay: ClassVar[float] = 0.01
    """Strength of the penalty, that of the paper's code: fitness is score - weight_decay * mean(w^2)."""

    def __post_init__(self) -> None:
        choose(OPTIMISERS, self.type, "optimiser.type")
        if self.population < 4:
            raise ValueError(f"population={self.population}: must be at least 4; the paper takes 64")
        if self.population > MOST_CANDIDATES:
            raise ValueError(f"population={self.population}: at most {MOST_CANDIDATES:,}; the paper takes 64")
        if not 1e-9 <= self.sigma <= 1e3:
            raise ValueError(f"sigma={self.sigma}: must be from 1e-9 to 1000; the paper takes 0.1")


class AskTell:
    """What all optimisers share: the checks, the penalty, the best candidate and the log.

    A kind of search adds `_sample() -> (P N)`, `_update(fitness (P,))`, `mean` and `sigma`.
    """

    def __init__(
        self, config: OptimiserConfig, size: int, seed: int, x0: Float64[np.ndarray, " N"] | None = None
    ) -> None:
        if size < 2:
            raise ValueError(f"size={size}: an optimiser needs at least 2 parameters")
        start = np.zeros(size) if x0 is None else np.array(x0, dtype=np.float64)
        if start.shape != (size,) or not np.isfinite(start).all():
            raise ValueError(f"x0 has shape {start.shape}: needs {size} finite numbers")
        self.config = config
        self.size = size
        self.generation = 0
        self.best: Best | None = None
        self._asked: np.ndarray | None = None
        self._log: list[LogEntry] = []
        self._begin(start, np.random.default_rng(seed))

    def _begin(self, start: np.ndarray, rng: np.random.Generator) -> None:
        raise NotImplementedError

    def _sample(self) -> np.ndarray:
        raise NotImplementedError

    def _update(self, fitness: np.ndarray) -> None:
        raise NotImplementedError

    def _warnings(self) -> list[str]:
        return []

    @property
    def mean(self) -> Float64[np.ndarray, " N"]:
        """The centre of the search distribution: the parameters to report when scores are noisy."""
        raise NotImplementedError

    @property
    def sigma(self) -> float:
        """The overall step size."""
        raise NotImplementedError

    def ask(self) -> Float64[np.ndarray, "P N"]:
        """The candidates of this generation; asked again before `tell`, the same ones."""
        if self._asked is None:
            self._asked = self._sample()
        return self._asked.copy()

    def tell(self, parameters: Float64[np.ndarray, "P N"], scores: Float64[np.ndarray, " P"]) -> None:
        """Take the scores (higher is better) of the candidates that `ask` returned and move on.

        Raises:
            RuntimeError: nothing was asked.
            ValueError: not the candidates asked, a wrong number of scores, or a score that is not finite.
        """
        if self._asked is None:
            raise RuntimeError("tell without ask: each generation is one ask and one tell")
        if not np.array_equal(parameters, self._asked):
            shape = np.shape(parameters)
            raise ValueError(f"parameters {shape} are not what ask returned, {self._asked.shape}")
        scores = np.asarray(scores, dtype=np.float64)
        if scores.shape != (self.config.population,):
            raise ValueError(f"scores have shape {scores.shape}, needs ({self.config.population},)")
        for candidate in np.flatnonzero(~np.isfinite(scores)):
            raise ValueError(f"score of candidate {candidate} is {scores[candidate]}: give a finite number")

        self._update(scores - self.config.weight_decay * np.mean(self._asked**2, axis=1))
        winner = int(scores.argmax())
        if self.best is None or scores[winner] > self.best.score:
            self.best = Best(float(scores[winner]), self._asked[winner].copy(), self.generation, winner)
        self._log.append(
            {
                "generation": self.generation,
                "scores": scores.tolist(),
                "sigma": self.sigma,
                "mean_norm": float(np.linalg.norm(self.mean)),
                "warnings": self._warnings(),
            }
        )
        self._asked = None
        self.generation += 1

    def log(self) -> list[LogEntry]:
        """One JSON-able entry per generation told.

        Keys: generation, scores (raw, in the order of candidates), sigma, mean_norm (Euclidean), warnings
        (criteria by which the optimiser itself would stop, for information: the budget is the caller's).
        """
        return list(self._log)


class NormalStream:
    """Stands in for `np.random.randn` in pycma, which would otherwise share NumPy's global state."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self, *shape: int) -> np.ndarray:
        """Standard normal numbers of this shape."""
        return self.rng.standard_normal(shape)


class CMA(AskTell):
    """CMA-ES by pycma, with a full covariance or ("sep-cma") a diagonal one."""

    def _begin(self, start: np.ndarray, rng: np.random.Generator) -> None:
        import cma  # here, because it loads pyplot, which workers that only act have no use for

        diagonal = self.config.type == "sep-cma"
        if self.size > FULL_COVARIANCE_LIMIT and not diagonal:
            raise ValueError(
                f"type={self.config.type}: {self.size} parameters are too many for a full covariance "
                f"(limit {FULL_COVARIANCE_LIMIT}); take type=sep-cma"
            )
        options = {
            "popsize": self.config.population,
            "seed": np.nan,  # any other seed would go to NumPy's global generator
            "randn": NormalStream(rng),
            "verbose": -10,  # silent, and blind to pycma's signal file in the working directory
            "CMA_diagonal": diagonal,
            "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,  # pycma takes another one above 300 parameters
        }
        self._one_thread = ThreadpoolController()
        with self._one_thread.limit(limits=1, user_api="blas"):
            self._es = cma.CMAEvolutionStrategy(start, self.config.sigma, options)
        self._solutions: list[np.ndarray] = []

    def _sample(self) -> np.ndarray:
        with self._one_thread.limit(limits=1, user_api="blas"):
            self._solutions = self._es.ask()
        return np.array(self._solutions)

    def _update(self, fitness: np.ndarray) -> None:
        with self._one_thread.limit(limits=1, user_api="blas"):
            self._es.tell(self._solutions, (-fitness).tolist())  # pycma minimises: the one change of sign

    def _warnings(self) -> list[str]:
        return sorted(self._es.stop())

    @property
    def mean(self) -> Float64[np.ndarray, " N"]:
        """The mean of the search distribution."""
        return np.array(self._es.mean)

    @property
    def sigma(self) -> float:
        """The overall step size."""
        return float(self._es.sigma)


class RandomSearch(AskTell):
    """Gaussian steps of constant size around the winner of the last generation: the baseline to beat.

    Candidate 0 is that winner itself, scored again, so that a lucky score is not kept for ever.
    """

    def _begin(self, start: np.ndarray, rng: np.random.Generator) -> None:
        self._mean = start
        self._rng = rng

    def _sample(self) -> np.ndarray:
        steps = self._rng.standard_normal((self.config.population, self.size))
        steps[0] = 0.0
        return self._mean + self.config.sigma * steps

    def _update(self, fitness: np.ndarray) -> None:
        assert self._asked is not None
        self._mean = self._asked[fitness.argmax()].copy()

    @property
    def mean(self) -> Float64[np.ndarray, " N"]:
        """The winner of the last generation."""
        return self._mean.copy()

    @property
    def sigma(self) -> float:
        """The step size, which never changes."""
        return self.config.sigma


OPTIMISERS: dict[str, type[AskTell]] = {"cma": CMA, "sep-cma": CMA, "random-search": RandomSearch}


def recommended_population(size: int) -> int:
    """Hansen's default 4 + floor(3 ln N): fewer search N parameters poorly, noisy scores ask for more."""
    return 4 + int(3 * log(size))


def make_optimiser(
    config: OptimiserConfig, size: int, seed: int, x0: Float64[np.ndarray, " N"] | None = None
) -> AskTell:
    """Build the optimiser that the config names.

    Args:
        config: type, population and sigma.
        size: number of parameters N.
        seed: of its own random generator.
        x0: where to start, zeros if None.
    """
    return choose(OPTIMISERS, config.type, "optimiser.type")(config, size, seed, x0)


def replay(
    config: OptimiserConfig,
    size: int,
    seed: int,
    scores: Sequence[Sequence[float]],
    x0: Float64[np.ndarray, " N"] | None = None,
) -> AskTell:
    """Bring an optimiser back to where its log ends, by asking and telling all generations again.

    Bit-equal to the uninterrupted one, its next `ask` included, even if the scores went through JSON.
    Takes about 0.06 s per generation at N = 867 and P = 64.

    Args:
        config: as at the start.
        size: as at the start.
        seed: as at the start.
        scores: the raw scores of each generation, `[entry["scores"] for entry in optimiser.log()]`.
        x0: as at the start.

    Raises:
        ValueError: a generation does not fit the config; names it.
    """
    optimiser = make_optimiser(config, size, seed, x0)
    for generation, told in enumerate(scores):
        try:
            optimiser.tell(optimiser.ask(), np.array(told, dtype=np.float64))
        except ValueError as error:
            raise ValueError(f"replay of generation {generation}: {error}") from error
    return optimiser
