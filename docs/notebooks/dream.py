# %% [markdown]
# # Train a driver in its own dream
#
# A *vision* learns to see, a *memory* learns what comes next, and a *controller* is evolved in what the memory
# imagines. The preset `quick` drives CarRacing after a quarter to half an hour on two cores. The preset `toy`
# drives a small world of its own and takes a minute.

# %% tags=["parameters"]
PRESET = "quick"  # or "toy"
RUN = "runs/notebook-dream"

# %% [markdown]
# A run is a folder. It is made once; the same cell opens it again, and training goes on where it stopped.

# %%
from scripts.stages import STAGE_FUNCTIONS, dream, evaluate, stages_of
from scripts.terminal.progress import show
from worldmodels import Run, config_from, load_agent, load_dream, preset

run = Run.create(RUN, config_from({"evolve": {"world": "dream"}}, preset(PRESET)))
run

# %% [markdown]
# Now everything is learned: random drives are recorded, then vision, memory and controller are trained. `quick` does
# this several times over, each time with drives of the newest controller.

# %%
LAST = ("evaluate", "dream", "report")
for stage in stages_of("run", run.config):
    if stage not in LAST:
        show(STAGE_FUNCTIONS[stage](run))

# %% [markdown]
# What did it learn from? Each row is an episode.

# %%
from generative.report.glance import shown_file

shown_file(run.folder("collect") / "contact_sheet.png")

# %% [markdown]
# What does the vision keep of a frame? It turns each frame into a few numbers, and these back into a frame.

# %%
shown_file(run.folder("train-vision") / "reconstructions.png")

# %% [markdown]
# How did it learn? The dream's returns are not those of the real world, so both have axes of their own.

# %%
run.plot()

# %% [markdown]
# How well does it drive where it never was? The score is a mean over test tracks, with its interval.

# %%
show(evaluate(run))
run.evaluation()

# %% [markdown]
# What does the memory imagine? Above is a real drive, in the middle what the vision keeps of it. Below, after the
# line, is what the memory predicts from the actions alone.

# %%
show(dream(run))
shown_file(run.folder("dream") / "strip.png")

# %% [markdown]
# The dream is an ordinary gymnasium environment. Let the agent drive in it, and look at eight moments of the drive.

# %%
import numpy as np

from generative.report.glance import shown_image
from generative.report.images import contact_sheet

agent, imagined = load_agent(run), load_dream(run)
obs, _ = imagined.reset(seed=1)
frames, total, ended = [obs], 0.0, False
while not ended and len(frames) < 48:
    obs, reward, terminated, truncated, _ = imagined.step(agent.act(obs))
    frames, total, ended = [*frames, obs], total + reward, terminated or truncated
shown_image(contact_sheet([np.stack(frames)], [f"a dream of {len(frames) - 1} steps, return {total:.1f}"]))

# %% [markdown]
# What is this agent? Small: most of what it needs is in vision and memory.

# %%
agent
