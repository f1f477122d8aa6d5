"""A memory that denoises the next latent: diffusion as a world, after DIAMOND (Alonso et al. 2024, arXiv 2405.12399).

Its denoiser sees a noisy change of the latent, the strength of the noise and the last latents and actions, with the
preconditioning of EDM (Karras et al. 2022, arXiv 2206.00364, equation 7, table 1; s is `spread`):

    D(x; sigma) = c_skip x + c_out F(c_in x, ln(sigma) / 4, history),      c_skip = s^2 / (s^2 + sigma^2)
    c_out = sigma s / sqrt(s^2 + sigma^2),     c_in = 1 / sqrt(s^2 + sigma^2)

A draw begins at normal noise of the greatest strength and follows the probability flow down in a few Euler steps, so
all its noise is the `normal` that a dream hands in. DIAMOND denoises frames of 64 pixels by a U-Net of 4 million
numbers, as `frame-diffusion` does on a smaller scale. Here latents of the vision model stand for frames, which a CPU
can train in minutes, and the same card measures it as any other memory.

A sampler of few steps has no density that can be evaluated cheaply. `log_prob` is that of a Gaussian: its mean is what
the denoiser expects where all is noise, its spread is learnt beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.networks.mixture import Mixture, mixture_log_prob, mixture_mean
from worldmodels.memories.contract import Metrics, SequenceBatch, State, masked_mean
from worldmodels.memories.heads import STD_FLOOR, HeadedMemory, HeadsConfig

LOG_SIGMA = (-0.4, 1.2)
"""Mean and spread of the logarithm of the noise in training (DIAMOND, table 5)."""
SIGMAS = (5.0, 2e-3)
"""The greatest and the least noise of a draw (DIAMOND, table 5)."""
RHO = 7.0
"""How the steps crowd at little noise (Karras et al. 2022, equation 5)."""

Denoise = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class DiffusionMemoryConfig(HeadsConfig):
    """Sizes and heads of the diffusion memory."""

    history: int = 4
    """Latents, with their actions, that a prediction sees: the present one and those before it."""
    hidden: int = 256
    """Units of the layers that read the history; the controller reads the last of them."""
    width: int = 256
    """Units of the denoiser's layers."""
    steps: int = 3
    """Denoising steps of a draw."""
    spread: float = 0.5
    """Standard deviation of the latents' changes, about."""

    SIZES: ClassVar[tuple[str, ...]] = ("history", "hidden", "width", "steps")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.spread > 0:
            raise ValueError(f"spread={self.spread}: must be above 0")


class Denoised(NamedTuple):
    """What follows `(z[t], action[t])`: a latent to be drawn by denoising, a reward and an end."""

    reward: Float[Tensor, "*B"]
    """Reward of the step in the environment's units; NaN without a reward head."""
    termination_logit: Float[Tensor, "*B"]
    """Log-odds that the step ends the episode; minus infinity without a termination head."""
    before: Float[Tensor, "*B Z"]
    """The latent that the change is added to."""
    denoise: Denoise
    """A noisy change (*B Z) and the strength of its noise (*B 1) to the expected change."""
    gaussian: Callable[[], Mixture]
    """Makes the Gaussian that stands for the density, which a draw does not need."""
    steps: int

    @property
    def mixture(self) -> Mixture:
        """The Gaussian that stands for the density, as a mixture of one."""
        return self.gaussian()

    def sample(
        self, temperature: float, uniform: Float[Tensor, "*B Z"], normal: Float[Tensor, "*B Z"]
    ) -> Float[Tensor, "*B Z"]:
        """Draw `z[t + 1]`: `normal` is where the denoising begins, its variance times the temperature."""
        change = normal * (SIGMAS[0] * math.sqrt(temperature))
        levels = noise_levels(self.steps)
        for sigma, following in zip(levels, [*levels[1:], 0.0], strict=True):
            strength = change.new_full((*change.shape[:-1], 1), sigma)
            slope = (change - self.denoise(change, strength)) / sigma  # dx / dsigma
            change = change + (following - sigma) * slope
        return self.before + change

    def log_prob(self, z: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """Measure the log-density of the Gaussian at `z[t + 1]`, in nats for each dimension."""
        return mixture_log_prob(self.mixture, z)

    def expected_latent(self) -> Float[Tensor, "*B Z"]:
        """Return the expectation of `z[t + 1]`: one denoising of what is all noise."""
        return mixture_mean(self.mixture)


class DiffusionMemory(HeadedMemory):
    """Layers over the last latents and actions, and a denoiser of the next change that they condition.

    Its state is the features, the hidden units and the latent that they saw last, (B hidden + Z); and the latents and
    actions before it (B history - 1 Z + A), zeros at first.
    """

    type_name: ClassVar[str] = "diffusion"
    fixed_step: ClassVar[bool] = True
    draws: ClassVar[tuple[str, ...]] = ("normal",)
    Config = DiffusionMemoryConfig
    config: DiffusionMemoryConfig

    def __init__(self, config: DiffusionMemoryConfig) -> None:
        super().__init__(config, self._features(config))
        self.reader = self._reader(config)
        self.add_heads()

    @staticmethod
    def _features(config: DiffusionMemoryConfig) -> int:
        """Return H."""
        return config.hidden + config.latent

    def _reader(self, config: DiffusionMemoryConfig) -> nn.Module:
        """Return the layers over the history."""
        seen = config.history * (config.latent + config.action)
        return nn.Sequential(
            nn.Linear(seen, config.hidden), nn.Tanh(), nn.Linear(config.hidden, config.hidden), nn.Tanh()
        )

    @property
    def units(self) -> int:
        """The hidden units; behind them is a latent, to which the change is added."""
        return self.config.hidden

    @property
    def carried(self) -> int:
        """F, numbers of the features and of what comes with them."""
        return self.feature_size

    def add_latent_head(self) -> None:
        """Make the denoiser, and the spread of the Gaussian that stands for its density."""
        config = self.config
        self.denoiser: nn.Module = nn.Sequential(
            nn.Linear(config.latent + 1 + config.hidden, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, config.latent),
        )
        self.spread_head = nn.Linear(config.hidden, config.latent)

    def initial(self, batch: int, device: torch.device | str = "cpu") -> State:
        """Make the state in which every episode starts: zeros."""
        config = self.config
        past = torch.zeros(batch, config.history - 1, config.latent + config.action, device=device)
        return torch.zeros(batch, self.carried, device=device), past

    def advance(self, z: Float[Tensor, "B Z"], action: Float[Tensor, "B A"], state: State) -> State:
        """Take in one step and forget the earliest."""
        return self.unroll(z[:, None], action[:, None], state)[1]

    def unroll(
        self, z: Float[Tensor, "B T Z"], action: Float[Tensor, "B T A"], state: State | None
    ) -> tuple[Float[Tensor, "B T H"], State]:
        """Return the features at each step."""
        past = self.initial(len(z), z.device)[1] if state is None else state[1]
        row = torch.cat([past.to(z.dtype), torch.cat([z, action], -1)], dim=1)  # (B history-1+T Z+A)
        windows = row.unfold(1, self.config.history, 1).flatten(2)  # (B T (Z+A)*history)
        hidden = torch.cat([self.reader(windows), z], dim=-1)
        return hidden, (hidden[:, -1], row[:, row.shape[1] - past.shape[1] :])

    def denoise(
        self, hidden: Float[Tensor, "*B F"], noisy: Float[Tensor, "*B Z"], sigma: Float[Tensor, "*B 1"]
    ) -> Float[Tensor, "*B Z"]:
        """Return the expected change D(x; sigma) after features."""
        whole = self.config.spread**2 + sigma.square()
        raw = self._raw(hidden, noisy / whole.sqrt(), sigma)
        return self.config.spread**2 / whole * noisy + sigma * self.config.spread / whole.sqrt() * raw

    def next_latent(self, hidden: Float[Tensor, "*B F"]) -> Mixture:
        """Return the Gaussian that stands for the density."""
        before = hidden[..., -self.config.latent :]
        sigma = before.new_full((*before.shape[:-1], 1), SIGMAS[0])
        mean = before + self.denoise(hidden, torch.zeros_like(before), sigma)
        spread = self.spread_head(hidden[..., : self.units])
        log_std = torch.logaddexp(spread, spread.new_full((), math.log(STD_FLOOR))).unsqueeze(-1)
        return Mixture(torch.zeros_like(log_std), mean.unsqueeze(-1), log_std)

    def predict(self, hidden: Float[Tensor, "*B F"]) -> Denoised:  # type: ignore[override]
        """Read the heads, and hold what a draw needs."""
        return Denoised(
            *self.reward_and_end(hidden),
            hidden[..., -self.config.latent :],
            lambda *noisy: self.denoise(hidden, *noisy),
            lambda: self.next_latent(hidden),
            self.config.steps,
        )

    def latent_loss(
        self, hidden: Float[Tensor, "B T F"], after: Float[Tensor, "B T Z"], batch: SequenceBatch,
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Metrics]:  # fmt: skip
        """Return the Gaussian's, and EDM's loss of the denoiser: the squared error of F, which is 1 at first."""
        loss, metrics = super().latent_loss(hidden, after, batch, generator)
        change = after - hidden[..., -self.config.latent :]

        def normal(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, generator=generator, device=generator.device).to(change.device)

        sigma = (LOG_SIGMA[0] + LOG_SIGMA[1] * normal((*change.shape[:-1], 1))).exp()
        noisy = change + sigma * normal(tuple(change.shape))
        whole = self.config.spread**2 + sigma.square()
        wanted = (change - self.config.spread**2 / whole * noisy) * whole.sqrt() / (sigma * self.config.spread)
        error = (self._raw(hidden, noisy / whole.sqrt(), sigma) - wanted).square().mean(-1)
        denoising = masked_mean(error, batch.mask)
        return loss + denoising, {**metrics, "denoising": denoising.detach()}

    def _raw(self, hidden: Tensor, scaled: Tensor, sigma: Tensor) -> Tensor:
        """Return F of a noisy change of unit spread."""
        read = hidden[..., : self.units]
        change: Tensor = self.denoiser(torch.cat([scaled, sigma.log() / 4, read], dim=-1))
        return change


def noise_levels(steps: int) -> list[float]:
    """Return the strengths of the noise at which a draw of so many steps denoises, falling."""
    first, last = (sigma ** (1 / RHO) for sigma in SIGMAS)
    return [(first + number / max(steps - 1, 1) * (last - first)) ** RHO for number in range(steps)]
