"""World models: rollouts, vision, memory, the dream, and evolution in both worlds.

    from worldmodels import Run, load_agent, load_dream, make_env, preset

The stage functions live in `scripts.stages`. Importing this package registers `WorldModels/Dream-v0`, the dream of a
run, with gymnasium.
"""

from worldmodels.agent.agent import Agent, AgentState
from worldmodels.config import RunConfig, config_from
from worldmodels.config_files import known_presets, preset, read_config
from worldmodels.errors import RunError
from worldmodels.load import load_agent, load_dream, make_env, open_run
from worldmodels.run.folder import Progress, Run
from worldmodels.version import __version__

__all__ = [
    "Agent",
    "AgentState",
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
    "open_run",
    "preset",
    "read_config",
]
