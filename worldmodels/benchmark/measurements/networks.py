"""How fast the networks are: steps of a dream on one core, and frames of a vision's training on all."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal

from agents import ActionSpec, ControllerConfig, make_controller
from envs import EnvConfig
from generative import VAE, fit, to_float
from generative.data import array_data
from worldmodels.agent.features import Perception
from worldmodels.agent.precision import torch_dtype
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, paired, rate
from worldmodels.benchmark.machine import synchronise, use_cores
from worldmodels.benchmark.measurements.environments import OURS
from worldmodels.benchmark.measurements.evaluation import driven_frames
from worldmodels.config import RunConfig
from worldmodels.config_files import preset
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.imagine import BLOCK, Imagination
from worldmodels.dream.starts import Starts
from worldmodels.memories import MDNRNN, MDNRNNConfig
from worldmodels.memories.heads import STD_FLOOR
from worldmodels.memories.registry import MEMORIES
from worldmodels.vision.config import VisionConfig
from worldmodels.vision.registry import VISIONS

DREAM = BenchmarkFigure(
    "dream", "steps of dreams on one core, against a plain loop of torch layers", "x", ">= 2", "steps/s"
)
DREAM_LEAST = 2.0
HORIZON, DREAMS = 50, 16
LATENT, SPEC = 32, ActionSpec(3, (-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("tanh", "tanh", "relu-tanh"), False)

VISION = BenchmarkFigure(
    "vision", "training frames of the default vision on all cores, against the paper's layers", "x", ">= 3", "frames/s"
)
VISION_LEAST = 3.0
COMPONENT = BenchmarkFigure(
    "generative",
    "training frames of the same vision by `generative train`, against the world model's own stage",
    "x",
    ">= 0.95",
    "frames/s",
)
COMPONENT_LEAST = 0.95
FRAMES = 512
"""Different frames that vision is trained on."""


Training = Callable[[Tensor, VisionConfig], Iterator[object]]
"""Of frames (uint8, N H W C) and a vision's config: trains without end, and yields after every step."""


@dataclass(frozen=True)
class DreamSetup:
    """An untrained memory of the default sizes and random controllers, for C candidates in E dreams of T steps."""

    memory: MDNRNN
    parameters: np.ndarray
    """float32 (C N)."""
    starts: Starts
    config: DreamConfig
    dreams: int


def dream_setup(horizon: int) -> DreamSetup:
    """Return what both sides dream with; dreams start without warm-up, so that only their own steps are timed."""
    config = DreamConfig(horizon=horizon, warmup=0, initial_state_fraction=1.0)
    memory = MEMORIES.create("mdn-rnn", MDNRNNConfig(latent=LATENT, action=SPEC.size), seed=0).eval()
    assert isinstance(memory, MDNRNN)
    size = make_controller(ControllerConfig(), LATENT + memory.config.hidden, SPEC).parameters_size
    rng = np.random.default_rng(0)
    initial = rng.standard_normal((100, LATENT), dtype=np.float32)
    starts = Starts(initial, initial[:, None], np.zeros((len(initial), 0, SPEC.size), dtype=np.float32))
    parameters = 0.1 * rng.standard_normal((BLOCK, size), dtype=np.float32)
    return DreamSetup(memory, parameters, starts, config, DREAMS)


def dream(settings: Settings) -> BenchmarkFigure:
    """Imagine a block of candidates in all their dreams, ours and by the plain loop."""
    with use_cores(1):
        setup = dream_setup(settings.scaled(HORIZON, 2))
        steps = len(setup.parameters) * setup.dreams * setup.config.horizon
        vision = VAE(VAE.Config(latent=LATENT))  # nobody looks
        dtype = torch_dtype("bfloat16")
        features = RunConfig().features
        controller = make_controller(ControllerConfig(), LATENT + setup.memory.config.hidden, SPEC)
        plain = PlainDream(setup)

        perception = Perception(vision, setup.memory, features, len(setup.parameters) * setup.dreams, dtype)
        imagination = Imagination(setup.memory, perception, controller, setup.starts, setup.config, setup.dreams)

        def ours() -> int:
            imagination(setup.parameters, range(setup.dreams))
            return steps

        def theirs() -> int:
            plain.play()
            return steps

        ours(), theirs()
        pairs = paired(lambda seconds: rate(ours, seconds), lambda seconds: rate(theirs, seconds), settings)
        peak = product_peak(settings.seconds)
    work = step_products(setup.memory)
    figure = DREAM.timed(pairs, DREAM_LEAST)
    shares = {
        "share_of_peak": (figure.ours or 0.0) * work / peak,
        "their_share_of_peak": (figure.theirs or 0.0) * work / peak,
    }
    return replace(
        figure,
        detail={
            "candidates": len(setup.parameters),
            "dreams": setup.dreams,
            "horizon": setup.config.horizon,
            "multiply_adds_per_step": work,
            "peak_multiply_adds_per_second": peak,
            **shares,
        },
    )


class PlainDream:
    """The same networks and weights as ours in torch's own layers and distributions, one step after the other."""

    def __init__(self, setup: DreamSetup) -> None:
        options = setup.memory.config
        self.cell = nn.LSTMCell(options.latent + options.action, options.hidden)
        for name, weight in setup.memory.lstm.named_parameters():
            getattr(self.cell, name.removesuffix("_l0")).data.copy_(weight.data)
        self.mixture = setup.memory.mixture_head.linear
        reward, end = setup.memory.reward_head, setup.memory.termination_head
        assert reward is not None and end is not None
        self.heads = reward, end
        self.components, self.floor = options.mixtures, STD_FLOOR
        flat = torch.from_numpy(setup.parameters)
        self.bias = flat[:, None, : SPEC.size]  # (C 1 A)
        self.weight = flat[:, SPEC.size :].view(len(flat), -1, SPEC.size)  # (C F A)
        self.initial = torch.from_numpy(setup.starts.initial)
        self.setup = setup

    @torch.no_grad()
    def play(self) -> Tensor:
        """Play all dreams and return their returns (C E)."""
        candidates, dreams = len(self.weight), self.setup.dreams
        rows, config = candidates * dreams, self.setup.config
        reward_head, end_head = self.heads
        z = self.initial[torch.randint(len(self.initial), (dreams,))].repeat(candidates, 1)  # (C*E Z)
        h = c = torch.zeros(rows, self.cell.hidden_size)
        score, alive = torch.zeros(rows), torch.ones(rows, dtype=torch.bool)
        for _ in range(config.horizon):
            features = torch.cat([z, h], dim=1).view(candidates, dreams, -1)
            action = self.act(torch.bmm(features, self.weight) + self.bias).view(rows, -1)
            h, c = self.cell(torch.cat([z, action], dim=1), (h, c))
            logits, mean, log_std = self.mixture(h).view(rows, 3, LATENT, self.components).unbind(1)
            chosen = Categorical(logits=logits).sample().unsqueeze(-1)  # (C*E Z 1)
            std = self.floor + log_std.gather(-1, chosen).squeeze(-1).exp()
            z = Normal(mean.gather(-1, chosen).squeeze(-1), std).sample()
            score += torch.where(alive, reward_head(h).squeeze(-1), 0.0)
            ended = alive & (torch.rand(rows) < torch.sigmoid(end_head(h).squeeze(-1)))
            score -= config.termination_penalty * ended
            alive &= ~ended
        return score.view(candidates, dreams)

    def act(self, raw: Tensor) -> Tensor:
        """Steer, gas and brake as Ha and Schmidhuber's controller does."""
        raw = torch.tanh(raw)
        return torch.stack([raw[..., 0], (raw[..., 1] + 1) / 2, raw[..., 2].clamp(0, 1)], dim=-1)


def step_products(memory: MDNRNN) -> int:
    """Count the multiplications of one candidate's step: LSTM, mixture, both heads and a linear controller."""
    options = memory.config
    lstm = 4 * options.hidden * (options.latent + options.action + options.hidden)
    heads = options.hidden * (3 * options.latent * options.mixtures + 2)
    return lstm + heads + (options.latent + options.hidden) * options.action


def product_peak(
    seconds: float, device: torch.device | None = None, dtype: torch.dtype = torch.float32, size: int = 0
) -> float:
    """Measure multiply-adds per second of a large matrix product: the best of windows that fill `seconds`.

    Args:
        seconds: least time to measure.
        device: where; the processor by default.
        dtype: of the numbers.
        size: of the square matrices; by default one that keeps the device busy.
    """
    where = device or torch.device("cpu")
    size = size or (8192 if where.type == "cuda" else 1024)
    left, right = (torch.rand(size, size, device=where).to(dtype) for _ in range(2))
    result = torch.mm(left, right)
    synchronise(where)
    begun, best = time.perf_counter(), 0.0
    while best == 0.0 or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        torch.mm(left, right, out=result)
        synchronise(where)
        best = max(best, size**3 / (time.perf_counter() - start))
    return best


def vision(settings: Settings) -> BenchmarkFigure:
    """Train both autoencoders on the same frames: ours as the stage does, theirs with torch's defaults."""
    return _trainings(VISION, VISION_LEAST, settings, our_training, their_training)


def component(settings: Settings) -> BenchmarkFigure:
    """Train the default vision on the same frames: as `generative train` does, and as the stage does."""
    return _trainings(COMPONENT, COMPONENT_LEAST, settings, component_training, our_training)


def _trainings(
    blank: BenchmarkFigure, least: float, settings: Settings, ours: Training, theirs: Training
) -> BenchmarkFigure:
    with use_cores(None):
        config = preset("quick").vision
        size = min(settings.scaled(FRAMES), FRAMES)
        frames = torch.from_numpy(driven_frames(EnvConfig(id=OURS, crop=(0, 84)), max(size, 2 * config.batch)))
        first, second = ours(frames, config), theirs(frames, config)

        threads = torch.get_num_threads()

        def steps(training: Iterator[object], seconds: float) -> float:
            return rate(lambda: config.batch if next(training) else 0, seconds)

        next(first), next(second)
        pairs = paired(lambda seconds: steps(first, seconds), lambda seconds: steps(second, seconds), settings)
    return blank.timed(pairs, least, batch=config.batch, threads=threads)


def component_training(frames: Tensor, config: VisionConfig) -> Iterator[object]:
    """Train the vision of preset quick without end on a data set of images; yield after every step."""
    module = VISIONS.create(config.type, config.options, seed=0)
    options = replace(config.fit, steps=10**9)
    batches = array_data("frames", frames.numpy()).batches(config.batch, 0)
    return fit(module, batches, options, seed=0, log_every=1)


def our_training(frames: Tensor, config: VisionConfig) -> Iterator[object]:
    """Train the vision of preset quick without end, as the stage does; yield after every step."""
    module = VISIONS.create(config.type, config.options, seed=0)
    options = replace(config.fit, steps=10**9)

    def batches(start: int) -> Iterator[Tensor]:
        rng = np.random.default_rng(start)
        while True:
            yield to_float(frames[rng.integers(len(frames), size=config.batch)])

    return fit(module, batches, options, seed=0, log_every=1)


def their_training(frames: Tensor, config: VisionConfig) -> Iterator[bool]:
    """Train the paper's layers with Adam, float32 and contiguous memory; yield after every step."""
    module = VAE(VAE.Config(layout="paper"))
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-4)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    while True:
        picked = frames[rng.integers(len(frames), size=config.batch)]
        obs = picked.permute(0, 3, 1, 2).float().contiguous() / 255  # (B C H W)
        loss, _ = module.loss(obs, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield True
