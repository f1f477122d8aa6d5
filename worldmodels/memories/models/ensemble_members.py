"""The memories an ensemble can be made of: every built-in one but itself, and those of installed packages."""

from torch import nn

from generative import Registry
from worldmodels.memories.models.diffusion import DiffusionMemory
from worldmodels.memories.models.feed_forward import FeedForward
from worldmodels.memories.models.frame_diffusion import FrameDiffusion
from worldmodels.memories.models.gpt import GPTMemory
from worldmodels.memories.models.lstm import LSTMMemory
from worldmodels.memories.models.mdn_rnn import MDNRNN
from worldmodels.memories.models.transformer import TransformerMemory

BUILT_IN: dict[str, type[nn.Module]] = {
    "mdn-rnn": MDNRNN,
    "lstm": LSTMMemory,
    "feed-forward": FeedForward,
    "transformer": TransformerMemory,
    "diffusion": DiffusionMemory,
    "frame-diffusion": FrameDiffusion,
    "gpt": GPTMemory,
}

MEMBERS = Registry("memory", BUILT_IN)
