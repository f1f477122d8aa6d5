# %% [markdown]
# # Swap a part, and read the accuracy card
#
# Any vision goes with any memory. Here one run has the MDN-RNN as memory, the other has a network without a memory of
# the past. Their *accuracy cards* say which is better, and where. Guess first.

# %% tags=["parameters"]
PRESET = "toy"  # "quick-real" drives CarRacing, and takes much longer
RUNS = "runs/notebook-swap"

# %%
from scripts.stages import accuracy, collect, evolve, train_memory, train_vision
from scripts.terminal.progress import show
from worldmodels import Run, config_from, preset


def trained(memory):
    changes = {"memory": {"type": memory, "options": {}}, "executor": {"type": "serial"}}
    config = config_from(changes, preset(PRESET))
    run = Run.create(f"{RUNS}-{memory}", config)
    for stage in (collect, train_vision, train_memory, evolve, accuracy):
        show(stage(run))
    return run


# %% [markdown]
# First the usual parts. Both runs have the same seed, so they see the same episodes.

# %%
recurrent = trained("mdn-rnn")
recurrent

# %% [markdown]
# The card begins with a verdict in words. Below it each figure has its interval, for three ways to drive.

# %%
recurrent.accuracy_card()

# %% [markdown]
# Now the other memory. Nothing else has changed.

# %%
feed_forward = trained("feed-forward")
feed_forward.accuracy_card()

# %% [markdown]
# How long do dreams stay near to reality? The solid line is the memory, the dashed one says "nothing changes". Lower
# is better.

# %%
recurrent.accuracy_card().plot("open-loop")

# %%
feed_forward.accuracy_card().plot("open-loop")

# %% [markdown]
# One figure side by side: by how many nats the next latent is better predicted than by "nothing changes".

# %%
for run in (recurrent, feed_forward):
    gain = run.accuracy_card().content["sets"]["random"]["one_step"]["gain"]["persistence"]
    print(f"{run.config.memory.type}: {gain['value']:.3f} ({gain['ci_low']:.3f} to {gain['ci_high']:.3f})")

# %% [markdown]
# When this page was made, the MDN-RNN had -0.52 (-0.60 to -0.44), and the network without a past 0.09 (-0.04 to
# 0.19). The toy world shows all that matters in one frame, and 24 episodes are few: the simpler network learns
# faster. In another world it may be the other way round. A card decides, not a name.
