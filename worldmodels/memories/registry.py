"""The memories that `memory.type` names: every one that can be a member of an ensemble, and the ensemble."""

from generative import Registry
from worldmodels.memories.models.ensemble import Ensemble
from worldmodels.memories.models.ensemble_members import BUILT_IN

MEMORIES = Registry("memory", {**BUILT_IN, "ensemble": Ensemble})
