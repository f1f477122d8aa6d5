import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from envs import CAR_RACING, EnvConfig, VectorEnv, make_env, same_world
from tests.strange import STRANGE, folder, on_path  # noqa: F401  # a fixture


def test_a_package_is_imported_by_its_id(on_path):  # noqa: F811
    obs, _ = make_env(STRANGE).reset(seed=1)
    assert obs.shape == (16, 16, 1) and "strange" in sys.modules
    with pytest.raises(ValueError, match="did you mean 'strange:Strange-v0'"):
        make_env(EnvConfig(id="strange:Strnge-v0"))


def test_a_package_in_the_current_folder_is_found_too():
    code = "from envs import *; print(make_env(EnvConfig(id='strange:Strange-v0', wrappers=('strange:Shown',))))"
    path = [entry for entry in sys.path if entry and entry != str(folder())]
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {path!r}; {code}"],
        cwd=folder(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Strange" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "no_such:Env-v0"}, r"no package `no_such`.*install it.*PYTHONPATH"),
        ({"id": "strange.nothing:Env-v0"}, "no package `strange.nothing`"),
        ({"id": "Strange-v1"}, "did you mean 'Strange-v0'"),
        ({"wrappers": ()}, r"Dict of \['clock', 'picture'\].*'envs:PickObservation \{key: picture\}'"),
        ({"wrappers": ("strange:Shwn",)}, "has no `Shwn`; did you mean 'Shown'"),
        ({"wrappers": ("strange:Shown {abov: 3}",)}, "unexpected keyword argument 'abov'"),
        ({"wrappers": ("no_such:Shown",)}, "no package `no_such`"),
        ({"wrappers": ("envs:PickObservation {key: image}",)}, "keys are"),
        ({"wrappers": ("strange:np.zeros",)}, "write package.module:Wrapper"),
        ({"wrappers": ("builtins:repr",)}, "made a str, which is no gymnasium.Env"),
    ],
)
def test_what_cannot_be_found_or_wrapped_is_named(on_path, changes, message):  # noqa: F811
    values = {"id": STRANGE.id, "size": 16, "wrappers": STRANGE.wrappers} | changes
    with pytest.raises(ValueError, match=message):
        make_env(EnvConfig(**values))


def test_wrappers_stand_around_each_other_and_take_arguments(on_path):  # noqa: F811
    wrappers = ("strange:Shown {above: 250}", "gymnasium.wrappers:TimeLimit {max_episode_steps: 3}")
    env = make_env(EnvConfig(id="strange:Strange-v0", size=90, wrappers=wrappers))
    obs, _ = env.reset(seed=0)
    assert obs.max() == 5  # nothing of the bar is left
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_one_world_has_three_drawings():
    assert all(same_world(one, other) for one in CAR_RACING for other in CAR_RACING)
    assert not same_world("WorldModels/Toy-v0", CAR_RACING[0]) and same_world("Pong-v0", "Pong-v0")


def test_a_package_s_own_step_limit_holds(on_path):  # noqa: F811
    assert STRANGE.limit == 1000 and EnvConfig(id="WorldModels/Toy-v0").limit == 50
    env = VectorEnv([make_env(EnvConfig(id=STRANGE.id, size=16, wrappers=STRANGE.wrappers, max_steps=4))])
    env.reset(seed=[0])
    assert [bool(env.step(np.array([1]))[3][0]) for _ in range(4)] == [False] * 3 + [True]
    assert gym.spec("Strange-v0").max_episode_steps is None
