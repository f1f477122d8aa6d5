"""World models: rollouts, vision, memory, the dream, and evolution in both worlds.

    from worldmodels import Run, load_agent, make_env, preset

The stage functions live in `scripts`.
"""

from envs import make_env
from worldmodels.assembly import load_dream
from worldmodels.config import RunConfig, config_from, known_presets, preset, read_config
from worldmodels.driver import Driver, load_agent
from worldmodels.errors import RunError
from worldmodels.run import Progress, Run
from worldmodels.version import __version__

__all__ = [
    "Driver",
    "Progress",
    "Run",
    "RunConfig",
    "RunError",
    "__version__",
    "config_from",
    "known_presets",
    "load_agent",
    "load_dream",
    "make_env",
    "preset",
    "read_config",
]
