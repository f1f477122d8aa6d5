"""Agents: what turns features into actions, and what searches for its parameters.

Knows no environment and no world model. Start at `agents.interfaces`, the contracts on one page.
"""

from agents.actions import ActionSpec
from agents.controllers import CONTROLLERS, ControllerConfig, make_controller
from agents.interfaces import Best, Controller, Optimiser, Policy
from agents.optimisers import OPTIMISERS, OptimiserConfig, make_optimiser, recommended_population, replay
from agents.policies import POLICIES, PolicyConfig, WithNoise, make_policy

__all__ = [
    "CONTROLLERS",
    "OPTIMISERS",
    "POLICIES",
    "ActionSpec",
    "Best",
    "Controller",
    "ControllerConfig",
    "Optimiser",
    "OptimiserConfig",
    "Policy",
    "PolicyConfig",
    "WithNoise",
    "make_controller",
    "make_optimiser",
    "make_policy",
    "recommended_population",
    "replay",
]
