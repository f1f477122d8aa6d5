"""A controller of your own, linear in the features and in their squares, evolved in a run's dream by CMA-ES."""

import sys

import numpy as np
import torch

from agents import CONTROLLERS, ControllerConfig, OptimiserConfig, make_controller, make_optimiser
from worldmodels import load_dream


class Quadratic:
    """P parameter vectors act at once, each in E episodes: layout (bias, weights), A * (1 + 2 F) numbers."""

    def __init__(self, features, action_spec):
        self.features, self.action_spec = features, action_spec

    @classmethod
    def from_config(cls, config, features, action_spec):
        return cls(features, action_spec)

    @property
    def parameters_size(self):
        return self.action_spec.size * (1 + 2 * self.features)

    def resting(self, bias):  # where an evolution from scratch begins: the same action whatever it sees
        return np.concatenate([bias, np.zeros(self.parameters_size - len(bias))])

    def act_population(self, features, parameters):  # (P E F), (P N) -> (P E A)
        both = torch.cat([features, features.square()], -1)
        bias, weight = parameters.split([self.action_spec.size, parameters.shape[1] - self.action_spec.size], 1)
        raw = torch.baddbmm(bias.unsqueeze(1), both, weight.unflatten(1, (2 * self.features, -1)))
        return self.action_spec.squash_action(raw)

    def act(self, features, parameters):  # (B F), (B N) -> (B A)
        return self.act_population(features.unsqueeze(1), parameters).squeeze(1)


CONTROLLERS["quadratic"] = Quadratic  # now `controller.type: quadratic` works in this process


def dream_return(env, controller, parameters, seed):
    """Return what one controller earns in one dream; it reads the latents."""
    row, total, over = torch.tensor(parameters, dtype=torch.float32).unsqueeze(0), 0.0, False
    z, _ = env.reset(seed=seed)
    while not over:
        action = controller.act(torch.from_numpy(z).unsqueeze(0), row)[0].numpy()
        z, reward, terminated, truncated, _ = env.step(action)
        total, over = total + reward, terminated or truncated
    return total


if __name__ == "__main__":
    dream = load_dream(sys.argv[1], observe="latents")  # of a run whose memory is trained
    config = ControllerConfig(type="quadratic")
    controller = make_controller(config, dream.observation_space.shape[0], dream.action_spec)
    optimiser = make_optimiser(OptimiserConfig(population=8), controller.parameters_size, seed=0)
    for generation in range(3):
        candidates = optimiser.ask()
        scores = np.array([dream_return(dream, controller, each, seed=generation) for each in candidates])
        optimiser.tell(candidates, scores)
        print(f"generation {generation}: best return {scores.max():.1f}")
