"""Generative models as components: their training, their files and their diagnosis. Knows nothing of RL."""

from generative.capabilities import CAPABILITIES, offers, require
from generative.core.component import Component, Estimates, HasObjectives, LatentSpec, Objective, Part
from generative.core.options import ComponentError, config_from_mapping, config_to_mapping
from generative.core.registry import Registry
from generative.core.storage import component_bytes, component_from_bytes, load_component, load_metadata, save_component
from generative.hardware.device import resolve_device
from generative.hardware.precision import native_bfloat16
from generative.models import MODELS
from generative.models.autoencoders.autoencoder import Autoencoder
from generative.models.autoencoders.conditional_vae import ConditionalVAE
from generative.models.autoencoders.pca import PCA
from generative.models.autoencoders.random_convolutions import RandomConvolutions
from generative.models.autoencoders.vae import VAE, BetaVAE, VAEConfig
from generative.models.autoencoders.vq_vae import VQVAE
from generative.networks.convolutions import to_float, to_uint8
from generative.networks.mixture import Mixture, MixtureHead, mixture_log_prob, mixture_mean, mixture_sample
from generative.objectives.variational import beta_from_r_loss_factor, r_loss_factor_from_beta
from generative.training.fit import fit
from generative.training.fit_config import FitConfig
from generative.training.training_step import TrainingDiverged

__all__ = [
    "CAPABILITIES",
    "MODELS",
    "PCA",
    "VAE",
    "VQVAE",
    "Autoencoder",
    "BetaVAE",
    "Component",
    "ComponentError",
    "ConditionalVAE",
    "Estimates",
    "FitConfig",
    "HasObjectives",
    "LatentSpec",
    "Mixture",
    "MixtureHead",
    "Objective",
    "Part",
    "RandomConvolutions",
    "Registry",
    "TrainingDiverged",
    "VAEConfig",
    "beta_from_r_loss_factor",
    "component_bytes",
    "component_from_bytes",
    "config_from_mapping",
    "config_to_mapping",
    "fit",
    "load_component",
    "load_metadata",
    "mixture_log_prob",
    "mixture_mean",
    "mixture_sample",
    "native_bfloat16",
    "offers",
    "r_loss_factor_from_beta",
    "require",
    "resolve_device",
    "save_component",
    "to_float",
    "to_uint8",
]
