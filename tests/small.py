"""A configuration of the toy environment that runs in seconds; it learns next to nothing."""

from worldmodels import preset
from worldmodels.config import config_from

SMALL = {
    "collect": {"episodes": 12},
    "vision": {"attempts": 1, "gate": False, "fit": {"steps": 60, "log_every": 20, "checkpoint_every": 30}},
    "memory": {"fit": {"steps": 40, "log_every": 20, "checkpoint_every": 20}},
    "evolve": {"generations": 3, "episodes": 2, "max_episodes": 2, "validation_tracks": 3, "envs": 4,
               "optimiser": {"population": 5}, "validation_every": 2},
    "evaluate": {"tracks": 4},
    "executor": {"type": "serial"},
}  # fmt: skip


def small_config(**changes):
    return config_from(changes, config_from(SMALL, preset("toy")))
