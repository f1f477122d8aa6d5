"""A configuration of the toy environment that runs in seconds; it learns next to nothing."""

import functools
import importlib

from worldmodels import preset
from worldmodels.config import config_from
from worldmodels.run.finished import write_done
from worldmodels.statistics import estimate

SMALL = {
    "collect": {"episodes": 12},
    "vision": {"fit": {"steps": 60}},
    "memory": {"fit": {"steps": 40}},
    "evolve": {"generations": 3, "episodes": 2, "agreement": 0.0, "optimiser": {"population": 5},
               "validation": {"tracks": 3, "every": 2}},
    "evaluate": {"tracks": 4},
    "executor": {"type": "serial", "envs": 4},
}  # fmt: skip


@functools.cache
def _small():
    return config_from(SMALL, preset("toy"))


def small_config(**changes):
    return config_from(changes, _small()) if changes else _small()


TINY = {
    "collect": {"episodes": 3, "max_frames": 12},
    "vision": {"batch": 8, "options": {"latent": 2, "width": 4}, "fit": {"steps": 2}},
    "memory": {"batch": 2, "sequence": 10, "options": {"hidden": 8}, "fit": {"steps": 2}},
    "evolve": {
        "generations": 2,
        "optimiser": {"population": 4},
        "validation": {"tracks": 2, "every": 1, "top_k": 2, "top_k_tracks": 2},
    },
    "evaluate": {"tracks": 2, "baseline": False},
    "dream": {"horizon": 5, "warmup": 3},
    "env": {"max_steps": 12},
    "accuracy": {"controllers": 3, "controller_tracks": 2, "controller_dreams": 2},
}


def tiny_config():
    """What runs in about a second, and learns nothing; its vision has to be accepted (`hasty_vision`)."""
    return small_config(**TINY)


LOOP = {
    "rounds": 3,
    "later": {
        "collect": {"episodes": 4, "max_frames": 20, "policies": ["agent", "perturbed-agent", "action-hold"]},
        "vision": {"fit": {"steps": 10}},
        "memory": {"fit": {"steps": 10}},
        "evolve": {"generations": 2},
        "dream": {"horizon": 25},
    },
    "vision_every": 2,
}  # fmt: skip


def looped_config(**changes):
    """A loop whose rounds differ from it in seed, start and sigma, and in a field of the dream."""
    evolve = {"world": "dream", "generations": 2, "validation": {"every": 2, "top_k": 2, "top_k_tracks": 2}}
    return small_config(**{"loop": LOOP, "evolve": evolve, "collect": {"episodes": 6, "early_stop": True}, **changes})


def accept_every_vision(patch=setattr):
    """Takes every vision for a healthy one, as few steps do not make one; `patch` sets an attribute of a module."""
    module = importlib.import_module("scripts.train_vision")
    examine = module.examine
    patch(module, "examine", lambda *given: {**examine(*given), "verdict": "healthy"})


def hurry(patch=setattr):
    """Makes forecasts, films, plots, judges and the card rough and starts of dreams few; no test of a stage needs more.

    `patch` sets an attribute of a module.
    """
    patch(importlib.import_module("worldmodels.run.rates"), "BUDGET", 0.01)
    patch(importlib.import_module("worldmodels.dream.starts"), "STARTS", 100)
    judging = importlib.import_module("generative.features.judging")  # shipped judges are found, others learn little
    settings = judging.FitConfig
    patch(judging, "FitConfig", lambda **options: settings(**{**options, "steps": 12}))
    film = importlib.import_module("generative.report.video")
    patch(film, "QUALITY", film.QUALITY | {"crf": "50", "deadline": "realtime", "cpu-used": "8"})
    layout = importlib.import_module("matplotlib.layout_engine").ConstrainedLayoutEngine
    patch(layout, "execute", lambda engine, figure: None)  # half of the time of a plot, which is drawn to measure it
    patch(importlib.import_module("worldmodels.accuracy.measures.probes"), "RIDGES", (1e-3, 1e-2))
    card = importlib.import_module("worldmodels.accuracy.config")
    patch(card, "EPISODES", 6)
    patch(card.CardConfig, "samples", 4)
    for name in ("agreement", "probes", "reward_and_end"):
        patch(importlib.import_module(f"worldmodels.accuracy.measures.{name}"), "estimate", rough_estimate)


def rough_estimate(statistic, episodes, seed, resamples=0):
    """An interval from few resamples."""
    return estimate(statistic, episodes, seed, 8)


def seal(run, stage):
    """Takes what a finished stage's files are now for what the stage wrote."""
    write_done(run.folder(stage), stage, run.done(stage))
