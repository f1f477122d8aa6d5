"""The dream of an exported page once more, in PyTorch, from the same noise."""

import math

import numpy as np
import torch

from worldmodels.play.chauffeur import Chauffeur

WORD = 0xFFFFFFFF


class SmallFastCounter:
    """Chris Doty-Humphrey's sfc32 of PractRand, and normal numbers after Box and Muller."""

    def __init__(self, seed):
        self.a, self.b, self.c, self.counter = 0, seed, 0, 1
        for _ in range(12):
            self.bits()

    def bits(self):
        total = (self.a + self.b + self.counter) & WORD
        self.counter = (self.counter + 1) & WORD
        self.a = self.b ^ (self.b >> 9)
        self.b = (self.c + (self.c << 3)) & WORD
        self.c = (((self.c << 21) | (self.c >> 11)) + total) & WORD
        return total

    def uniform(self):
        return (self.bits() >> 8) / 2**24

    def uniforms(self, count):
        return torch.tensor([[self.uniform() for _ in range(count)]])

    def normals(self, count):
        drawn = []
        for _ in range(0, count, 2):
            radius, angle = math.sqrt(-2 * math.log(1 - self.uniform())), 2 * math.pi * self.uniform()
            drawn += [radius * math.cos(angle), radius * math.sin(angle)]
        return torch.tensor([drawn[:count]])


@torch.inference_mode()
def dreamt(parts, steps, seed, start="initial", noise="mixture", temperature=1.0, step=None, agent=None):
    """Let the agent drive in a dream of a seed, and return its latents (T Z), rewards (T) and ends' probabilities (T).

    Args:
        step: takes `(z, action, state)` as the memory's own.
        agent: takes the newest latents and the state; by default the agent of the run, as a session has it.
    """
    rng, starts, memory = SmallFastCounter(seed), parts.starts, parts.memory
    places = min(100, len(starts.initial if start == "initial" else starts.z))
    index = int(rng.uniform() * places)
    path = starts.initial[index][None] if start == "initial" else starts.z[index]
    done = starts.action[index] if start == "recorded" else starts.action[index, :0]
    part = int(rng.uniform() * starts.bootstrap().parts) if starts.residuals else 0
    chauffeur, state = Chauffeur(parts.agent), memory.initial(1)
    chauffeur.begin(seed)
    for seen, action in zip(path, done, strict=False):
        chauffeur.dream(seen)
        chauffeur.taken(action)
        state = memory.advance(torch.from_numpy(seen[None]), torch.from_numpy(action[None]), state)
    z, found = torch.from_numpy(path[-1:]), ([], [], [])
    chauffeur.dream(path[-1])
    for number in range(steps):
        action = chauffeur.action()
        chauffeur.taken(action)
        done = torch.from_numpy(action[None])
        predicted, state = (step or memory.step)(z, done, state)
        rng.uniform()
        uniform, normal = rng.uniforms(z.shape[1]), rng.normals(z.shape[1])
        if noise == "residual":
            place = torch.tensor([(part + number) % starts.bootstrap().parts])
            residual = starts.bootstrap().draw(z, done, place, torch.zeros(1, dtype=torch.int64))
            z = predicted.expected_latent() + math.sqrt(temperature) * residual
        else:
            z = predicted.sample(temperature, uniform, normal)
        chauffeur.dream(z[0].numpy())
        end = torch.sigmoid(predicted.termination_logit)
        for kept, value in zip(found, (z, predicted.reward, end), strict=True):
            kept.append(value[0].numpy())
    return tuple(np.array(each) for each in found)
