"""A configuration of the toy environment that runs in seconds; it learns next to nothing."""

from worldmodels import preset
from worldmodels.config import config_from
from worldmodels.run.finished import write_done

SMALL = {
    "collect": {"episodes": 12},
    "vision": {"attempts": 1, "fit": {"steps": 60, "log_every": 20, "checkpoint_every": 30}},
    "memory": {"fit": {"steps": 40, "log_every": 20, "checkpoint_every": 20}},
    "evolve": {"generations": 3, "episodes": 2, "max_episodes": 2, "validation_tracks": 3, "envs": 4,
               "optimiser": {"population": 5}, "validation_every": 2},
    "evaluate": {"tracks": 4},
    "executor": {"type": "serial"},
}  # fmt: skip


def small_config(**changes):
    return config_from(changes, config_from(SMALL, preset("toy")))


LOOP = {
    "rounds": 3, "episodes": 4, "max_frames": 20, "vision_every": 2, "vision_steps": 10, "memory_steps": 10,
    "generations": 2, "final_tracks": 2, "finalists": 2,
    "policies": ["agent", "perturbed-agent", "held-uniform"], "changes": ["dream.horizon=25"],
}  # fmt: skip


def looped_config(**changes):
    """A loop whose rounds differ from it in seed, start and sigma, and in a field of the dream."""
    evolve = {"world": "dream", "generations": 2, "validation_every": 2}
    return small_config(**{"loop": LOOP, "evolve": evolve, "collect": {"episodes": 6, "early_stop": True}, **changes})


def seal(run, stage):
    """Takes what a finished stage's files are now for what the stage wrote."""
    write_done(run.folder(stage), stage, run.done(stage))
