"""A memory of your own: a GRU under the heads that all memories share."""

from dataclasses import dataclass

import torch
from torch import nn

from scripts.stages import collect, evaluate, evolve, train_memory, train_vision
from worldmodels import Run, config_from, preset
from worldmodels.memories.heads import HeadedMemory, HeadsConfig
from worldmodels.memories.registry import MEMORIES


@dataclass(frozen=True)
class GRUConfig(HeadsConfig):
    """The sizes of latent and action are filled in from vision and environment."""

    hidden: int = 64
    mixtures: int = 5


class GRUMemory(HeadedMemory):
    """Its state is one tensor, the units of the GRU. The controller reads them as well as the latent."""

    type_name = "gru"
    Config = GRUConfig

    def __init__(self, config):
        super().__init__(config, config.hidden)
        self.gru = nn.GRU(config.latent + config.action, config.hidden, batch_first=True)
        self.add_heads()  # next latent, reward, end of the episode

    def initial(self, batch, device="cpu"):
        return (torch.zeros(batch, self.feature_size, device=device),)

    def advance(self, z, action, state):  # one step: (B Z), (B A), state -> state
        hidden, _ = self.gru(torch.cat([z, action], -1).unsqueeze(1), state[0].unsqueeze(0).contiguous())
        return (hidden[:, 0],)

    def unroll(self, z, action, state):  # T steps: (B T Z), (B T A) -> features (B T H), state
        start = None if state is None else state[0].unsqueeze(0).contiguous()
        hidden, last = self.gru(torch.cat([z, action], -1), start)
        return hidden, (last[0],)


if __name__ == "__main__":
    MEMORIES.add("gru", GRUMemory)
    changes = {"memory": {"type": "gru", "options": {"hidden": 32}}, "executor": {"type": "serial"}}
    run = Run.create("runs/gru", config_from(changes, preset("toy")))
    for stage in (collect, train_vision, train_memory, evolve, evaluate):
        for progress in stage(run):
            print(progress.stage, progress.done, "of", progress.total, progress.unit)
