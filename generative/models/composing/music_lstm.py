"""An LSTM with attention that composes a melody: pitches and durations, each note after all before it.

After the music network of *Generative Deep Learning* (Foster 2019, chapter 7): embeddings of pitch and duration go
through two LSTM layers, attention joins the features of all steps, and two heads score the next pitch and duration,

    e_t = tanh(w h_t + b),    a_ts = exp(e_s) / sum_{r<=t} exp(e_r),    c_t = sum_{s<=t} a_ts h_s,
    p(pitch_t+1) = softmax(P c_t),    p(duration_t+1) = softmax(D c_t).

There a window is read to guess one note; here the sum grows step by step, so every step of a window guesses the next
note and the numbers are the same. `e_t` knows nothing of what is asked, and lies between -1 and 1: within 32 steps no
share is above `e^2 / (e^2 + 31) = 0.19`. The lever `attention` has dot products (Luong et al. 2015, arXiv 1508.04025)
and none beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.core.component import Part
from generative.core.facts import Facts
from generative.core.views import Views
from generative.data.fields import Field
from generative.data.needs import needed
from generative.hardware.cuda_graphs import recording
from generative.models.checks import check_sizes
from generative.models.writing.attention_maps import NoteAttention
from generative.networks.recurrent import Recurrent
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import Decoding, Reading, State, choose, decode

Attention = Literal["pooling", "dot-product", "none"]


@dataclass(frozen=True)
class MusicLSTMConfig:
    """Sizes of the model."""

    pitches: int = 60
    """Different pitches, a rest among them."""
    durations: int = 12
    """Different durations."""
    embedding: int = 100
    """Numbers that stand for a pitch, and for a duration."""
    hidden: int = 256
    """Units of a layer."""
    layers: int = 2
    """LSTM layers, one on top of the other."""
    attention: Attention = "pooling"
    """What the heads see: a mean of all steps under weights that each step gives itself, one under weights by dot
    products with the last step, or the last step alone."""
    dropout: float = 0.0
    """Probability that a number of an embedding or of a layer's output is left out while training."""
    context: int = 32
    """Notes that are looked back at while composing, as many as an item of the data has."""

    def __post_init__(self) -> None:
        check_sizes(self, "pitches", "durations", "embedding", "hidden", "layers", "context")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: give 0 or more, but less than 1")


@dataclass(frozen=True)
class MelodySampling(Decoding):
    """How a melody is composed; pitch and duration are chosen alike, and by beams together."""

    length: int = 32
    """Notes of a sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "length")


class MusicLSTM(nn.Module):
    """The distribution of melodies, note by note."""

    type_name = "music-lstm"
    seam = "model"
    fixed_step = True
    Config = MusicLSTMConfig
    Sampling: ClassVar[type] = MelodySampling
    inputs: ClassVar[tuple[str, ...]] = ("notes",)
    views: ClassVar[Views] = {"attention": NoteAttention}
    parts: ClassVar[Mapping[str, Part]] = {"": Part(betas=(0.0, 0.9), optimiser="rmsprop")}
    refusals: ClassVar[Mapping[str, str]] = {
        name: "a melody is composed note by note, without latents"
        for name in ("encode", "decode", "reconstruct", "interpolate")
    }

    def __init__(self, config: MusicLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.pitch = nn.Embedding(config.pitches + 1, config.embedding)  # the last one begins a melody
        self.duration = nn.Embedding(config.durations + 1, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(2 * config.embedding, config.hidden, config.layers, config.dropout)
        self.energy = nn.Linear(config.hidden, 1) if config.attention == "pooling" else None
        self.pitch_head = nn.Linear(config.hidden, config.pitches)
        self.duration_head = nn.Linear(config.hidden, config.durations)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the numbers of pitches and durations, and the notes of an item; errors as of `FitsData`."""
        notes = needed(cls, fields, "notes")
        return {"pitches": notes.sizes[0], "durations": notes.sizes[1], "context": notes.shape[0]}

    def forward(self, notes: Int[Tensor, "B T 2"]) -> tuple[Float[Tensor, "B T P"], Float[Tensor, "B T D"]]:
        """Return the scores of pitch and duration of the note after each of these, of which the first is the start."""
        embedded = torch.cat([self.pitch(notes[..., 0]), self.duration(notes[..., 1])], 2)
        features, _ = self.recurrent(self.dropout(embedded), self.recurrent.first_state(len(notes)))
        context = features if self.config.attention == "none" else self._shares(features) @ features
        return at_least_float32(self.pitch_head(context)), at_least_float32(self.duration_head(context))

    def shares(self, notes: Int[Tensor, "B T 2"]) -> Float[Tensor, "B T+1 T+1"]:
        """Return how much each step, the start first, looks at each other one; zeros behind it.

        Raises:
            ValueError: the model has no attention.
        """
        if self.config.attention == "none":
            raise ValueError("attention=none: this model looks nowhere; train one with --model.attention pooling")
        begun = torch.cat([self._start(len(notes)), notes], 1)
        embedded = torch.cat([self.pitch(begun[..., 0]), self.duration(begun[..., 1])], 2)
        features, _ = self.recurrent(embedded, self.recurrent.first_state(len(notes)))
        return self._shares(features)

    def _shares(self, features: Float[Tensor, "B T H"]) -> Float[Tensor, "B T T"]:
        steps = features.shape[1]
        if self.energy is not None:
            scores = self.energy(features).tanh().transpose(1, 2).expand(-1, steps, -1)
        else:
            scores = features @ features.transpose(1, 2) / math.sqrt(features.shape[2])
        seen = torch.ones(steps, steps, dtype=torch.bool, device=features.device).tril()
        return scores.masked_fill(~seen, -torch.inf).softmax(2)

    def loss(
        self, batch: Int[Tensor, "B T 2"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per note in nats, with those of pitch and of duration."""
        pitch, duration = (-each.mean() for each in self._log_probs(batch))
        return pitch + duration, {"pitch_nats": pitch.detach(), "duration_nats": duration.detach()}

    def log_prob(self, notes: Int[Tensor, "B T 2"]) -> Float[Tensor, " B"]:
        """Return the log-probability in nats of whole melodies; ValueError for numbers that are out of range."""
        pitch, duration = self._log_probs(notes)
        return (pitch + duration).sum(1)

    def sample(self, n: int, sampling: MelodySampling, generator: torch.Generator) -> Int[Tensor, "n T 2"]:
        """Return melodies from their beginning on."""
        nothing = torch.empty(n, 0, 2, dtype=torch.int64, device=self.pitch.weight.device)
        return self.generate(nothing, sampling.length, sampling, generator)

    @torch.no_grad()
    def generate(
        self, prompt: Int[Tensor, "B T 2"], steps: int, sampling: Decoding, generator: torch.Generator
    ) -> Int[Tensor, "B S 2"]:
        """Return the next `steps` notes; each sees the last `context` - 1 of those before it, after the start.

        Raises:
            ValueError: a number of the prompt is out of range, or `steps` is below 1.
        """
        if steps < 1:
            raise ValueError(f"steps={steps}: give 1 or more")
        self._check(prompt)
        if sampling.beams > 1:
            begun = Reading(self._note_scores(prompt), (prompt,), self._advance)
            return self._notes(decode(begun, steps, sampling, generator))
        notes = prompt
        for _ in range(steps):
            drawn = torch.stack([choose(each, sampling, generator) for each in self._after(notes)], 1)
            notes = torch.cat([notes, drawn[:, None]], 1)
        return notes[:, prompt.shape[1] :]

    def _after(self, notes: Int[Tensor, "B T 2"]) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B D"]]:
        """Return the scores of pitch and duration of the note after these, of which the last are seen."""
        seen = notes[:, max(0, notes.shape[1] - self.config.context + 1) :]
        pitch, duration = self(torch.cat([self._start(len(notes)), seen], 1))
        return pitch[:, -1], duration[:, -1]

    def _note_scores(self, notes: Int[Tensor, "B T 2"]) -> Float[Tensor, "B K"]:
        """Return the log-probabilities of all notes after these; note `D pitch + duration` is one token of beams."""
        pitch, duration = (each.log_softmax(1) for each in self._after(notes))
        return (pitch[:, :, None] + duration[:, None]).flatten(1)

    def _notes(self, numbers: Int[Tensor, "B S"]) -> Int[Tensor, "B S 2"]:
        """Return pitches and durations of numbers of notes."""
        return torch.stack([numbers // self.config.durations, numbers % self.config.durations], 2)

    def _advance(self, numbers: Int[Tensor, " B"], state: State) -> tuple[Float[Tensor, "B K"], State]:
        """Return the scores after one more note, and the state then: the notes."""
        notes = torch.cat([state[0], self._notes(numbers[:, None])], 1)
        return self._note_scores(notes), (notes,)

    def _log_probs(self, notes: Int[Tensor, "B T 2"]) -> Sequence[Float[Tensor, "B T"]]:
        self._check(notes)
        scores = self(torch.cat([self._start(len(notes)), notes[:, :-1]], 1))
        parts = zip(scores, notes.unbind(2), strict=True)
        return [-functional.cross_entropy(each.transpose(1, 2), known, reduction="none") for each, known in parts]

    def _start(self, n: int) -> Int[Tensor, "n 1 2"]:
        device = self.pitch.weight.device
        first = (torch.full((n, 1), number, device=device) for number in (self.config.pitches, self.config.durations))
        return torch.stack([*first], 2)

    def _check(self, notes: Tensor) -> None:
        """Raise a ValueError where notes are no numbers (B, T, 2) in range; a GPU that records sees no numbers."""
        limits = (self.config.pitches, self.config.durations)
        said = f"notes of {notes.dtype} and shape {tuple(notes.shape)}: expected integers (B, T, 2)"
        if notes.ndim != 3 or notes.shape[2] != 2 or notes.is_floating_point():
            raise ValueError(said)
        if notes.numel() and not recording():
            low, high = notes.min(), notes.flatten(0, 1).amax(0).tolist()
            if low < 0 or high[0] >= limits[0] or high[1] >= limits[1]:
                raise ValueError(f"{said} below {limits[0]} and {limits[1]}; set pitches and durations")
