"""The generative models, one file each: config, module and loss. `MODELS` finds them by name."""

from generative.component import Registry
from generative.models.autoencoder import Autoencoder, AutoencoderConfig
from generative.models.classifier import CNNClassifier, CNNClassifierConfig, MLPClassifier, MLPClassifierConfig
from generative.models.conditional_gan import ConditionalGAN, ConditionalGANConfig
from generative.models.conditional_vae import ConditionalVAE, ConditionalVAEConfig
from generative.models.gan import DCGAN, WGAN, WGANGP, DCGANConfig, WGANConfig, WGANGPConfig
from generative.models.naive_bayes import (
    Multinomial,
    MultinomialConfig,
    NaiveBayes,
    NaiveBayesConfig,
)
from generative.models.objective import beta_from_r_loss_factor, r_loss_factor_from_beta
from generative.models.pca import PCA, PCAConfig
from generative.models.random_convolutions import RandomConvolutions, RandomConvolutionsConfig
from generative.models.toy_distribution import ToyDistribution, ToyDistributionConfig
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
        "dcgan": DCGAN,
        "wgan": WGAN,
        "wgan-gp": WGANGP,
        "conditional-gan": ConditionalGAN,
        "naive-bayes": NaiveBayes,
        "multinomial": Multinomial,
        "toy-distribution": ToyDistribution,
    },
)

__all__ = [
    "DCGAN",
    "MODELS",
    "PCA",
    "VAE",
    "VQVAE",
    "WGAN",
    "WGANGP",
    "Autoencoder",
    "AutoencoderConfig",
    "BetaVAE",
    "BetaVAEConfig",
    "CNNClassifier",
    "CNNClassifierConfig",
    "ConditionalGAN",
    "ConditionalGANConfig",
    "ConditionalVAE",
    "ConditionalVAEConfig",
    "DCGANConfig",
    "MLPClassifier",
    "MLPClassifierConfig",
    "Multinomial",
    "MultinomialConfig",
    "NaiveBayes",
    "NaiveBayesConfig",
    "PCAConfig",
    "RandomConvolutions",
    "RandomConvolutionsConfig",
    "ToyDistribution",
    "ToyDistributionConfig",
    "VAEConfig",
    "VQVAEConfig",
    "WGANConfig",
    "WGANGPConfig",
    "beta_from_r_loss_factor",
    "r_loss_factor_from_beta",
]
