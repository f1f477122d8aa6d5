"""The memories an ensemble can be made of: every built-in one but itself, and those of installed packages."""

from torch import nn

from generative import Registry
from worldmodels.memories.diffusion import DiffusionMemory
from worldmodels.memories.feed_forward import FeedForward
from worldmodels.memories.gpt import GPTMemory
from worldmodels.memories.lstm import LSTMMemory
from worldmodels.memories.mdn_rnn import MDNRNN
from worldmodels.memories.transformer import TransformerMemory

BUILT_IN: dict[str, type[nn.Module]] = {
    "mdn-rnn": MDNRNN,
    "lstm": LSTMMemory,
    "feed-forward": FeedForward,
    "transformer": TransformerMemory,
    "diffusion": DiffusionMemory,
    "gpt": GPTMemory,
}

MEMBERS = Registry("memory", BUILT_IN)
