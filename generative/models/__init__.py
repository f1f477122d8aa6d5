"""The generative models, one file each: config, module and loss. `MODELS` finds them by name."""

from generative.component import Registry
from generative.models.autoencoder import Autoencoder, AutoencoderConfig
from generative.models.classifier import CNNClassifier, CNNClassifierConfig, MLPClassifier, MLPClassifierConfig
from generative.models.conditional_vae import ConditionalVAE, ConditionalVAEConfig
from generative.models.objective import beta_from_r_loss_factor, r_loss_factor_from_beta
from generative.models.pca import PCA, PCAConfig
from generative.models.random_convolutions import RandomConvolutions, RandomConvolutionsConfig
from generative.models.vae import VAE, BetaVAE, BetaVAEConfig, VAEConfig
from generative.models.vq_vae import VQVAE, VQVAEConfig

MODELS = Registry(
    "model",
    {
        "vae": VAE,
        "beta-vae": BetaVAE,
        "autoencoder": Autoencoder,
        "conditional-vae": ConditionalVAE,
        "vq-vae": VQVAE,
        "pca": PCA,
        "random-convolutions": RandomConvolutions,
        "mlp-classifier": MLPClassifier,
        "cnn-classifier": CNNClassifier,
    },
)

__all__ = [
    "MODELS",
    "PCA",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "AutoencoderConfig",
    "CNNClassifier",
    "CNNClassifierConfig",
    "BetaVAE",
    "BetaVAEConfig",
    "ConditionalVAE",
    "ConditionalVAEConfig",
    "MLPClassifier",
    "MLPClassifierConfig",
    "PCAConfig",
    "RandomConvolutions",
    "RandomConvolutionsConfig",
    "VAEConfig",
    "VQVAEConfig",
    "beta_from_r_loss_factor",
    "r_loss_factor_from_beta",
]
