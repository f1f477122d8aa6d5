"""Trying candidates in dreams: block after block on a processor, the whole population at once on a GPU."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from jaxtyping import Float

from generative import resolve_device
from worldmodels.agent.features import Perception
from worldmodels.agent.precision import torch_dtype
from worldmodels.dream.imagine import BLOCK, Imagination
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.memories import Memory

PROBE = 16
"""Candidates whose dreams tell how much memory of a GPU one takes."""
SURELY = 65_536
"""Rows, candidates times dreams, that any GPU has the memory for."""
SHARE = 0.5
"""Share of a GPU's memory that dreams may take."""


def gpu_dreamer(setup: TrialSetup, device: str) -> "Dreamer | None":
    """Return what dreams for the whole population where `device` is a GPU; None where workers dream.

    Args:
        setup: of the workers.
        device: `RunConfig.device`.
    """
    target = resolve_device(device)
    return Dreamer(setup, target) if setup.dream is not None and target.type == "cuda" else None


class Dreamer:
    """Tries candidates in dreams; what does not change between generations is made once."""

    def __init__(self, setup: TrialSetup, device: torch.device | str = "cpu") -> None:
        """Load the networks.

        Args:
            setup: with `dream` and `starts`.
            device: where to dream.
        """
        self.setup, self.device = setup, torch.device(device)
        bundle = setup.bundle
        memory = bundle.load_memory()
        self._memory = None if memory is None else memory.to(self.device)
        # One module for both uses lets a dream advance it once a step.
        own = self._memory if bundle.generator == bundle.memory else None
        loaded = bundle.load_generator().eval().to(self.device) if own is None else own
        self._generator = cast(Memory, loaded)
        self._controller = bundle.build_controller()
        self._most: dict[int, int] = {}
        self._made: dict[tuple[int, int], Imagination] = {}

    def __call__(self, parameters: Float[np.ndarray, "P N"], seeds: Sequence[int]) -> Float[np.ndarray, "P E"]:
        """Return every candidate's return in every dream, float64."""
        size = self._block(len(parameters), seeds)
        blocks = [parameters[first : first + size] for first in range(0, len(parameters), size)]
        return np.concatenate([self._imagination(size, len(seeds))(block, seeds) for block in blocks])

    def _block(self, candidates: int, seeds: Sequence[int]) -> int:
        """Return how many candidates are tried in one batch."""
        if self.device.type != "cuda":
            return BLOCK
        if candidates <= PROBE or candidates * len(seeds) <= SURELY:
            return candidates
        return -(-candidates // -(-candidates // self._fitting(len(seeds))))  # blocks of one size

    def _fitting(self, dreams: int) -> int:
        """Return how many candidates' dreams fit into the GPU's memory, as measured by a few."""
        if dreams not in self._most:
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            probe = self._new(PROBE, dreams)
            probe(np.zeros((PROBE, self._controller.parameters_size)), range(dreams))
            each = (torch.cuda.max_memory_allocated(self.device) - before) / PROBE
            total = torch.cuda.get_device_properties(self.device).total_memory
            self._most[dreams] = max(PROBE, int(SHARE * total / each))
        return self._most[dreams]

    def _imagination(self, candidates: int, dreams: int) -> Imagination:
        """Return the dreams of so many rows, made when first asked for."""
        if (candidates, dreams) not in self._made:
            self._made[candidates, dreams] = self._new(candidates, dreams)
        return self._made[candidates, dreams]

    def _new(self, candidates: int, dreams: int) -> Imagination:
        setup, bundle = self.setup, self.setup.bundle
        assert setup.dream is not None and setup.starts is not None
        dtype = torch_dtype(bundle.dtype, self.device)
        perception = Perception(None, self._memory, bundle.features, candidates * dreams, dtype, self.device)
        cost = setup.action_cost * bundle.env.action_repeat
        return Imagination(self._generator, perception, self._controller, setup.starts, setup.dream, dreams, cost)
