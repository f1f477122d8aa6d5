# %% [markdown]
# # Generative adversarial networks (chapter 4)
#
# A generator makes things up; a critic tells them from real ones. Both learn from each other. The best known failure
# is *mode collapse*: the generator makes only some kinds of what there is. On a ring of eight clouds one can see it.

# %% tags=["parameters"]
STEPS = None  # steps of the optimiser; None: those of the presets, about four minutes in all

# %%
from scripts.generative.notebook import samples, trained

plain = trained("dcgan", out="gan-ring", steps=STEPS or 1500, data={"type": "ring"},
                options={"latent": 16, "width": 64, "norm": "none"})  # fmt: skip
samples(plain, 500)

# %% [markdown]
# Grey is real, blue is made up. Does the blue cover all eight clouds? When this page was made it stayed at one side.
# Now the Wasserstein loss with a gradient penalty, which holds the critic's slope near 1.

# %%
penalty = trained("wgan-gp", "ring", out="wgan-gp-ring", steps=STEPS)
samples(penalty, 500)

# %% [markdown]
# It is spread over all eight, and not yet gathered on them. The losses of a GAN do not fall: each part learns against
# the other. Only what it makes says whether it got better.

# %%
penalty.plot()

# %% [markdown]
# And images: digits written with a pen.

# %%
digits = trained("dcgan", steps=STEPS)
samples(digits)

# %% [markdown]
# The first lines of a training tell little, the pictures on the way tell more.

# %%
from generative.report.glance import shown_file

shown_file(sorted((digits.path / "samples").glob("*.png"))[0])

# %%
digits
