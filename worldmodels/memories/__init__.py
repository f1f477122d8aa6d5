"""Memories (M): what predicts the next latent, the reward and the end, and remembers; one type a file."""

from worldmodels.memories.contract import (
    Memory,
    MemoryModule,
    Metrics,
    PointPrediction,
    Predicted,
    PredictedMixture,
    Prediction,
    Remembers,
    SequenceBatch,
    State,
    choose_rows,
    draws_of,
    first_state,
    initial_on,
    masked_mean,
    sample_latents,
)
from worldmodels.memories.models.diffusion import DiffusionMemory, DiffusionMemoryConfig
from worldmodels.memories.models.ensemble import Ensemble, EnsembleConfig, EnsemblePrediction, agent_memory
from worldmodels.memories.models.ensemble_members import BUILT_IN, MEMBERS
from worldmodels.memories.models.feed_forward import FeedForward, FeedForwardConfig
from worldmodels.memories.models.frame_diffusion import FrameDiffusion, FrameDiffusionConfig
from worldmodels.memories.models.gpt import GPTMemory, GPTMemoryConfig
from worldmodels.memories.models.lstm import LSTMConfig, LSTMMemory
from worldmodels.memories.models.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.memories.models.shuffled import ShuffledMemory
from worldmodels.memories.models.transformer import TransformerMemory, TransformerMemoryConfig
from worldmodels.memories.registry import MEMORIES

__all__ = [
    "BUILT_IN",
    "MDNRNN",
    "MEMBERS",
    "MEMORIES",
    "DiffusionMemory",
    "DiffusionMemoryConfig",
    "Ensemble",
    "EnsembleConfig",
    "EnsemblePrediction",
    "FeedForward",
    "FeedForwardConfig",
    "FrameDiffusion",
    "FrameDiffusionConfig",
    "GPTMemory",
    "GPTMemoryConfig",
    "LSTMConfig",
    "LSTMMemory",
    "MDNRNNConfig",
    "Memory",
    "MemoryModule",
    "Metrics",
    "PointPrediction",
    "Predicted",
    "PredictedMixture",
    "Prediction",
    "Remembers",
    "SequenceBatch",
    "ShuffledMemory",
    "State",
    "TransformerMemory",
    "TransformerMemoryConfig",
    "agent_memory",
    "choose_rows",
    "draws_of",
    "first_state",
    "initial_on",
    "masked_mean",
    "sample_latents",
]
