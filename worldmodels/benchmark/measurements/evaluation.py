"""Evaluation in the real environment, all of it: our worker against the loop that people write."""

import itertools
from dataclasses import replace
from typing import NamedTuple

import cv2
import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from envs import EnvConfig, make_env
from envs.car_racing import CarRacing
from generative import to_float
from worldmodels.agent.build import env_shape, new_memory, new_vision
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.precision import latent_change, resolve_dtype
from worldmodels.benchmark.figure import BenchmarkFigure, Settings, paired, rate
from worldmodels.benchmark.machine import use_cores
from worldmodels.benchmark.measurements.driving import TRACKS, follow_road
from worldmodels.benchmark.measurements.environments import OURS, THEIRS, make
from worldmodels.config import RunConfig
from worldmodels.evolution.tasks import RealTask, TrialWorker
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.memories import MemoryModule
from worldmodels.vision.contract import VisionModule

EVALUATION = BenchmarkFigure(
    "evaluation", "evaluation end to end on one core, against the usual loop over gymnasium's", "x", ">= 15", "frames/s"
)
LEAST = 15.0
WIDTH = 16
EPISODE = 200
SPREAD = 0.05
"""Of the controller's random parameters: small, so that the car keeps to a gentle drive."""


class UntrainedAgent(NamedTuple):
    """An untrained agent of the default sizes: what it costs to act does not depend on what it has learned."""

    bundle: Bundle
    vision: VisionModule
    memory: MemoryModule
    parameters: np.ndarray
    """float32 (1 N)."""


def random_agent(steps: int) -> UntrainedAgent:
    """Return an agent with random weights whose episodes last at most `steps` frames, action repeat 1."""
    env = EnvConfig(id=OURS, crop=(0, 84), action_repeat=1, max_steps=steps)
    config = RunConfig(env=env)
    shape = env_shape(env)
    vision = new_vision(config, shape, seed=0).eval()
    memory = new_memory(config, vision.latent_spec.size, shape.spec, seed=1).eval()
    frames = to_float(torch.from_numpy(driven_frames(env, 32)))
    dtype, _ = resolve_dtype(config.dtype, lambda: latent_change(vision, frames))
    bundle = Bundle(
        env=env,
        spec=shape.spec,
        features=config.features,
        controller=config.controller,
        dtype=dtype,
        **bundle_parts(vision, memory),
    )
    size = bundle.build_controller().parameters_size
    parameters = SPREAD * np.random.default_rng(0).standard_normal((1, size))
    return UntrainedAgent(bundle, vision, memory, parameters.astype(np.float32))


def driven_frames(config: EnvConfig, count: int) -> np.ndarray:
    """Return every second frame of a drive along the road, as models see them, uint8 (count H W C)."""
    env = make_env(replace(config, max_steps=0))
    base = env.unwrapped
    assert isinstance(base, CarRacing)
    found = [env.reset(seed=TRACKS[0])[0]]
    for step in range(1, 2 * count - 1):
        obs = env.step(follow_road(base))[0]
        if step % 2 == 0:
            found.append(obs)
    env.close()
    return np.stack(found)


class UsualLoop:
    """One environment, one observation at a time, float32: resize, encode, act, remember. The same weights as ours."""

    def __init__(self, agent: UntrainedAgent, steps: int) -> None:
        self.env: gym.Env = make(THEIRS)
        self.steps, self.vision = steps, agent.vision
        options = agent.memory.config
        self.cell = nn.LSTMCell(options.latent + options.action, options.hidden)
        for name, weight in agent.memory.get_submodule("lstm").named_parameters():
            getattr(self.cell, name.removesuffix("_l0")).data.copy_(weight.data)
        flat = torch.from_numpy(agent.parameters[0])
        self.bias, self.weight = flat[: options.action], flat[options.action :].view(-1, options.action)
        self.size, (self.top, self.bottom) = agent.bundle.env.size, agent.bundle.env.crop

    @torch.no_grad()
    def play(self, track: int) -> int:
        """Play an episode and return its frames."""
        obs, _ = self.env.reset(seed=track)
        h = c = torch.zeros(1, self.cell.hidden_size)
        for step in range(self.steps):
            frame = cv2.resize(obs[self.top : self.bottom], (self.size, self.size), interpolation=cv2.INTER_LINEAR)
            image = torch.from_numpy(frame).permute(2, 0, 1).unsqueeze(0).float() / 255  # (1 3 H W)
            z, _ = self.vision.encode(image)
            action = self.act(torch.cat([z, h], dim=1))
            h, c = self.cell(torch.cat([z, action], dim=1), (h, c))
            obs, _, terminated, truncated, _ = self.env.step(action[0].numpy())
            if terminated or truncated:
                return step + 1
        return self.steps

    def act(self, features: Tensor) -> Tensor:
        """Steer, gas and brake as Ha and Schmidhuber's controller does."""
        raw = torch.tanh(features @ self.weight + self.bias)  # (1 3)
        return torch.stack([raw[:, 0], (raw[:, 1] + 1) / 2, raw[:, 2].clamp(0, 1)], dim=1)


def evaluation(settings: Settings) -> BenchmarkFigure:
    """Play whole episodes of 200 frames: a worker's 16 at a time, the loop's one by one."""
    with use_cores(1):
        steps, width = settings.scaled(EPISODE, 2), settings.scaled(WIDTH)
        agent = random_agent(steps)
        worker, loop = TrialWorker(TrialSetup(agent.bundle, width)), UsualLoop(agent, steps)
        our_tracks, their_tracks = (itertools.cycle(TRACKS) for _ in range(2))

        def our_episodes() -> int:
            plays = [(0, next(our_tracks)) for _ in range(width)]
            return sum(one.frames for one in worker(RealTask(agent.parameters, plays, training=False)).played)

        try:
            pairs = paired(
                lambda seconds: rate(our_episodes, seconds),
                lambda seconds: rate(lambda: loop.play(next(their_tracks)), seconds),
                settings,
            )
        finally:
            worker.close()
            loop.env.close()
    return EVALUATION.timed(
        pairs, LEAST, width=width, frames_per_episode=steps, dtype=agent.bundle.dtype, action_repeat=1
    )
