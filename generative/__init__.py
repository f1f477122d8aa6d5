"""Generative models as components: their training, their files and their diagnosis. Knows nothing of RL."""

from generative.component import (
    Component,
    LatentSpec,
    Registry,
    component_bytes,
    component_from_bytes,
    load_component,
    load_metadata,
    resolve_device,
    save_component,
)
from generative.convolutions import to_float, to_uint8
from generative.fit import FitConfig, TrainingDiverged, fit
from generative.mixture import Mixture, MixtureHead, mixture_log_prob, mixture_mean, mixture_sample
from generative.options import ComponentError, config_from_mapping, config_to_mapping
from generative.precision import native_bfloat16
from generative.vae import VAE, VAEConfig

__all__ = [
    "VAE",
    "Component",
    "ComponentError",
    "FitConfig",
    "LatentSpec",
    "Mixture",
    "MixtureHead",
    "Registry",
    "TrainingDiverged",
    "VAEConfig",
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
    "resolve_device",
    "save_component",
    "to_float",
    "to_uint8",
]
