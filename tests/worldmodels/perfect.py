"""The toy environment as its own world model: latents that are its state, a memory that is its dynamics."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from envs.toy import GATE_DISTANCE, Toy, decode
from generative.networks.mixture import Mixture
from worldmodels.memories import Prediction

NAMES = ("x", "speed", "distance", "slow", "fast", "seed", "t", "lost")
"""What a latent holds."""
STD = 1e-3


def state_of(toy):
    slow, fast = toy._phases
    return np.array([toy._x, toy._speed, toy._distance, slow, fast, toy._seed, toy._t, toy._lost_steps], np.float32)


def centre(distance, slow, fast):
    return 0.4 * torch.sin(2 * torch.pi * distance / 5 + slow) + 0.2 * torch.sin(2 * torch.pi * distance / 2.2 + fast)


class Table(nn.Module):
    """A vision that knows the state behind every recorded frame, by the seed and the time that the frame shows."""

    def __init__(self, size=32):
        super().__init__()
        self.latent_spec = SimpleNamespace(size=len(NAMES))
        self.known, self.toy = {}, Toy(size=size)

    def encode(self, obs):
        frames = (obs * 255).round().byte().permute(0, 2, 3, 1).numpy()
        mean = torch.from_numpy(np.stack([self.known[decode(frame)] for frame in frames]))
        return mean, torch.zeros_like(mean)

    def loss(self, obs, generator):
        raise NotImplementedError

    diagnose = loss

    def decode(self, z):
        return torch.stack([self.draw(row) for row in z.double().numpy()])

    def draw(self, row):
        toy = self.toy
        toy._x, toy._speed, toy._distance = row[:3]
        toy._phases = tuple(row[3:5])
        toy._seed, toy._t = round(row[5]), round(row[6])
        return torch.from_numpy(toy.draw_state_pixels()).permute(2, 0, 1).float() / 255


class Simulator(nn.Module):
    """A memory whose prediction is what will happen, with a spread of `STD`."""

    feature_size = 1
    config = None

    def set_reward_scale(self, mean, std):
        raise NotImplementedError

    set_event_scale = reward_explained = set_reward_scale

    def initial(self, batch):
        return (torch.zeros(batch, 1),)

    def feature(self, state):
        return state[0]

    def advance(self, z, action, state):
        return state

    def step(self, z, action, state):
        return self.predict(z, action), state

    def forward_sequence(self, z, action, state=None):
        return self.predict(z, action), state or self.initial(len(z))

    def predict(self, z, action):
        x, speed, distance, slow, fast, seed, t, lost = z.double().unbind(-1)
        steer, gas, brake = action.double().unbind(-1)
        gates = (distance / GATE_DISTANCE).floor()
        speed = (speed + 0.1 * gas.clamp(0, 1) - 0.2 * brake.clamp(0, 1) - 0.03 * speed).clamp(0, 1)
        distance = distance + 0.1 * speed
        x = (x + 0.12 * steer.clamp(-1, 1)).clamp(-1.2, 1.2)
        offset = (x - centre(distance, slow, fast)).abs()
        reward = 0.2 * (1 - offset / 0.25).clamp(min=0) - 0.1
        reward = reward + (offset < 0.25) * ((distance / GATE_DISTANCE).floor() - gates)
        lost = torch.where(offset > 0.6, lost.round() + 1, 0.0)
        reward = reward - 2.0 * (lost >= 10)
        after = torch.stack([x, speed, distance, slow, fast, seed, t + 1, lost], dim=-1).float()
        return self.prediction(after, reward.float(), torch.where(lost >= 10, 8.0, -8.0).float())

    def prediction(self, after, reward, end):
        one = after.unsqueeze(-1)
        return Prediction(Mixture(torch.zeros_like(one), one, torch.full_like(one, STD).log()), reward, end)


class Blind(Simulator):
    """The simulator, without a view of the action."""

    def predict(self, z, action):
        return super().predict(z, torch.zeros_like(action))


class Shuffled(Simulator):
    """The simulator, with each row told what happens to another one."""

    def predict(self, z, action):
        rows = [part.roll(7 * max(1, len(z) // 18), 0) for part in (z, action)]
        return super().predict(*rows)
