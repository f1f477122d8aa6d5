# %% [markdown]
# # A memory of your own
#
# The memory is the part that dreams. It reads a latent and an action, keeps a state, and says which latent, reward
# and end come next. This notebook writes one: a GRU.

# %% tags=["parameters"]
PRESET = "toy"
RUN = "runs/notebook-gru"

# %% [markdown]
# First its options. The sizes of latent and action are filled in from vision and environment.

# %%
from dataclasses import dataclass

import torch
from torch import nn

from worldmodels.memories.heads import HeadedMemory, HeadsConfig


@dataclass(frozen=True)
class GRUConfig(HeadsConfig):
    hidden: int = 32
    mixtures: int = 5


# %% [markdown]
# Then the memory. `HeadedMemory` predicts from features; it has to be told what the features are. `advance` makes one
# step, as a dream does. `unroll` makes many, as training does. Both must agree.


# %%
class GRUMemory(HeadedMemory):
    type_name = "notebook-gru"
    Config = GRUConfig

    def __init__(self, config):
        super().__init__(config, config.hidden)
        self.gru = nn.GRU(config.latent + config.action, config.hidden, batch_first=True)
        self.add_heads()  # next latent, reward, end of the episode

    def initial(self, batch, device="cpu"):
        return (torch.zeros(batch, self.feature_size, device=device),)

    def advance(self, z, action, state):
        hidden, _ = self.gru(torch.cat([z, action], -1).unsqueeze(1), state[0].unsqueeze(0).contiguous())
        return (hidden[:, 0],)

    def unroll(self, z, action, state):
        start = None if state is None else state[0].unsqueeze(0).contiguous()
        hidden, last = self.gru(torch.cat([z, action], -1), start)
        return hidden, (last[0],)


# %% [markdown]
# Do they agree? Three steps one by one must end where three steps at once end.

# %%
memory = GRUMemory(GRUConfig(latent=4, action=2))
z, action, state = torch.randn(1, 3, 4), torch.randn(1, 3, 2), memory.initial(1)
for step in range(3):
    state = memory.advance(z[:, step], action[:, step], state)
features, _ = memory.unroll(z, action, None)
assert torch.allclose(state[0], features[:, -1], atol=1e-6)
f"largest difference: {(state[0] - features[:, -1]).abs().max().item():.1e}"

# %% [markdown]
# With a name it can be chosen like any other memory.

# %%
from scripts.stages import collect, evaluate, evolve, train_memory, train_vision
from scripts.terminal.progress import show
from worldmodels import Run, config_from, preset
from worldmodels.memories.registry import MEMORIES

MEMORIES.add("notebook-gru", GRUMemory)
changes = {"memory": {"type": "notebook-gru", "options": {}}, "executor": {"type": "serial"}}
run = Run.create(RUN, config_from(changes, preset(PRESET)))

# %% [markdown]
# It learns. Below the purple line it makes use of the actions. Below the grey one it would know more than "nothing
# changes"; the few steps of the toy world do not get it there.

# %%
for stage in (collect, train_vision, train_memory):
    show(stage(run))
run.plot()

# %% [markdown]
# And it drives: the controller reads the latent and the 32 units of the GRU.

# %%
for stage in (evolve, evaluate):
    show(stage(run))
run.evaluation()

# %%
run
