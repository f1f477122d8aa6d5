"""The card: every measure on every set of held-out episodes, as plain data for JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from generative.core.facts import Facts, FactsView
from worldmodels.accuracy.config import AccuracyConfig, CardConfig
from worldmodels.accuracy.data import HeldOut, remember, spread
from worldmodels.accuracy.measures.calibration import calibration
from worldmodels.accuracy.measures.dreams import choose_starts, dream_on, elsewhere
from worldmodels.accuracy.measures.one_step import Guess, fit_guesses, one_step
from worldmodels.accuracy.measures.open_loop import open_loop, pixels
from worldmodels.accuracy.measures.probes import Watched, explained, physical, watch
from worldmodels.accuracy.measures.reconstruction import reconstruction
from worldmodels.accuracy.measures.reward_and_end import reward, termination
from worldmodels.memories import Memory
from worldmodels.rollouts.dataset import places_over
from worldmodels.vision.contract import Vision
from worldmodels.vision.latent_files import LatentFile

FORMAT_VERSION = 1

COMPARISONS = (
    ("reconstruction", "anything that sees the same frames (size and crop)", "frames of another size or crop"),
    (
        "one-step NLL",
        "memories of one encoder on the same set",
        "other encoders: one that says less is easier to predict; gains over the baselines compare loosely",
    ),
    (
        "open loop, latent",
        "memories of one encoder; between encoders the share of persistence's error, loosely, since each dimension is "
        "in units of its spread",
        "between encoders as it stands: an encoder that keeps less has less to get wrong",
    ),
    (
        "open loop, pixels",
        "memories of one encoder; with vision's floor added, between encoders",
        "between encoders without the floor: a blurred picture is easier to predict",
    ),
    (
        "open loop, through the probe",
        "any world model of the same environment: in the simulator's units",
        "another environment or action repeat",
    ),
    ("longest useful horizon", "memories of one encoder; loosely between encoders", "another action repeat"),
    ("action sensitivity", "memories of one encoder; 0 is blind everywhere", "other encoders, other sets of actions"),
    (
        "reward and termination",
        "any world model of the same environment with the same termination target; reward in the environment's units",
        "another action repeat or termination target",
    ),
    (
        "calibration",
        "any memories: a share is a share; where vision is noisy, it is mostly that noise which is well predicted",
        "",
    ),
    ("probes", "any encoder and memory of the same environment", "another simulator's state"),
    (
        "agreement, regret",
        "world models asked about the same controllers and tracks",
        "runs with controllers of their own: a wider range of qualities raises every correlation",
    ),
    (
        "exploit gap",
        "one dream configuration; dreams that start like the real episodes",
        "dreams of another horizon, temperature, start or charge",
    ),
    (
        "set `random`",
        "runs: tracks, actions and frames are the same",
        "the other sets of other runs: their agents drive differently",
    ),
)
"""Each figure, with what it may be compared, and with what not."""


@dataclass(frozen=True)
class Parts:
    """What is measured."""

    vision: Vision
    memory: Memory
    untrained: Memory | None
    """A memory with its first weights, as a control for the probes."""
    state_names: Sequence[str]
    """Of the simulator's state; empty where there is none."""


def training_guesses(files: Sequence[LatentFile], seed: int, most: int = 64) -> dict[str, Guess]:
    """Fit the one-step baselines on training episodes, at most `most` of them, spread over all."""
    chosen = [files[place] for place in places_over(len(files), most)]
    latents, actions = [], []
    for number, file in enumerate(chosen):
        generator = torch.Generator().manual_seed(seed + number)
        mean, std = torch.from_numpy(file.read("mean")), torch.from_numpy(file.read("std"))
        latents.append(mean + std * torch.randn(mean.shape, generator=generator))
        actions.append(torch.from_numpy(file.read("action")))
    return fit_guesses(latents, actions)


def measure(
    parts: Parts,
    sets: Mapping[str, Sequence[HeldOut]],
    guesses: dict[str, Guess],
    config: CardConfig,
    seed: int,
) -> Iterator[tuple[str, Facts]]:
    """Yield each set's name and its part of the card; latents of all sets are measured in the same unit."""
    scale = spread([episode for episodes in sets.values() for episode in episodes])
    for name, episodes in sets.items():
        yield name, _measure_set(parts, episodes, guesses, scale, config, seed)


def _watch(parts: Parts, episodes: Sequence[HeldOut], config: CardConfig) -> Watched | str:
    """Return the episodes with probes fitted on them, or why there are none."""
    remembered = {"z+h": remember(parts.memory, episodes)}
    if parts.untrained is not None:
        remembered["z+untrained"] = remember(parts.untrained, episodes)
    try:
        return watch(episodes, remembered, config)
    except ValueError as error:
        return str(error)


def _measure_set(
    parts: Parts,
    episodes: Sequence[HeldOut],
    guesses: dict[str, Guess],
    scale: Float[Tensor, " Z"],
    config: CardConfig,
    seed: int,
) -> Facts:
    memory, names = parts.memory, parts.state_names
    watched = _watch(parts, episodes, config)
    starts = choose_starts(episodes, config)
    made: Facts = {
        "episodes": len(episodes),
        "tracks": [episode.track for episode in episodes],
        "frames": sum(episode.steps for episode in episodes),
        "return_mean": sum(float(episode.reward.sum()) for episode in episodes) / len(episodes),
        "reconstruction": reconstruction(parts.vision, episodes, seed),
        "one_step": one_step(memory, episodes, guesses, scale, seed),
        "calibration": calibration(memory, episodes, seed),
        "termination": termination(memory, episodes, seed),
        "probes": {"skipped": watched} if isinstance(watched, str) else explained(watched, names, config, seed),
    }
    if not len(starts.row):
        unknown = {"skipped": "no episode is longer than the warm-up"}
        return made | dict.fromkeys(("open_loop", "pixels", "reward", "physical"), unknown)
    dreams = dream_on(memory, episodes, starts, config, seed)
    lost = dream_on(memory, episodes, starts, config, seed, begin=elsewhere(starts))
    through: Facts = {"skipped": watched} if isinstance(watched, str) else {}
    if isinstance(watched, Watched):
        through = physical(watched, dreams, starts, names, config, seed)
    return made | {
        "open_loop": open_loop(dreams, lost, episodes, starts, scale, config, seed),
        "pixels": pixels(parts.vision, dreams, episodes, starts, config, seed),
        "reward": reward(memory, dreams, episodes, starts, config, seed),
        "physical": through,
    }


def card(
    facts: FactsView,
    sets: Mapping[str, Facts],
    agreement: Facts,
    config: CardConfig,
    asked: AccuracyConfig,
) -> Facts:
    """Put the card together.

    Args:
        facts: what was measured: the run, its parts, the seed.
        sets: of `measure`; or `{"skipped": reason}` for one that could not be recorded.
        agreement: of `agreement`, or why there is none.
        config: how it was measured.
        asked: how the agreement was.
    """
    return {
        "format_version": FORMAT_VERSION,
        "facts": dict(facts),
        "settings": asdict(config) | asdict(asked),
        "sets": dict(sets),
        "agreement": agreement,
        "comparisons": [dict(zip(("figure", "with", "not_with"), row, strict=True)) for row in COMPARISONS],
    }
