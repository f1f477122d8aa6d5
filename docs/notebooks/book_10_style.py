# %% [markdown]
# # StyleGAN (chapter 10)
#
# A StyleGAN does not read its noise at the entrance. The noise becomes a *style*, and the style is told to each
# layer. So the coarse part of one image goes with the fine part of another.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the preset, a quarter of an hour on two cores

# %%
from scripts.generative.notebook import samples, trained, view

faces = trained("stylegan", steps=STEPS)
faces

# %% [markdown]
# *Truncation* pulls styles to their mean: fewer surprises, fewer failures.

# %%
samples(faces, truncation=0.7)

# %% [markdown]
# The same dial from none to much, a row for each face.

# %%
view(faces, "truncation")

# %% [markdown]
# Style mixing: the face above gives the coarse layers, the face at the left the fine ones.

# %%
view(faces, "style-mixing")

# %% [markdown]
# Noise in each layer decides what nobody would call another face.

# %%
view(faces, "noise")
