"""The dream: the memory as a world (Ha and Schmidhuber 2018, section 4).

`imagine` evolves controllers in it: many candidates times many dreams as few batched operations, never decoding a
frame. `moments` are the same dreams step by step, for whoever wants to look.
`worldmodels.dream.env` is the same world behind gymnasium's face.

Dreams start from real latents: at the standstill of an episode's first frame, or inside an episode after the memory has
been warmed up on its real steps. The noise of a dream, the member of an ensemble that dreams it and what is dropped out
of it are functions of its seed alone and shared by all candidates. Chance is either drawn from the memory's own
distributions, or of real steps that were like the dreamt one: `worldmodels.dream.residuals`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from agents import Controller
from generative import native_bfloat16
from generative.options import check_numbers
from worldmodels.agent.features import Perception
from worldmodels.dream.residuals import Bootstrap, Innovations, record_innovations
from worldmodels.dream.world import World, draw_variants
from worldmodels.errors import RunError
from worldmodels.files import write_bytes
from worldmodels.vision.latents import LatentFile


@dataclass(frozen=True)
class DreamConfig:
    """How dreams go when controllers are evolved in them."""

    horizon: int = 100
    """Steps in a dream."""
    temperature: float = 1.0
    """Of chance: above 1 dreams are more random, which makes them harder to exploit."""
    noise: Literal["drawn", "real"] = "drawn"
    """What chance adds to the expected latent: drawn from the memory's mixture, or real: what it had not expected in
    a recorded step like this one, so that bends come into sight as they do on real roads."""
    among: int = 1000
    """Least number of recorded steps, others at each step of a dream, of which the most similar one is taken."""
    standstill: float = 0.3
    """Share of dreams that start at an episode's first frame; the others start inside one."""
    warmup: int = 20
    """Real steps the memory sees before a dream that starts inside an episode."""
    terminates: bool = True
    """Whether the termination head ends dreams (drawn with its probability)."""
    patience: int = 0
    """Steps in a row that earn nothing after which a dream ends too, as early stopping ends training episodes: where
    leaving the road is dear, a driver would otherwise brake before a bend and stay there. 0 for never."""
    goal: float = 0.0
    """Earnings at which a dream is over, as a lap is once its road has been driven; 0 for none. A dream lasts some
    steps, a lap some way: without a goal dreams pay for haste as no lap does."""
    termination_charge: float = 0.1
    """Cost of each step that a terminated dream does not play."""
    forfeit: float = 0.0
    """Further cost of each such step, as a multiple of what the recorded drivers earned a step before their ends: what
    an end costs rises with what is to be lost, so that in a loop beginners dare to drive and good drivers stay on."""
    lost: float = 0.0
    """Steps of the same earnings that an end costs wherever in the dream it comes. A dream is a part of an episode:
    without this its last steps may leave the road for nothing, and an end costs less than the rest of an episode."""
    starts: int = 1000
    """Starting points kept of the rollouts."""
    newest: int = 0
    """Newest episodes that dreams start inside of, which in a loop are those of the newest drivers; 0 for all."""
    survives: int = 0
    """Steps for which a recorded episode must go on, before its target of termination, where a dream starts inside it:
    a car that has left the road already teaches nothing."""
    block: int = 16
    """Candidates imagined in one batch."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the memory's products in dreams; auto: bfloat16 where the processor has it."""
    memory: Literal["trained", "untrained"] = "trained"
    """Which memory dreams: the trained one, or as a control one with random weights and the trained one's scales."""
    penalty: float = 0.0
    """Charge a step on disagreement between an ensemble's members, in spreads of the latent; costs M times the time."""
    dropout: float = 0.0
    """Share of the dreaming memory's features that are zero throughout a dream, others in each dream."""

    def __post_init__(self) -> None:
        for name in ("horizon", "starts", "block", "among"):
            if getattr(self, name) < 1:
                raise ValueError(f"dream.{name}={getattr(self, name)}: must be at least 1")
        check_numbers(self, "dream")
        if self.temperature < 0:
            raise ValueError(f"dream.temperature={self.temperature}: must be at least 0; 1 is the memory's own")
        if not 0 <= self.standstill <= 1:
            raise ValueError(f"dream.standstill={self.standstill}: is a share between 0 and 1")
        for name in ("warmup", "newest", "survives", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"dream.{name}={getattr(self, name)}: must not be negative")
        for name, zero in (
            ("termination_charge", "charges nothing"),
            ("forfeit", "charges nothing"),
            ("lost", "charges nothing"),
            ("goal", "sets none"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"dream.{name}={getattr(self, name)}: must be at least 0; 0 {zero}")
        if not self.penalty >= 0:
            raise ValueError(f"dream.penalty={self.penalty}: must not be negative; 0 charges nothing")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dream.dropout={self.dropout}: is a share, at least 0 and below 1")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number type that `dtype` stands for on this processor."""
        native = self.dtype != "float32" and native_bfloat16()
        return torch.bfloat16 if native else torch.float32


@dataclass(frozen=True)
class Starts:
    """Where dreams begin."""

    still: np.ndarray
    """float32 (S Z): latents of first frames."""
    z: np.ndarray
    """float32 (S K+1 Z): latents along K real steps, and where the dream begins."""
    action: np.ndarray
    """float32 (S K A): the real actions between them."""
    earned: np.ndarray = field(default_factory=lambda: np.zeros((), np.float32))
    """float32 (): mean reward of a step, before its end, in the episodes that dreams start inside of; at least 0."""
    innovations: Innovations | None = None
    """What chance is where it is real; None where it is drawn."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, those of the innovations as `innovations.<name>`."""
        own = {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}
        recorded = {} if self.innovations is None else self.innovations._asdict()
        return own | {f"innovations.{name}": array for name, array in recorded.items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "Starts":
        """Put together what `arrays` took apart; a TypeError names what is missing."""
        parted = {name.removeprefix("innovations."): array for name, array in arrays.items() if "." in name}
        own = {name: array for name, array in arrays.items() if "." not in name}
        return cls(**own, innovations=Innovations(**parted) if parted else None)  # type: ignore[arg-type]

    def save(self, path: Path) -> None:
        """Write the starts to a safetensors file."""
        write_bytes(path, save(self.arrays()))

    def spread(self) -> np.ndarray:
        """Return the standard deviation of each latent dimension over all starts, float32 (Z)."""
        every = np.concatenate([self.still, self.z.reshape(-1, self.z.shape[2])]).astype(np.float32)
        return np.maximum(every.std(0), 1e-6)

    @classmethod
    def load(cls, path: Path) -> "Starts":
        """Read the starts that `save` wrote."""
        try:
            return cls.of(load_file(path))
        except (OSError, SafetensorError, TypeError) as error:
            raise RunError(f"{path} holds no dream starts ({error}): run `worldmodels train-memory` first") from error


def gather_starts(
    files: Sequence[LatentFile],
    config: DreamConfig,
    seed: int,
    ended: Sequence[np.ndarray] | None = None,
    latent: Literal["sample", "mean"] = "sample",
    memory: Any = None,
) -> Starts:
    """Draw starting points from encoded episodes.

    Args:
        files: the episodes, the newest last.
        config: how many, how many steps before a start inside an episode, and which episodes these may be.
        seed: of the draw.
        ended: for each episode (T), 1 where a dream would be over after the step: none starts there, nor within
            `config.survives` steps before it.
        latent: whether latents are drawn from their posteriors or are their means.
        memory: that dreams, whose innovations are the chance of dreams; None where that is drawn.

    Raises:
        RunError: no episode has a place to start from.
    """
    rng = np.random.default_rng(seed)

    def draw(file: LatentFile, begin: int, end: int) -> np.ndarray:
        mean, std = file.read("mean", begin, end), file.read("std", begin, end)
        if latent == "mean":
            return mean.astype(np.float32)
        return (mean + std * rng.standard_normal(mean.shape)).astype(np.float32)

    newest = min(config.newest, len(files))
    still, z, action = [], [], []
    for count in range(config.starts):
        still.append(draw(files[count % len(files)], 0, 1)[0])
        place = len(files) - 1 - count % newest if config.newest else count % len(files)
        file = files[place]
        begins = np.arange(file.steps - config.warmup + 1)
        if ended is not None:
            begins = begins[_goes_on(ended[place], begins + config.warmup, config.survives)]
        if len(begins):
            begin = int(rng.choice(begins))
            z.append(draw(file, begin, begin + config.warmup + 1))
            action.append(file.read("action", begin, begin + config.warmup))
    if not z:
        longest = max(file.steps for file in files)
        raise RunError(
            f"no episode has {config.warmup} steps to warm up on before it is over (longest: {longest}): "
            f"lower dream.warmup{' or dream.survives' if config.survives else ''}"
        )
    drivers = range(len(files) - newest if newest else 0, len(files))
    starts = Starts(np.stack(still), np.stack(z), np.stack(action), _earned(files, drivers, ended))
    if memory is None:
        return starts
    seen = None if ended is None else [ended[place] for place in drivers]
    recorded = record_innovations(memory, [files[place] for place in drivers], seen, latent, rng)
    return replace(starts, innovations=recorded)


def _earned(files: Sequence[LatentFile], places: Sequence[int], ended: Sequence[np.ndarray] | None) -> np.ndarray:
    """Return the mean reward of a step in some episodes, up to where each is over, and at least 0: float32 ()."""
    rewards = []
    for place in places:
        over: list[int] = [] if ended is None else np.flatnonzero(ended[place]).tolist()
        rewards.append(files[place].read("reward", 0, over[0] if over else None))
    every = np.concatenate(rewards)
    return np.array(max(0.0, float(every.mean())) if len(every) else 0.0, dtype=np.float32)


def _goes_on(ended: np.ndarray, step: np.ndarray, survives: int) -> np.ndarray:
    """Return whether nothing ends in the step that leads to each of the steps, nor in the next ones, bool as `step`.

    The end of the recording itself is no end.
    """
    ends = np.concatenate([[0], np.cumsum(ended != 0)])  # (T+1): ends in the first t steps
    return ends[np.minimum(step + survives, len(ended))] == ends[np.maximum(step - 1, 0)]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Noise:
    """All that chance decides in E dreams of T steps, as a function of their seeds."""

    still: Tensor
    """bool (E): whether the dream starts at standstill."""
    still_index: Tensor
    """int64 (E)."""
    warm_index: Tensor
    """int64 (E)."""
    normal: Tensor
    """float32 (E T Z)."""
    uniform: Tensor
    """float32 (E T Z)."""
    end: Tensor
    """float32 (E T): the dream ends where this is below the termination probability."""
    first: Tensor
    """int64 (E): which part of the recorded steps the dream looks at first."""

    @classmethod
    def draw(cls, seeds: Sequence[int], starts: Starts, config: DreamConfig) -> "Noise":
        """Draw the noise of one dream per seed."""
        shape = (config.horizon if config.noise == "drawn" else 0), starts.still.shape[1]
        rows: list[tuple[Any, ...]] = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            rows.append(
                (
                    rng.random() < config.standstill,
                    rng.integers(len(starts.still)),
                    rng.integers(len(starts.z)),
                    rng.standard_normal(shape, dtype=np.float32),
                    rng.random(shape, dtype=np.float32),
                    rng.random(config.horizon, dtype=np.float32),
                    rng.integers(2**31),
                )
            )
        return cls(*(torch.from_numpy(np.array(column)) for column in zip(*rows, strict=True)))


def bootstrap(starts: Starts, config: DreamConfig) -> Bootstrap | None:
    """Return what real chance is drawn with, None where chance is the memory's own.

    Raises:
        RunError: chance is to be real, and no innovations were recorded.
    """
    if config.noise == "drawn":
        return None
    if starts.innovations is None:
        raise RunError(
            "dream.noise=real: this memory was trained with dream.noise=drawn, and what it did not expect was not "
            "recorded; train it in a run with dream.noise=real"
        )
    return Bootstrap(starts.innovations, starts.spread(), config.among)


class Moment(NamedTuple):
    """One step of all dreams; rows are candidates times dreams, candidate after candidate."""

    z: Float32[Tensor, "B Z"]
    """What was seen."""
    action: Float32[Tensor, "B A"]
    """What the candidate did."""
    after: Float[Tensor, "B Z"]
    """What came of it."""
    reward: Float[Tensor, " B"]
    """What the dream paid, less the price of disagreement."""
    playing: Bool[Tensor, " B"]
    """Whether the dream was not over before."""
    ended: Bool[Tensor, " B"]
    """Whether the termination head ends it here."""
    idle: Bool[Tensor, " B"]
    """Whether it ends here because it has earned nothing for too long."""
    arrived: Bool[Tensor, " B"]
    """Whether it ends here because it has earned enough, and so without a charge."""


@torch.inference_mode()
def imagine(
    generator: nn.Module,
    perception: Perception,
    controller: Controller,
    parameters: np.ndarray,
    seeds: Sequence[int],
    starts: Starts,
    config: DreamConfig,
    action_cost: float = 0.0,
) -> np.ndarray:
    """Play every candidate in every dream and return the returns, float64 (C E).

    Args:
        generator: the memory that dreams; of an ensemble, each dream has one member.
        perception: of `config.block` times E rows; where its memory is the one that dreams, it advances once for both.
        controller: population-batched.
        parameters: (C N), at most `config.block` candidates.
        seeds: of the E dreams, common to all candidates.
        starts: where dreams begin.
        config: how they go.
        action_cost: charge on the effort (`ActionSpec.effort`) of every step that is played.
    """
    score = torch.zeros(config.block * len(seeds), dtype=torch.float64)
    earned = float(starts.earned)
    charge, lost = config.termination_charge + config.forfeit * earned, config.lost * earned
    for step, moment in enumerate(moments(generator, perception, controller, parameters, seeds, starts, config)):
        reward = moment.reward
        if action_cost:
            reward = reward - action_cost * controller.action_spec.effort(moment.action)
        score += torch.where(moment.playing, reward, 0).double()
        if config.terminates:
            score -= (moment.ended | moment.idle).double() * (charge * (config.horizon - step - 1) + lost)
    return score.view(config.block, len(seeds))[: len(parameters)].numpy()


def moments(
    generator: nn.Module,
    perception: Perception,
    controller: Controller,
    parameters: np.ndarray,
    seeds: Sequence[int],
    starts: Starts,
    config: DreamConfig,
) -> Iterator[Moment]:
    """Play every candidate in every dream and yield `config.horizon` steps; arguments as of `imagine`.

    Gradients are the caller's affair: without `torch.inference_mode` around it, they are kept.
    """
    candidates, dreams = config.block, len(seeds)
    if len(parameters) > candidates or perception.rows != candidates * dreams:
        raise ValueError(
            f"{len(parameters)} candidates and {perception.rows} rows do not fit blocks of {candidates} x {dreams}"
        )
    padded = torch.zeros(candidates, parameters.shape[1])
    padded[: len(parameters)] = torch.from_numpy(np.asarray(parameters, dtype=np.float32))
    noise = Noise.draw(seeds, starts, config)
    variants = draw_variants(seeds, generator, config.dropout)
    price = disagreement_price(starts, config)
    world = World(generator, perception.memory, variants, candidates, config.torch_dtype, price)
    z = _wake(world, perception, starts, noise, candidates)
    real = bootstrap(starts, config)
    uniform, normal, end = (_by_step(chance, candidates) for chance in (noise.uniform, noise.normal, noise.end))
    alive = torch.ones(candidates * dreams, dtype=torch.bool)
    ended = gave_up = arrived = torch.zeros_like(alive)
    idle = torch.zeros(candidates * dreams, dtype=torch.int64)
    gained = torch.zeros(candidates * dreams, dtype=torch.float64)
    for step in range(config.horizon):
        perception.adopt(world.agent_state)
        features = perception.features(z)
        action = controller.act_population(features.view(candidates, dreams, -1), padded).flatten(0, 1)
        chance: tuple[Tensor | None, Tensor]
        if real is None:
            chance = uniform[step], normal[step]
        else:
            chance = None, real.draw(z, action, (noise.first + step) % real.parts, variants.member)
        after, reward, end_logit = world.step(z, action, config.temperature, *chance)
        playing = alive
        if config.terminates:
            ended = playing & (end[step] < torch.sigmoid(end_logit))
            alive = playing & ~ended
            if config.patience:
                idle = torch.where(reward > 0, 0, idle + 1)
                gave_up = alive & (idle >= config.patience)
                alive = alive & ~gave_up
        if config.goal:
            gained += reward
            arrived = alive & (gained >= config.goal)
            alive = alive & ~arrived
        yield Moment(z, action, after, reward, playing, ended, gave_up, arrived)
        z = after


def disagreement_price(starts: Starts, config: DreamConfig) -> Tensor | None:
    """Return what a disagreement of 1 costs in each dimension, float32 (Z); None where disagreement is free.

    Disagreement is the standard deviation over an ensemble's members of the expected next latent, in units of each
    dimension's spread over the starts, averaged over dimensions. To know it, every member takes every step: dreaming
    takes as many times as long as there are members. Without a penalty each dream is stepped by one member.
    """
    return None if config.penalty == 0 else torch.from_numpy(config.penalty / starts.spread())


def _by_step(chance: Tensor, candidates: int) -> tuple[Tensor, ...]:
    """Return the noise of each step for all candidates, T times (C*E ...), from that of the dreams, (E T ...)."""
    steps = chance.transpose(0, 1)  # (T E ...)
    return steps.repeat(1, candidates, *[1] * (steps.dim() - 2)).unbind(0)


def _wake(world: World, perception: Perception, starts: Starts, noise: Noise, candidates: int) -> Tensor:
    """Warm world and perception up on real steps and return the first latent of every row, (C*E Z)."""
    path = torch.from_numpy(starts.z)[noise.warm_index]  # (E K+1 Z)
    world.wake(path, torch.from_numpy(starts.action)[noise.warm_index], noise.still)
    still = noise.still.repeat(candidates)
    perception.begin_dreams(torch.ones(len(still), dtype=torch.bool))
    if perception.config.reads == "frame-stack":
        for step in range(path.shape[1] - 1):
            perception.features(path[:, step].repeat(candidates, 1))
    perception.begin_dreams(still)
    first = torch.from_numpy(starts.still)[noise.still_index]
    return torch.where(noise.still[:, None], first, path[:, -1]).repeat(candidates, 1)
