"""Whether an environment keeps the promises that recording, resuming and comparing depend on.

An environment of ours is trusted; a user's is held against gymnasium's rules once, and its seeds are tried: what a seed
and the same actions lead to must not depend on what was played before.
"""

import re
import warnings

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from envs.ids import CAR_RACING, find_spec
from envs.make import EnvConfig, make_bare, make_env

SEED = 123
STEPS = 100
BEFORE = 7
"""Steps of another episode before the one that is compared."""
SHARED = "share an object"
"""In gymnasium's refusal of frames that are written over later; here every frame is copied at once."""


def check_environment(config: EnvConfig) -> list[str]:
    """Hold a user's environment, inside the wrappers it names, against gymnasium's rules and try its seeds.

    Returns:
        What gymnasium warns of, one line each; none of an environment of ours.

    Raises:
        ValueError: it breaks a rule, or the same seed and actions lead to something else the second time.
    """
    spec = find_spec(config.id)
    if not config.wrappers and (config.id in CAR_RACING or str(spec.entry_point).startswith("envs.")):
        return []
    env = make_bare(config)
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_env(env, skip_render_check=True, skip_close_check=True)
    except Exception as error:  # whatever the environment's own code raises
        if SHARED not in str(error):
            raise ValueError(
                f"id={config.id}: breaks a rule of gymnasium.utils.env_checker.check_env: {_line(error)} Mend the "
                "environment, or put a wrapper around it that does (env.wrappers)."
            ) from error
        notes.append(_line(error))
    finally:
        env.close()
    _try_seeds(config)
    notes = [_line(warning.message) for warning in caught] + notes
    return [note for note in dict.fromkeys(notes) if "different from the unwrapped version" not in note]


def _line(message: object) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|WARN: ", "", str(message)).split())


def _try_seeds(config: EnvConfig) -> None:
    """Play one seed in two environments, in the second after another seed, and compare all that comes back."""
    fresh, used = make_env(config), make_env(config)
    try:
        fresh.action_space.seed(SEED)
        actions = [fresh.action_space.sample() for _ in range(STEPS)]
        _play(used, SEED + 1, actions[:BEFORE])
        for step, (one, other) in enumerate(zip(_play(fresh, SEED, actions), _play(used, SEED, actions), strict=False)):
            for name, first, second in zip(("frames", "rewards", "ends"), one, other, strict=True):
                if not np.array_equal(np.asarray(first), np.asarray(second)):
                    raise ValueError(
                        f"id={config.id}: after reset(seed={SEED}) the same actions led to other {name} the second "
                        f"time, at step {step}. Runs could not be resumed or compared: draw all random numbers from "
                        "`self.np_random`, which `super().reset(seed=seed)` seeds, and forget every earlier episode."
                    )
    finally:
        fresh.close()
        used.close()


def _play(env: gym.Env, seed: int, actions: list[object]) -> list[tuple[np.ndarray, float, tuple[bool, bool]]]:
    """Return frame, reward and ends of every step, the reset first."""
    seen = [(env.reset(seed=seed)[0].copy(), 0.0, (False, False))]
    for action in actions:
        obs, reward, terminated, truncated, _ = env.step(action)
        seen.append((obs.copy(), float(reward), (bool(terminated), bool(truncated))))
        if terminated or truncated:
            break
    return seen
