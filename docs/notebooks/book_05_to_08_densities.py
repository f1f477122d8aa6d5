# %% [markdown]
# # Pixel by pixel, flows, energies and diffusion (chapters 5 to 8)
#
# Four ways to learn a distribution. Three of them learn the same one here: two half circles in the plane. Its density
# is known, so one can see how near each comes.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the presets, about ten minutes in all

# %% [markdown]
# **A flow** bends normal noise into the data by steps that can be undone. So it knows the density of each point.

# %%
from scripts.generative.notebook import samples, trained, view

flow = trained("real-nvp", "moons", out="flow-moons", steps=STEPS)
view(flow, "density")

# %% [markdown]
# Layer by layer: noise on the left, data on the right.

# %%
view(flow, "latent-to-data")

# %% [markdown]
# **An energy-based model** gives each point a number, low where data are. To sample, noise walks downhill (Langevin).

# %%
energy = trained("energy", "moons", out="energy-moons", steps=STEPS)
view(energy, "density")

# %% [markdown]
# The walk as a film.

# %%
view(energy, "langevin", images=200, steps=100)

# %% [markdown]
# **Diffusion** learns to take noise away, a little at a time. How many steps does it need? One is too few.

# %%
diffusion = trained("diffusion", "moons", out="diffusion-moons", steps=STEPS)
samples(diffusion, 500, steps=20)

# %%
samples(diffusion, 500, steps=1)

# %% [markdown]
# **Pixel by pixel**: the PixelCNN draws each pixel given those above and to the left of it.

# %%
pixels = trained("pixel-cnn", steps=STEPS)
samples(pixels)

# %% [markdown]
# Its loss is a likelihood: nats for an image, which can be compared with any other model of the same images.

# %%
pixels.plot()
