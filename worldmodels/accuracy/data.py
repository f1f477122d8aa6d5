"""Held-out episodes for the card: recorded on validation tracks, encoded by the vision that is measured.

Three sets on the same tracks: `random` (uniform actions, held for some steps), `on-policy` (the run's own agent) and
`mixed` (that agent with exploration noise, and a random walk, by turns). Recorded episodes are kept and read again
while agent and options stay the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from envs import EnvConfig
from generative import to_float
from generative.core.facts import FactsView
from worldmodels.accuracy.config import PIXEL_BATCH, CardConfig
from worldmodels.agent.bundle import Bundle
from worldmodels.errors import RunError
from worldmodels.memories import Remembers, initial_on
from worldmodels.memories.targets import TerminationTargetConfig, termination_target
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order
from worldmodels.rollouts.config import CollectConfig, PolicyName
from worldmodels.rollouts.episode import EpisodeFile, write_episode
from worldmodels.seeds import VALIDATION
from worldmodels.vision.contract import Vision

SETS = ("random", "on-policy", "mixed")
"""The sets of episodes, by who drives."""


class Driven(NamedTuple):
    """Who drives the episodes of a set, by turns, and with how much noise where it is the agent."""

    drivers: tuple[PolicyName, ...]
    noise: float


@dataclass(frozen=True)
class HeldOut:
    """One held-out episode of T steps as the world model sees it."""

    track: int
    mean: Float[Tensor, "frames Z"]
    """Mean of each frame's latent; T+1 frames."""
    std: Float[Tensor, "frames Z"]
    """Its standard deviation."""
    action: Float[Tensor, "T A"]
    reward: Float[np.ndarray, " T"]
    """Raw, in the environment's units."""
    termination: Float[np.ndarray, " T"] | None
    """Target of the termination head; None where it cannot be told."""
    state: Float[np.ndarray, "frames S"]
    """The simulator's state."""
    file: EpisodeFile
    """Where the frames are."""

    @property
    def steps(self) -> int:
        """T."""
        return len(self.action)

    def sampled(self, seed: int) -> Float[Tensor, "frames Z"]:
        """Draw the latents from their posteriors, as the memory was trained on them."""
        generator = torch.Generator().manual_seed(seed)
        return self.mean + self.std * torch.randn(self.mean.shape, generator=generator).to(self.mean.device)


class Padded(NamedTuple):
    """Episodes side by side, padded with zeros to the longest."""

    z: Float[Tensor, "B T+1 Z"]
    action: Float[Tensor, "B T A"]
    mask: Bool[Tensor, "B T"]
    """True for the real steps."""


def driven(name: str, config: CardConfig) -> Driven:
    """Return who drives the episodes of a set."""
    known = {
        "random": Driven(("action-hold",), 0.0),
        "on-policy": Driven(("agent",), 0.0),
        "mixed": Driven(("agent", "brownian"), config.noise),
    }
    return known[name]


def record(
    folder: Path,
    name: str,
    env: EnvConfig,
    agent: tuple[Bundle, np.ndarray] | None,
    config: CardConfig,
    width: int,
) -> Iterator[EpisodeFile]:
    """Yield the episodes of a set by track; where one is not there all are recorded, side by side as at first.

    A row of a batch may differ in its last bits from the same row elsewhere in it, so an episode that is recorded in
    another place would be another one.

    Args:
        folder: where episodes are kept.
        name: of the set.
        env: where they are played; `config.max_frames` cuts them.
        agent: bundle and parameters (N); None where no set with an agent is asked for.
        config: how many, how long, how noisy.
        width: environments that are stepped together.
    """
    drivers, noise = driven(name, config)
    env = replace(env, max_steps=min(env.limit, config.max_frames))
    tracks = VALIDATION[-config.episodes :]
    facts = {"fingerprint": _fingerprint(env, noise, agent if "agent" in drivers else None)}
    paths = [folder / f"{name}_{track:06d}.zip" for track in tracks]
    asked = [(track, drivers[number % len(drivers)]) for number, track in enumerate(tracks)]
    if not all(_kept(path, facts, *asked[number]) for number, path in enumerate(paths)):
        bundle, parameters = agent or (None, None)
        collect = CollectConfig(noise=noise)
        worker = CollectWorker(CollectSetup(env, collect, bundle, parameters, facts, min(width, len(tracks))))
        try:
            for turn, driver in enumerate(drivers):
                orders = [
                    Order(number, driver, tracks[number], tracks[number])
                    for number in range(turn, len(tracks), len(drivers))
                ]
                for recording in worker(orders) if orders else []:
                    write_episode(paths[recording.number], recording.content)
        finally:
            worker.close()
    yield from (EpisodeFile(path) for path in paths)


def _fingerprint(env: EnvConfig, noise: float, agent: tuple[Bundle, np.ndarray] | None) -> str:
    """Return a hash of all that an episode follows from besides its track and driver."""
    digest = hashlib.sha256(repr((env, noise)).encode())
    if agent is not None:
        bundle, parameters = agent
        digest.update(np.ascontiguousarray(parameters).tobytes())
        digest.update(repr((bundle.features, bundle.controller)).encode())
        for part in (bundle.vision, bundle.memory or {}):
            for key in sorted(part):
                content = part[key]
                digest.update(content if isinstance(content, bytes) else str(content).encode())
        digest.update(b"" if bundle.bank is None else bundle.bank.tobytes())
    return digest.hexdigest()


def _kept(path: Path, facts: FactsView, track: int, driver: PolicyName) -> bool:
    """Return whether an episode is there; one that is damaged or another one is recorded again."""
    if not path.exists():
        return False
    file = EpisodeFile(path)
    try:
        file.read()
    except RunError:
        return False
    return file.env() == facts and (file.meta["track"], file.meta["policy"]) == (track, driver)


@torch.inference_mode()
def encode(
    file: EpisodeFile, vision: Vision, termination: TerminationTargetConfig, device: torch.device | str = "cpu"
) -> HeldOut:
    """Read an episode as a world model sees it; latents and actions stay on the device where the vision is."""
    episode = file.read()
    parts = [vision.encode(frames(episode.obs[start : start + PIXEL_BATCH]).to(device))
             for start in range(0, len(episode.obs), PIXEL_BATCH)]  # fmt: skip
    state = episode.state if episode.state.shape[1] else None
    ends = None
    if state is not None or termination.type == "env":
        ends = termination_target(len(episode.reward), episode.lost, state, termination)
    return HeldOut(
        track=episode.track,
        mean=torch.cat([mean for mean, _ in parts]).float(),
        std=torch.cat([std for _, std in parts]).float(),
        action=torch.from_numpy(episode.action).to(device),
        reward=episode.reward,
        termination=ends,
        state=episode.state,
        file=file,
    )


def frames(obs: np.ndarray) -> Tensor:
    """Turn frames, uint8 (B H W C), into what vision reads, float32 (B C H W) in [0, 1]."""
    return to_float(torch.from_numpy(np.ascontiguousarray(obs)))


def pad(latents: Sequence[Tensor], actions: Sequence[Tensor]) -> Padded:
    """Put sequences of latents (T+1 Z) and actions (T A) side by side."""
    lengths = torch.tensor([len(action) for action in actions])
    return Padded(
        torch.nn.utils.rnn.pad_sequence(list(latents), batch_first=True),
        torch.nn.utils.rnn.pad_sequence(list(actions), batch_first=True),
        (torch.arange(int(lengths.max())) < lengths.unsqueeze(1)).to(latents[0].device),
    )


def spread(episodes: Sequence[HeldOut]) -> Float[Tensor, " Z"]:
    """Return the standard deviation of each dimension of sampled latents over episodes: the unit of latent errors.

    The variance of the means and the mean of the variances. A dimension that carries nothing (a mean that stays put, a
    wide posterior) then counts next to nothing in an error between means, and noise is not blown up. What is nearly
    constant altogether counts as a thousandth of the largest.
    """
    mean = torch.cat([episode.mean for episode in episodes])
    std = torch.cat([episode.std for episode in episodes])
    total = torch.sqrt(mean.var(0, correction=0) + std.square().mean(0))
    return total.clamp(min=max(1e-3 * float(total.max()), 1e-12))


@torch.inference_mode()
def remember(memory: Remembers, episodes: Sequence[HeldOut]) -> list[Float[Tensor, "_ H"]]:
    """Return what the memory remembers at every frame of each episode, `h[t]` next to `z[t]`."""
    z, action, _ = pad([episode.mean for episode in episodes], [episode.action for episode in episodes])
    state = initial_on(memory, len(z), z.device)
    features = [memory.feature(state)]
    for step in range(action.shape[1]):
        state = memory.advance(z[:, step], action[:, step], state)
        features.append(memory.feature(state))
    stacked = torch.stack(features, dim=1)  # (B T+1 H)
    return [stacked[row, : episode.steps + 1] for row, episode in enumerate(episodes)]
