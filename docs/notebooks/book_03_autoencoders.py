# %% [markdown]
# # Autoencoders and the VAE (chapter 3)
#
# An autoencoder turns an image into a few numbers and back. A *variational* one also knows how such numbers are
# distributed, so it can draw new ones. The faces are drawn by rule; nothing is downloaded.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the presets, about ten minutes in all

# %%
from scripts.generative.notebook import kept, samples, trained, view

vae = trained("vae", steps=STEPS)
vae

# %% [markdown]
# How did it learn? The loss has two parts: what is lost of an image, and how far its numbers are from normal noise.

# %%
vae.plot()

# %% [markdown]
# What does it keep? Above images that it has never seen, below what comes back of them.

# %%
kept(vae)

# %% [markdown]
# What does it make by itself? Normal noise goes in, faces come out. A lower temperature makes them more alike.

# %%
samples(vae, temperature=0.8)

# %% [markdown]
# What does each number mean? A row moves one number and leaves the others.

# %%
view(vae, "traversal", most=6)

# %% [markdown]
# What lies between two faces? More faces.

# %%
view(vae, "interpolation", pairs=2)

# %% [markdown]
# And without the second part of the loss? A plain autoencoder keeps images better, but does not know which numbers to
# draw. Here a mixture of Gaussians is fitted to its numbers afterwards.

# %%
autoencoder = trained("autoencoder", steps=STEPS)
kept(autoencoder)

# %%
samples(autoencoder)
