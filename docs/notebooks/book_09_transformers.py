# %% [markdown]
# # Transformers and text (chapter 9)
#
# A transformer looks at all earlier tokens at once, and learns where to look. One that translates shows best where.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the presets, about ten minutes in all

# %% [markdown]
# The task: read a date as people write it, write it as 1999-12-31.

# %%
from scripts.generative.notebook import trained, view, written

dates = trained("transformer", steps=STEPS)
dates

# %% [markdown]
# Where does it look? A row is a character that it writes, a column one that it reads. Bright is much.

# %%
view(dates, "attention")

# %% [markdown]
# GPT has the decoder alone, and writes on. It learns from the docstrings of Python's own packages, letter by letter.

# %%
gpt = trained("gpt-2", steps=STEPS)
gpt.plot()

# %% [markdown]
# The *temperature* is the boldness of its choices.

# %%
written(gpt, "The function returns ", temperature=0.4, length=200)

# %%
written(gpt, "The function returns ", temperature=1.2, length=200)

# %% [markdown]
# It may only look back, never ahead: the upper right is black.

# %%
view(gpt, "attention", length=16)
