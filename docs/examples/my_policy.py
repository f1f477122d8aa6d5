"""PPO of Stable-Baselines3 learns in the dream of a run, and its policy drives in the real environment."""

import os
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from generative import to_float
from worldmodels import load_dream

RUN = os.environ.get("RUN", "quick")
STACK, WEIGHTS = 4, "ppo.safetensors"


def ppo(dream, steps=4096):
    """PPO on the latents of the last frames, in eight dreams at a time."""
    env = VecNormalize(VecFrameStack(DummyVecEnv([dream.sibling] * 8), STACK), norm_obs=False)
    network = {"log_std_init": -2, "ortho_init": False, "net_arch": [128, 128]}
    return PPO(
        "MlpPolicy", env, seed=0, n_steps=steps // 8, batch_size=min(256, steps), n_epochs=5, use_sde=True,
        sde_sample_freq=4, policy_kwargs=network, device="cpu",
    )  # fmt: skip


class Driver:
    """Sees frames through the run's vision, and hands PPO the latents that it knows from the dream."""

    def __init__(self, policy, vision):
        self.policy, self.vision = policy, vision

    @torch.inference_mode()
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        z = self.vision.encode(to_float(torch.from_numpy(observation)))[0].numpy()
        if state is None:
            state = np.zeros((len(z), STACK * z.shape[1]), dtype=np.float32)
        state = np.where(episode_start[:, None], np.float32(0), state)
        state = np.concatenate([state[:, z.shape[1] :], z], axis=1)
        return self.policy.predict(state, deterministic=deterministic)[0], state


def driver():
    """What `evaluate.agent: my_policy:driver` builds, in every process that drives."""
    dream = load_dream(RUN, observe="latents")
    policy = ppo(dream).policy
    policy.load_state_dict(load_file(WEIGHTS))
    return Driver(policy, dream.vision)


if __name__ == "__main__":
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 500_000
    model = ppo(load_dream(RUN, observe="latents"), min(4096, steps))
    model.learn(steps)
    save_file(dict(model.policy.state_dict()), WEIGHTS)  # the zip of `model.save` holds pickles: leave it alone
    print(f"{model.num_timesteps} steps in the dream of {RUN}: {WEIGHTS}")
