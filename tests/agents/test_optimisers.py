import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agents.optimisers import OPTIMISERS, OptimiserConfig, make_optimiser, recommended_population, replay


def sphere(parameters):
    return -np.sum((parameters - 1.0) ** 2, axis=1)


@pytest.fixture
def decay(monkeypatch):
    """Sets the strength of the penalty on weights."""
    return lambda strength: monkeypatch.setattr(OptimiserConfig, "weight_decay", strength)


def advance(optimiser, score, generations):
    for _ in range(generations):
        parameters = optimiser.ask()
        optimiser.tell(parameters, score(parameters))
    return optimiser


@pytest.mark.parametrize(("name", "generations"), [("cma", 200), ("sep-cma", 200)])
def test_cma_solves_a_sphere(name, generations, decay):
    decay(0.0)
    config = OptimiserConfig(type=name, population=16)
    optimiser = advance(make_optimiser(config, 20, seed=1), sphere, generations)
    assert np.abs(optimiser.mean - 1.0).max() < 1e-4
    assert -1e-6 < optimiser.best.score <= 0.0
    assert optimiser.generation == generations


def test_cma_learns_correlations_and_sep_cma_cannot(decay):
    decay(0.0)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    scales = np.logspace(0, 4, 8)

    def ellipsoid(parameters):
        return -np.sum(scales * ((parameters - 1.0) @ basis) ** 2, axis=1)

    final = {}
    for name in ("cma", "sep-cma"):
        config = OptimiserConfig(type=name, population=12)
        final[name] = advance(make_optimiser(config, 8, seed=1), ellipsoid, 150).best.score
    assert final["cma"] > -1e-4 and final["sep-cma"] < -1e-2


def test_random_search_climbs_but_slower(decay):
    decay(0.0)
    config = OptimiserConfig(type="random-search", population=16)
    optimiser = make_optimiser(config, 20, seed=1)
    start = sphere(optimiser.mean[None])[0]
    advance(optimiser, sphere, 200)
    assert start == -20.0 and -2.0 < sphere(optimiser.mean[None])[0] < -1e-4


def test_random_search_forgets_a_lucky_score(decay):
    decay(0.0)
    optimiser = make_optimiser(OptimiserConfig("random-search", population=4), 3, seed=0)
    parameters = optimiser.ask()
    optimiser.tell(parameters, np.array([0.0, 0.0, 100.0, 0.0]))
    again = optimiser.ask()
    assert np.array_equal(again[0], parameters[2])
    optimiser.tell(again, np.array([0.0, 1.0, 0.0, 0.0]))
    assert np.array_equal(optimiser.mean, again[1]) and optimiser.best.score == 100.0


@pytest.mark.parametrize("name", OPTIMISERS)
def test_at_equal_scores_smaller_weights_win(name, decay):
    decay(1.0)
    config = OptimiserConfig(type=name, population=16)
    start = np.full(10, 3.0)
    optimiser = advance(make_optimiser(config, 10, seed=0, x0=start), lambda x: np.zeros(len(x)), 60)
    assert np.linalg.norm(optimiser.mean) < 0.5 * np.linalg.norm(start)


def test_weight_decay_is_the_mean_square_and_never_logged(decay):
    decay(0.5)
    optimiser = make_optimiser(OptimiserConfig("random-search", population=4), 2, seed=0)
    parameters = optimiser.ask()
    penalty = 0.5 * np.mean(parameters**2, axis=1)
    scores = penalty.copy()  # makes all fitness equal: candidate 0 wins the tie
    scores[3] += 1e-9
    optimiser.tell(parameters, scores)
    assert np.array_equal(optimiser.mean, parameters[3])
    assert optimiser.log()[0]["scores"] == scores.tolist()
    assert optimiser.best.score == scores.max()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_replay_equals_the_uninterrupted_run(name):
    config = OptimiserConfig(type=name, population=16)
    x0 = np.linspace(-1, 1, 50)
    noise = np.random.default_rng(3)
    optimiser = make_optimiser(config, 50, seed=7, x0=x0)
    advance(optimiser, lambda x: sphere(x) + noise.standard_normal(len(x)), 12)
    log = json.loads(json.dumps(optimiser.log()))

    twin = replay(config, 50, 7, [entry["scores"] for entry in log], x0)
    assert twin.generation == 12 and twin.sigma == optimiser.sigma
    assert np.array_equal(twin.mean, optimiser.mean)
    assert twin.log() == optimiser.log()
    assert twin.best.score == optimiser.best.score
    assert np.array_equal(twin.best.parameters, optimiser.best.parameters)
    assert np.array_equal(twin.ask(), optimiser.ask())
    assert not np.array_equal(replay(config, 50, 8, [], x0).ask(), replay(config, 50, 7, [], x0).ask())


def test_replay_names_the_generation_that_does_not_fit(production):
    with pytest.raises(ValueError, match="replay of generation 1: scores have shape"):
        replay(OptimiserConfig(population=4), 5, 0, [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0]])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_two_interleaved_equal_two_alone_and_the_global_generator_is_untouched(name):
    config = OptimiserConfig(type=name, population=8)
    np.random.seed(5)
    before = np.random.get_state()
    alone = [advance(make_optimiser(config, 20, seed), sphere, 10) for seed in (0, 1)]
    together = [make_optimiser(config, 20, seed) for seed in (0, 1)]
    for _ in range(10):
        for optimiser in together:
            advance(optimiser, sphere, 1)
    after = np.random.get_state()
    assert before[2:] == after[2:] and np.array_equal(before[1], after[1])
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.mean, b.mean) and a.sigma == b.sigma


@pytest.mark.parametrize("name", ["cma", "sep-cma"])
def test_all_candidates_are_independent_samples_above_300_parameters(name):
    optimiser = make_optimiser(OptimiserConfig(type=name, population=16), 320, seed=0)
    for _ in range(3):
        asked = optimiser.ask()
        assert all(optimiser._es._is_independent_sample)
        optimiser.tell(asked, sphere(asked))
    assert type(optimiser._es.adapt_sigma).__name__ == "CMAAdaptSigmaCSA"


def test_sep_cma_takes_sizes_that_cma_refuses():
    with pytest.raises(ValueError, match="take type=sep-cma"):
        make_optimiser(OptimiserConfig(population=4), 5001, seed=0)
    assert make_optimiser(OptimiserConfig("sep-cma", population=4), 20_000, seed=0).ask().shape == (4, 20_000)


def test_best_is_the_first_of_the_highest_raw_scores():
    optimiser = make_optimiser(OptimiserConfig(population=4), 3, seed=0)
    assert optimiser.best is None
    first = optimiser.ask()
    optimiser.tell(first, np.array([1.0, 5.0, 5.0, 2.0]))
    optimiser.tell(optimiser.ask(), np.array([5.0, 4.0, 3.0, 2.0]))
    best = optimiser.best
    assert (best.score, best.generation, best.candidate) == (5.0, 0, 1)
    assert np.array_equal(best.parameters, first[1])


def test_first_generation_is_sigma_around_the_start():
    x0 = np.arange(200.0)
    steps = make_optimiser(OptimiserConfig(population=64, sigma=0.1), 200, seed=0, x0=x0).ask() - x0
    assert abs(steps.std() - 0.1) < 0.003 and abs(steps.mean()) < 0.003


def test_asking_again_gives_the_same_candidates_until_told():
    optimiser = make_optimiser(OptimiserConfig(population=4), 3, seed=0)
    first = optimiser.ask()
    first[:] = 0.0  # the caller's copy
    second = optimiser.ask()
    assert not np.array_equal(first, second) and np.array_equal(second, optimiser.ask())
    optimiser.tell(second, np.arange(4.0))
    assert not np.array_equal(second, optimiser.ask())


def test_misuse_is_refused_and_changes_nothing(production):
    optimiser = make_optimiser(OptimiserConfig(population=4), 3, seed=0)
    with pytest.raises(RuntimeError, match="tell without ask"):
        optimiser.tell(np.zeros((4, 3)), np.zeros(4))
    asked = optimiser.ask()
    with pytest.raises(ValueError, match="candidate 2 is nan"):
        optimiser.tell(asked, np.array([0.0, 1.0, np.nan, np.inf]))
    with pytest.raises(ValueError, match="candidate 0 is -inf"):
        optimiser.tell(asked, np.array([-np.inf, 1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"needs \(4,\)"):
        optimiser.tell(asked, np.zeros(3))
    with pytest.raises(ValueError, match="not what ask returned"):
        optimiser.tell(asked[::-1], np.zeros(4))
    assert optimiser.generation == 0 and optimiser.best is None and optimiser.log() == []
    optimiser.tell(asked, np.zeros(4))
    with pytest.raises(RuntimeError, match="tell without ask"):
        optimiser.tell(asked, np.zeros(4))


def test_bad_configs_say_what_to_do(production):
    with pytest.raises(ValueError, match="did you mean 'sep-cma'"):
        OptimiserConfig(type="sepcma")
    for field, value in (("population", 3), ("sigma", 0.0)):
        with pytest.raises(ValueError, match=f"{field}={value}"):
            OptimiserConfig(**{field: value})
    with pytest.raises(ValueError, match="x0 has shape"):
        make_optimiser(OptimiserConfig(), 5, seed=0, x0=np.zeros(4))
    with pytest.raises(ValueError, match="size=1"):
        make_optimiser(OptimiserConfig(), 1, seed=0)


def test_recommended_population_is_hansens():
    assert [recommended_population(n) for n in (10, 100, 867)] == [10, 17, 24]


def test_flat_scores_are_taken_and_named_in_the_log(decay):
    decay(0.0)
    optimiser = make_optimiser(OptimiserConfig(population=6), 4, seed=0)
    advance(optimiser, lambda x: np.zeros(len(x)), 30)
    assert np.isfinite(optimiser.mean).all()
    assert "tolflatfitness" in optimiser.log()[-1]["warnings"]


@pytest.mark.long
@pytest.mark.slow
def test_the_number_of_blas_threads_changes_no_bit():
    code = (
        "import hashlib, numpy as np\n"
        "from agents.optimisers import *\n"
        "o = make_optimiser(OptimiserConfig(population=32), 300, seed=0)\n"
        "for _ in range(60):\n"
        "    x = o.ask(); o.tell(x, -((x - 1) ** 2).sum(axis=1))\n"
        "print(hashlib.sha256(o.mean.tobytes()).hexdigest(), o.sigma.hex())\n"
    )

    with contextlib.redirect_stdout(io.StringIO()) as here:  # with one thread, as all tests
        exec(code, {})
    env = os.environ | {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    words, root = [sys.executable, "-c", code], Path(__file__).parents[2]
    there = subprocess.run(words, env=env, cwd=root, capture_output=True, check=True, text=True).stdout
    assert here.getvalue() == there != ""
