# %% [markdown]
# # Music (chapter 11)
#
# Four voices, bar by bar. The pieces are chord progressions drawn by rule in two styles of rhythm, so the best
# possible figure is known. With music21 installed, the preset `chorales` learns from Bach in their place.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the presets, about ten minutes in all

# %%
from scripts.generative.notebook import samples, trained, view

composer = trained("music-transformer", steps=STEPS)
composer

# %% [markdown]
# Time goes from left to right, pitch from low to high, each voice has a colour. Below it are sound and a MIDI file.

# %%
samples(composer, 4)

# %% [markdown]
# Where does it look when it chooses the next token? Bright is much. It cannot look ahead, so the upper right is
# black.

# %%
view(composer, "attention", length=16)

# %% [markdown]
# MuseGAN writes all voices at once, from four kinds of noise: chords, style, melody and groove.

# %%
muse = trained("muse-gan", steps=STEPS)
samples(muse, 2)

# %% [markdown]
# Each kind can be taken from another piece, and only what belongs to it changes.

# %%
view(muse, "exchange", pieces=2)
