"""How fast a Transformer writes with its cache, against reading all anew, and learns, against torch's own layers."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative import FitConfig, fit
from generative.data import Data, Field
from generative.models.writing.gpt2 import GPT2, GPT2Config
from generative.models.writing.language_model import TextSampling
from generative.sampling.decoding import choose
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, paired, rate
from worldmodels.benchmark.machine import use_cores

WRITING = BenchmarkFigure(
    "writing",
    "256 tokens from GPT-2 of nanoGPT's size for a CPU with a context of 256, against reading all anew for each",
    "x",
    ">= 5",
    "tokens/s",
)
WRITING_LEAST = 5.0
READING = BenchmarkFigure(
    "reading",
    "training tokens of that GPT-2 by `fit` on one core, context 64, against a plain loop over torch's own layers",
    "x",
    ">= 0.95",
    "tokens/s",
)
READING_LEAST = 0.95
LENGTH, CONTEXT, BATCH, VOCABULARY = 256, 64, 12, 65
PIECES = 2048
"""Different pieces of text that are learnt from."""


def writing(settings: Settings) -> BenchmarkFigure:
    """Write one text of 256 tokens on one core, both ways."""
    length = settings.scaled(LENGTH, 8)
    with use_cores(1), torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2(GPT2Config(vocabulary=VOCABULARY, context=LENGTH)).eval()
        dials, nothing = TextSampling(length=length), torch.empty(1, 0, dtype=torch.int64)

        def cached() -> float:
            return model.generate(nothing, length, dials, _seeded()).numel()

        def anew() -> float:
            return len(list(read_anew(model, length, dials, _seeded())))

        written = model.generate(nothing, length, dials, _seeded())[0].tolist()
        same = written == list(read_anew(model, length, dials, _seeded()))
        pairs = paired(lambda seconds: rate(cached, seconds), lambda seconds: rate(anew, seconds), settings)
    return WRITING.timed(pairs, WRITING_LEAST, tokens=length, same_text=same)


@torch.no_grad()
def read_anew(model: GPT2, length: int, dials: TextSampling, generator: torch.Generator) -> Iterator[int]:
    """Yield the tokens of a text, for each of which all that is written is read."""
    tokens = torch.full((1, 1), model.config.vocabulary)
    for _ in range(length):
        drawn = choose(model(tokens)[:, -1], dials, generator)[:, None]
        tokens = torch.cat([tokens, drawn], 1)
        yield int(drawn)


def reading(settings: Settings) -> BenchmarkFigure:
    """Train on pieces of text on one core, ours and by the plain loop."""
    pieces = np.random.default_rng(0).integers(0, VOCABULARY, (PIECES, CONTEXT))
    with use_cores(1), torch.random.fork_rng():
        torch.manual_seed(0)
        ours, theirs = _fitted(pieces), plain_training(torch.from_numpy(pieces))

        def step(training: Iterator[object]) -> float:
            next(training)
            return BATCH * CONTEXT

        step(ours), step(theirs)
        pairs = paired(
            lambda seconds: rate(lambda: step(ours), seconds),
            lambda seconds: rate(lambda: step(theirs), seconds),
            settings,
        )
    return READING.timed(pairs, READING_LEAST, batch=BATCH, context=CONTEXT)


def _fitted(pieces: np.ndarray) -> Iterator[object]:
    """Train as `generative train` does, and yield after every step."""
    rows = np.arange(len(pieces))
    field = Field("tokens", (CONTEXT,), "int64", (), (VOCABULARY,))
    data = Data("pieces", {"tokens": field}, {"tokens": lambda items: pieces[items]}, rows, rows)
    model = GPT2(GPT2Config(vocabulary=VOCABULARY, context=CONTEXT))
    config = FitConfig(steps=10**9, gradient_clip=1.0)
    return fit(model, data.batches(BATCH, 0, ("tokens",)), config, seed=0, log_every=1)


class PlainGPT(nn.Module):
    """The same sizes in torch's own layers."""

    def __init__(self) -> None:
        super().__init__()
        sizes = GPT2Config()
        layer = nn.TransformerEncoderLayer(
            sizes.width, sizes.heads, 4 * sizes.width, 0.0, nn.GELU("tanh"), batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, sizes.layers, nn.LayerNorm(sizes.width), enable_nested_tensor=False)
        self.embedding = nn.Embedding(VOCABULARY + 1, sizes.width)
        self.position = nn.Embedding(CONTEXT, sizes.width)
        self.register_buffer("later", nn.Transformer.generate_square_subsequent_mask(CONTEXT))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the negative log-probability per token."""
        before = functional.pad(tokens[:, :-1], (1, 0), value=VOCABULARY)
        features = self.blocks(self.embedding(before) + self.position.weight, self.later, is_causal=True)
        scores = features @ self.embedding.weight[:VOCABULARY].T
        return functional.cross_entropy(scores.flatten(0, 1), tokens.flatten())


def plain_training(pieces: Tensor) -> Iterator[Tensor]:
    """Train torch's own layers, and yield the loss of every step."""
    model = PlainGPT()
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=GPT2Config().decay)
    while True:
        loss = model(pieces[torch.randint(len(pieces), (BATCH,))])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        yield loss


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
