"""Generative models as components: their training, their files and their diagnosis. Knows nothing of RL."""

from generative.capabilities import CAPABILITIES, offers, require
from generative.component import (
    Component,
    Estimates,
    HasObjectives,
    LatentSpec,
    Objective,
    Part,
    Registry,
    component_bytes,
    component_from_bytes,
    load_component,
    load_metadata,
    resolve_device,
    save_component,
)
from generative.convolutions import to_float, to_uint8
from generative.fit import fit
from generative.fit_config import FitConfig
from generative.mixture import Mixture, MixtureHead, mixture_log_prob, mixture_mean, mixture_sample
from generative.models import (
    MODELS,
    PCA,
    VAE,
    VQVAE,
    Autoencoder,
    BetaVAE,
    ConditionalVAE,
    RandomConvolutions,
    VAEConfig,
    beta_from_r_loss_factor,
    r_loss_factor_from_beta,
)
from generative.options import ComponentError, config_from_mapping, config_to_mapping
from generative.precision import native_bfloat16
from generative.training_step import TrainingDiverged

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
