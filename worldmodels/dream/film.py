"""The agent driving in its dream, a real drive of it, and what its memory predicts of that drive.

The film of the dream is closed: the agent acts on what the memory dreams, and the memory dreams on from what the agent
did, exactly as in evolution (`worldmodels.dream.imagine`), with the same noise, horizon and ends. The
prediction is open: the memory watches a real drive, then goes on without seeing it, from the same actions and without
noise: each latent is the expectation of the next one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from envs import make_env
from generative import to_float, to_uint8
from generative.capabilities import Decodes
from worldmodels.agent.bundle import Bundle
from worldmodels.agent.controller_policy import ControllerPolicy
from worldmodels.dream.config import DreamConfig
from worldmodels.dream.ends import Outcome
from worldmodels.dream.imagine import Imagination, Moment
from worldmodels.dream.starts import Starts
from worldmodels.memories import Memory, MemoryModule, initial_on
from worldmodels.seeds import VALIDATION
from worldmodels.vision.contract import DecodingVision

DREAMS = range(16)
"""Seeds of the dreams whose mean return is noted; the film shows the first of them."""
STEPS = 250
"""Steps that the film of the dream shows at least: dreams follow one another, each of them whole."""
PREDICTED_FRAMES, CONTEXT = 180, 4 / 9
"""Frames of the real drive beside the prediction, and the part of them that the memory watches."""
TRACK = VALIDATION[0]
"""Seed of the real drive's track."""
DECODED = 64
"""Frames that are decoded at once."""


class RealDrive(NamedTuple):
    """A real drive of T steps."""

    frames: UInt8[np.ndarray, "T+1 H W C"]
    action: Float32[np.ndarray, "T A"]
    reward: Float32[np.ndarray, " T"]
    ended: bool
    """Whether the environment ended it."""


class Dream(NamedTuple):
    """A dream of T steps, from where it began to its end."""

    z: Float32[Tensor, "T+1 Z"]
    action: Float32[Tensor, "T A"]
    reward: Float32[Tensor, " T"]
    """NaN where the memory has no reward head."""
    end: str
    """Why it ended: termination, no reward or horizon."""
    score: float
    """What it counts in evolution: the rewards less the penalty for its end and the cost of effort."""

    @property
    def gained(self) -> float:
        """What the dream paid in all."""
        return float(self.reward.double().sum())


class PredictedFrames(NamedTuple):
    """What a memory makes of a real drive of T steps: it watches some, then predicts the others."""

    reconstructions: UInt8[np.ndarray, "T+1 H W C"]
    frames: UInt8[np.ndarray, "T+1 H W C"]
    """Reconstructions up to the last frame that it sees, then predictions."""
    context: int
    """Steps that it watches; frame `context` is the last one that it sees."""


def drive(bundle: Bundle, parameters: np.ndarray, track: int, steps: int) -> RealDrive:
    """Let the agent drive a real track, without training wrappers, for at most some steps."""
    env = make_env(bundle.env)
    everyone = np.ones(1, dtype=bool)
    policy = ControllerPolicy(bundle.perception(1), bundle.build_controller(), bundle.spec, parameters[None])
    policy.begin(0, track)
    frames, ended = [env.reset(seed=track)[0].copy()], False
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    try:
        while len(actions) < steps and not ended:
            action = policy.act(frames[-1][None], everyone)
            obs, reward, terminated, truncated, _ = env.step(bundle.spec.to_env(action)[0])
            frames.append(obs.copy())
            actions.append(action[0])
            rewards.append(float(reward))
            ended = bool(terminated or truncated)
    finally:
        env.close()
    return RealDrive(np.stack(frames), np.stack(actions), np.array(rewards, np.float32), ended)


def first(real: RealDrive, steps: int) -> RealDrive:
    """Return the first steps of a real drive."""
    ended = real.ended and len(real.action) <= steps
    return RealDrive(real.frames[: steps + 1], real.action[:steps], real.reward[:steps], ended)


@torch.inference_mode()
def dream_drives(
    bundle: Bundle,
    parameters: np.ndarray,
    memory: MemoryModule,
    starts: Starts,
    config: DreamConfig,
    seeds: Sequence[int],
    action_cost: float = 0.0,
    device: torch.device | str = "cpu",
) -> list[Dream]:
    """Let the agent drive in dreams, as when controllers are evolved in them, and return one dream a seed.

    Dreams stay on the device where the memory is.

    Args:
        bundle: of the agent.
        parameters: of its controller (N).
        memory: that dreams, on the device.
        starts: where dreams begin.
        config: how they go.
        seeds: of the dreams.
        action_cost: `EvolveConfig.action_cost`.
        device: where to dream.
    """
    perception, controller = bundle.perception(len(seeds), device=device), bundle.build_controller()
    cost = action_cost * bundle.env.action_repeat
    imagination = Imagination(memory.eval(), perception, controller, starts, config, len(seeds), cost)
    rows: list[Moment] = []
    score = torch.zeros(len(seeds), dtype=torch.float64, device=device)
    for moment in imagination.moments(parameters[None], seeds):
        score = imagination.earned(score, moment)
        rows.append(_copied(moment))
        if all(moment.outcome.end(number) or not moment.outcome.playing[number] for number in range(len(seeds))):
            break
    return [_dream(rows, number, counted) for number, counted in enumerate(score.tolist())]


def _copied(moment: Moment) -> Moment:
    """Return a moment whose numbers the next step cannot change."""
    outcome = Outcome(*(part.clone() for part in moment.outcome))
    return Moment(moment.z.clone(), moment.action.clone(), moment.after.clone(), outcome)


def _dream(moments: Sequence[Moment], number: int, score: float) -> Dream:
    """Return one dream out of all, up to its end."""
    played = [moment for moment in moments if moment.outcome.playing[number]]
    z = [played[0].z[number], *(moment.after[number] for moment in played)]
    action = torch.stack([moment.action[number] for moment in played])
    reward = torch.stack([moment.outcome.reward[number] for moment in played])
    return Dream(torch.stack(z).float(), action.float(), reward.float(), played[-1].outcome.end(number), score)


@torch.inference_mode()
def predict(
    vision: DecodingVision, memory: Memory, real: RealDrive, device: torch.device | str = "cpu"
) -> PredictedFrames:
    """Let the memory watch the beginning of a real drive, then predict the rest; both parts are on the device."""
    steps = len(real.action)
    context = int(steps * CONTEXT)
    seen = to_float(torch.from_numpy(real.frames).to(device))
    z = torch.cat([vision.encode(part)[0] for part in seen.split(DECODED)])  # (T+1 Z)
    reconstructions = decode(vision, z)
    action = torch.from_numpy(real.action).to(device)
    state, believed = initial_on(memory, 1, device), z.clone()
    for step in range(steps):
        prediction, state = memory.step(believed[step : step + 1], action[step : step + 1], state)
        if step >= context:
            believed[step + 1] = prediction.expected_latent()[0]
    return PredictedFrames(reconstructions, decode(vision, believed), context)


@torch.inference_mode()
def decode(vision: Decodes, z: Float32[Tensor, "T Z"]) -> UInt8[np.ndarray, "T H W C"]:
    """Return the frames that latents stand for."""
    return np.concatenate([to_uint8(vision.decode(part)).cpu().numpy() for part in z.split(DECODED)])


class Scene(NamedTuple):
    """One frame of the film of the dream."""

    dream: int
    """Its number, from 0."""
    step: int
    """Of the dream; 0 is the real frame where it begins."""
    over: bool
    """Whether this is the dream's last frame."""


def reel(dreams: Sequence[Dream], hold: int) -> Iterator[Scene]:
    """Yield whole dreams one after another; the end of each stays for `hold` more frames."""
    for number, dream in enumerate(dreams):
        last = len(dream.reward)
        for step in [*range(last), *[last] * (1 + hold)]:
            yield Scene(number, step, step == last)


def shown(dreams: Sequence[Dream], steps: int) -> list[Dream]:
    """Return the first dreams that have at least so many steps together, or all."""
    total = np.cumsum([len(dream.reward) for dream in dreams])
    return list(dreams[: int(np.searchsorted(total, steps)) + 1])
