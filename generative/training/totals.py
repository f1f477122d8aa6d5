"""Means of figures over the steps of a training, without waiting for its device at every step."""

from collections.abc import Mapping

import torch
from torch import Tensor

Named = tuple[tuple[str, ...], Tensor]
"""Names of figures and their values, float64 (F)."""


class Totals:
    """Sums of figures over steps, kept on the device until they are read.

    Attributes:
        counts: over how many steps each figure was summed; some do not come in every step.
    """

    def __init__(self, device: torch.device, sums: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Go on from sums and their counts."""
        self._device = figures_device(device)
        self.counts = {name: counts[name] for name in sums}
        self._sums = self._tensor(list(sums.values()))
        self._places: dict[tuple[str, ...], Tensor] = {}

    def add(self, figures: Named) -> None:
        """Add a step's figures."""
        names, values = figures
        new = [name for name in names if name not in self.counts]
        if new:
            self.counts |= dict.fromkeys(new, 0)
            self._sums = torch.cat([self._sums, self._sums.new_zeros(len(new))])
        for name in names:
            self.counts[name] += 1
        if names == tuple(self.counts):
            self._sums += values
            return
        if names not in self._places:
            order = {name: place for place, name in enumerate(self.counts)}
            self._places[names] = torch.tensor([order[name] for name in names], device=self._device)
        self._sums.index_add_(0, self._places[names], values)

    def read(self) -> dict[str, float]:
        """Wait for the device and return the sums."""
        return dict(zip(self.counts, self._sums.tolist(), strict=True))

    def means(self) -> dict[str, float]:
        """Wait for the device and return each figure's mean over the steps that it came in; begin anew."""
        means = {name: total / self.counts[name] for name, total in self.read().items()}
        self.counts, self._sums, self._places = {}, self._tensor([]), {}
        return means

    def _tensor(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=self._device)


def figures_device(device: torch.device) -> torch.device:
    """Return where figures of a training are summed: on its device, if that has float64."""
    return torch.device("cpu") if device.type == "mps" else device
