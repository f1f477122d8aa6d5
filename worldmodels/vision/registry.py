"""The visions that `vision.type` names."""

from generative import PCA, VAE, VQVAE, Autoencoder, BetaVAE, RandomConvolutions, Registry
from worldmodels.vision.frames import Frames

VISIONS = Registry(
    "vision",
    {
        "vae": VAE,
        "beta-vae": BetaVAE,
        "autoencoder": Autoencoder,
        "vq-vae": VQVAE,
        "pca": PCA,
        "random-convolutions": RandomConvolutions,
        "frames": Frames,
    },
)
