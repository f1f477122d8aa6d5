"""MuseGAN: bars of several voices at once, from chords, style, melodies and grooves.

Dong et al. 2018 (arXiv 1709.06298), the hybrid model with temporal generators, under the names that *Generative Deep
Learning* gives its four inputs (Foster 2019, chapter 7). Of Z normal numbers each:

    chords (one, over time)    temporal network -> a vector for each bar, the same for all voices
    style (one)                the same for all bars and voices
    melody (of each voice, over time)    a temporal network of its own -> a vector for each bar
    groove (of each voice)     the same for all its bars

The four vectors of a bar and a voice go through the voice's bar generator: transposed convolutions over time, then over
pitch. The critic convolves over bars, over pitches and over time. A piece is (B V bars steps P), 1 where a pitch
sounds and -1 elsewhere; the last of the P pitches stands for a rest, so every step of a voice has exactly one 1. The
penalty is on the norm of a whole piece's gradient, over all four axes (Gulrajani et al. 2017, arXiv 1704.00028).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.core.views import Views
from generative.data.fields import Field
from generative.data.music.rolls import BEATS_PER_MINUTE, GOES_ON, pitches_of
from generative.data.needs import needed
from generative.hardware.cuda_graphs import recording
from generative.models.adversarial.gan import DCGAN
from generative.models.checks import check_not_negative, check_sizes
from generative.models.composing.muse_gan_views import Exchange
from generative.objectives.adversarial import GanLoss, Lipschitz
from generative.objectives.variational import at_least_float32
from generative.sampling.dials import PriorSampling

OCTAVE = 12
LEAK = 0.2
"""Slope of the critic's units below 0."""
PARTS = ("chords", "style", "melody", "groove")


@dataclass(frozen=True)
class MuseGANConfig:
    """Sizes of the networks and of the pieces."""

    gan_loss: ClassVar[GanLoss] = "wasserstein"
    lipschitz: ClassVar[Lipschitz] = "gradient-penalty"
    drift: ClassVar[float] = 0.0
    accumulation: ClassVar[int] = 1
    label_noise: ClassVar[float] = 0.0
    bars: int = 2
    """Bars of a piece."""
    steps: int = 16
    """Steps of a bar: 16, or 8 on a grid of quavers."""
    voices: int = 4
    """Voices, each with a bar generator of its own."""
    pitches: int = 46
    """Different pitches of the data, without rest and hold."""
    holds: bool = True
    """The data have a number for a note that goes on."""
    inputs: int = 32
    """Z, numbers of each input."""
    width: int = 1024
    """Units of the temporal networks and of the first layer of bar generators; later ones have up to half of it."""
    critic_width: int = 128
    """Channels of the critic's first layers, its last ones have up to 4 times as many and 8 times as many units."""
    binarise: Literal["none", "straight-through"] = "none"
    """What the critic sees of the generator: numbers from -1 to 1, or one pitch for each step, with the gradient of
    its probability (Bengio et al. 2013, arXiv 1308.3432; binary neurons in Dong & Yang 2018, arXiv 1804.09399)."""
    penalty: float = 10.0
    """Weight of the gradient penalty."""
    critic_steps: int = 5
    """Updates of the critic for one of the generator, each on a new batch."""
    critic_rate: float = 1.0
    """The critic's learning rate in multiples of the generator's."""
    momentum: float = 0.5
    """Adam's decay of the mean gradient."""
    second_moment: float = 0.9
    """Adam's decay of the mean squared gradient."""
    ema: float = 0.99
    """Decay of the average of generator weights that pieces come from; 0 takes the last weights."""

    def __post_init__(self) -> None:
        check_sizes(self, "voices", "pitches", "inputs", "critic_width", "critic_steps")
        check_not_negative(self, "penalty")
        if self.bars < 2:
            raise ValueError(f"bars={self.bars}: the critic compares bars; give 2 or more")
        if self.steps not in (8, 16):
            raise ValueError(f"steps={self.steps}: a bar has 8 or 16 steps; take data with steps=2 or 4")
        if self.width < 4 or self.width % 4:
            raise ValueError(f"width={self.width}: give a multiple of 4")
        for name in ("momentum", "second_moment", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: give 0 or more, but less than 1")
        if not self.critic_rate > 0:
            raise ValueError(f"critic_rate={self.critic_rate}: must be above 0")

    @property
    def latent(self) -> int:
        """Numbers of all inputs together."""
        return self.inputs * (2 + 2 * self.voices)

    @property
    def octaves(self) -> int:
        """Of a piece inside the networks: as many as hold all pitches and a rest."""
        return -(-(self.pitches + 1) // OCTAVE)


class Temporal(nn.Module):
    """A vector for each bar, out of one for the whole piece."""

    def __init__(self, inputs: int, width: int, bars: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose1d(inputs, width, 2), nn.BatchNorm1d(width), nn.ReLU(),
            nn.ConvTranspose1d(width, inputs, bars - 1), nn.BatchNorm1d(inputs), nn.ReLU(),
        )  # fmt: skip

    def forward(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B bars Z"]:
        """Return the vectors."""
        found: Tensor = self.layers(z[:, :, None]).transpose(1, 2)
        return found


class BarGenerator(nn.Module):
    """One bar of one voice."""

    def __init__(self, inputs: int, width: int, steps: int, octaves: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.first = nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU())
        layers: list[nn.Module] = []
        channels, length = half, 2
        while length < steps:
            wide = half if length == 2 else quarter
            layers += [nn.ConvTranspose2d(channels, wide, (2, 1), (2, 1)), nn.BatchNorm2d(wide), nn.ReLU()]
            channels, length = wide, 2 * length
        layers += [
            nn.ConvTranspose2d(channels, quarter, (1, octaves), (1, octaves)),
            nn.BatchNorm2d(quarter),
            nn.ReLU(),
        ]
        layers.append(nn.ConvTranspose2d(quarter, 1, (1, OCTAVE), (1, OCTAVE)))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Float[Tensor, "B I"]) -> Float[Tensor, "B steps P"]:
        """Return a score for every pitch at every step."""
        found: Tensor = self.layers(self.first(inputs).unflatten(1, (-1, 2, 1)))
        return found[:, 0]


class Composer(nn.Module):
    """Pieces out of chords, style, melodies and grooves."""

    silent: Tensor

    def __init__(self, config: MuseGANConfig) -> None:
        super().__init__()
        self.config = config
        self.chords = Temporal(config.inputs, config.width, config.bars)
        self.melodies = nn.ModuleList(Temporal(config.inputs, config.width, config.bars) for _ in range(config.voices))
        self.bars = nn.ModuleList(
            BarGenerator(4 * config.inputs, config.width, config.steps, config.octaves) for _ in range(config.voices)
        )
        never = torch.arange(OCTAVE * config.octaves - 1) >= config.pitches
        self.register_buffer("silent", torch.cat([never, torch.tensor([False])]), persistent=False)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, z: Float[Tensor, "B I"]) -> Float[Tensor, "B V bars steps P"]:
        """Return pieces as the critic sees them, from -1 to 1."""
        c = self.config
        chords, style, *rest = z.split(c.inputs, 1)
        melodies, grooves = rest[: c.voices], rest[c.voices :]
        shared = self.chords(chords)
        voices = []
        for voice, bar in enumerate(self.bars):
            always = [each[:, None].expand_as(shared) for each in (style, grooves[voice])]
            inputs = torch.cat([shared, always[0], self.melodies[voice](melodies[voice]), always[1]], 2)
            voices.append(bar(inputs.flatten(0, 1)).unflatten(0, (-1, c.bars)))
        scores = torch.stack(voices, 1).masked_fill(self.silent, -20.0)
        if c.binarise == "none":
            return scores.tanh()
        shares = scores.softmax(-1)
        chosen = (scores.argmax(-1, keepdim=True) == torch.arange(scores.shape[-1], device=scores.device)).to(shares)
        return 2 * (chosen + shares - shares.detach()) - 1


def critic_network(config: MuseGANConfig) -> nn.Module:
    """Return the critic of pieces (B V bars steps P): over bars, over pitches, over time."""
    width = config.critic_width
    shapes = [
        (config.voices, width, (2, 1, 1), (1, 1, 1), (0, 0, 0)),
        (width, width, (config.bars - 1, 1, 1), (1, 1, 1), (0, 0, 0)),
        (width, width, (1, 1, OCTAVE), (1, 1, OCTAVE), (0, 0, 0)),
        (width, width, (1, 1, config.octaves), (1, 1, config.octaves), (0, 0, 0)),
        (width, width, (1, 2, 1), (1, 2, 1), (0, 0, 0)),
        (width, width, (1, 2, 1), (1, 2, 1), (0, 0, 0)),
        (width, 2 * width, (1, 4, 1), (1, 2, 1), (0, 1, 0)),
        (2 * width, 4 * width, (1, 3, 1), (1, 2, 1), (0, 1, 0)),
    ]
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, padding in shapes:
        layers += [nn.Conv3d(inputs, outputs, kernel, stride, padding), nn.LeakyReLU(LEAK)]
    network = nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(4 * width, 8 * width), nn.LeakyReLU(LEAK), nn.Linear(8 * width, 1)
    )
    for weight in network.parameters():
        nn.init.kaiming_normal_(weight, LEAK) if weight.ndim > 1 else nn.init.zeros_(weight)
    return network


class MuseGAN(DCGAN):
    """A generator and a critic of pieces, trained in turns as WGAN-GP."""

    type_name = "muse-gan"
    fixed_step = True
    Config: ClassVar[Any] = MuseGANConfig
    views: ClassVar[Views] = {"exchange": Exchange}
    inputs: ClassVar[tuple[str, ...]] = ("roll",)
    strikes: ClassVar[bool] = False
    """Whether it tells a note that is struck again from one that goes on."""

    def _networks(self, beside: int) -> tuple[nn.Module, nn.Module]:
        return Composer(self.config), critic_network(self.config)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return bars, steps, voices and pitches of the data, and whether they have holds; errors as of `FitsData`."""
        roll = needed(cls, fields, "roll")
        steps = round(roll.rate * 60 / BEATS_PER_MINUTE) * 4 if roll.rate else 16
        if roll.shape[0] % steps or roll.shape[0] < 2 * steps:
            raise ComponentError(
                f"{cls.type_name} needs two or more whole bars, and the data has {roll.shape[0]} steps"
            )
        return {
            "bars": roll.shape[0] // steps,
            "steps": steps,
            "voices": roll.shape[1],
            "pitches": int((pitches_of(roll.names) >= 0).sum()),
            "holds": GOES_ON in roll.names,
        }

    def exchanged(
        self, z: Float[Tensor, "B I"], other: Float[Tensor, "B I"], part: str, voice: int = 0
    ) -> Float[Tensor, "B I"]:
        """Return latents with one of their inputs from others: chords, style, or melody or groove of a voice.

        Raises:
            ValueError: there is no such part or voice.
        """
        c = self.config
        if part not in PARTS or not 0 <= voice < c.voices:
            raise ValueError(f"part={part!r}, voice={voice}: give one of {', '.join(PARTS)}, and 0 to {c.voices - 1}")
        place = {"chords": 0, "style": 1, "melody": 2 + voice, "groove": 2 + c.voices + voice}[part]
        found = z.clone()
        found[:, place * c.inputs : (place + 1) * c.inputs] = other[:, place * c.inputs : (place + 1) * c.inputs]
        return found

    def decode(self, z: Float[Tensor, "B I"]) -> Int[Tensor, "B T V"]:
        """Return the rolls that latents stand for, by the averaged weights: at every step the most probable pitch."""
        return self._outside(self.average(z))

    def sample(self, n: int, sampling: PriorSampling, generator: torch.Generator) -> Int[Tensor, "n T V"]:
        """Return pieces of latents drawn from N(0, 1), the variance times `temperature`."""
        return self.decode(sampling.temperature**0.5 * self._latents(n, generator))

    def _inside(self, obs: Int[Tensor, "B T V"]) -> Float[Tensor, "B V bars steps P"]:
        """Return rolls as the critic sees them; ValueError where they are none of these sizes."""
        c, count = self.config, OCTAVE * self.config.octaves
        said = f"rolls of {obs.dtype} and shape {tuple(obs.shape)}"
        if obs.is_floating_point() or tuple(obs.shape[1:]) != (c.bars * c.steps, c.voices):
            raise ValueError(f"{said}: expected integers (B, {c.bars * c.steps}, {c.voices})")
        if not recording() and (int(obs.min()) < 0 or int(obs.max()) > c.pitches + c.holds):
            raise ValueError(f"{said}: expected 0 to {c.pitches + c.holds}; set pitches")
        if c.holds:
            steps = torch.arange(1, obs.shape[1] + 1, device=obs.device)[None, :, None]
            last = torch.where(obs == 1, 0, steps).cummax(1).values
            obs = torch.where(last == 0, 0, obs.gather(1, (last - 1).clamp(min=0)))  # what a hold goes on with
        pitch = torch.where(obs == 0, count - 1, obs - 1 - int(c.holds))
        chosen = (pitch.transpose(1, 2)[..., None] == torch.arange(count, device=pitch.device)).float()
        return 2 * chosen.unflatten(2, (c.bars, c.steps)) - 1

    def _outside(self, made: Tensor) -> Tensor:
        """Return the numbers of rolls: of equal pitches in a row the first one is struck, the others go on."""
        c, count = self.config, OCTAVE * self.config.octaves
        pitch = at_least_float32(made).argmax(-1).flatten(2).transpose(1, 2)  # (B T V)
        found = torch.where(pitch == count - 1, 0, pitch + 1 + int(c.holds))
        if c.holds:
            same = (found[:, 1:] == found[:, :-1]) & (found[:, 1:] > 0)
            found = torch.cat([found[:, :1], torch.where(same, 1, found[:, 1:])], 1)
        return found
