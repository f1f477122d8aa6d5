"""A field that is changed changes what its stage does, or is refused; one that does neither is a fault.

Every field of a section named in `SECTIONS` has a check here: a new field without one fails the test.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from agents import make_controller
from envs import make_env
from scripts.stages import evolve
from tests.small import looped_config, small_config
from worldmodels import Run
from worldmodels.agent.build import env_shape
from worldmodels.config import RunConfig, config_from, nested
from worldmodels.errors import RunError
from worldmodels.evolution.evolve import next_episodes
from worldmodels.evolution.loop import exploited, keeps_vision, round_config
from worldmodels.files import read_lines

SECTIONS = ("env", "controller", "evolve", "loop")
MLP = {"controller.type": "mlp"}


def played(config):
    """What an environment shows and pays in training along one action, and what it takes."""
    env = make_env(config.env, training=True)
    try:
        seen = [env.reset(seed=3)[0].tobytes(), str(env.action_space)]
        action = env.action_space.high if env.action_space.shape else np.int64(1)
        for _ in range(60):
            obs, reward, terminated, truncated, _ = env.step(action)
            seen.append((obs.tobytes(), reward, terminated, truncated))
            if terminated or truncated:
                break
        return seen
    finally:
        env.close()


def begun(config):
    """The controller's size and where an evolution from scratch begins."""
    controller = make_controller(config.controller, 5, env_shape(config.env).spec)
    return controller.parameters_size, list(controller.resting(config.controller.bias or (0.0, 0.0, 0.0)))


def rounds(config):
    """What a loop's rounds differ in, and where they begin."""
    place, best = Path("r"), {"validation": {"mean": 500.0}, "dream_reward": 1.0}
    each = [round_config(config, number, place, place) for number in range(1, 4)]
    kept = [keeps_vision(config, number) for number in range(1, 4)]
    lost = {"validation": {"mean": 1.0}, "dream_reward": 2.0}
    return config.loop.rounds, each, kept, exploited(config.loop, [best, lost])


def doubled(config):
    return next_episodes(config.evolve, config.evolve.episodes, [0.4, 0.4, 0.4])


CHECKS = {
    "env.id": (played, "WorldModels/FastCarRacing-v3", {}),
    "env.wrappers": (played, ["envs:PickObservation {key: image}"], {}),
    "env.size": (played, 16, {}),
    "env.crop": (played, [0, 16], {}),
    "env.action_repeat": (played, 2, {}),
    "env.max_steps": (played, 5, {}),
    "env.no_reward_limit": (played, 4, {}),
    "env.options": (played, {"size": 32, "discrete": True}, {}),
    "controller.type": (begun, "mlp", {}),
    "controller.layers": (begun, [7], MLP),
    "controller.bias": (begun, [0.0, 0.5, -1.0], {}),
    "loop.rounds": (rounds, 4, {}),
    "loop.later": (rounds, {"dream": {"horizon": 9}}, {}),
    "loop.final": (rounds, {"dream": {"horizon": 9}}, {}),
    "loop.final_rounds": (rounds, 2, {"loop.final": {"dream": {"horizon": 9}}}),
    "loop.vision_every": (rounds, 3, {}),
    "loop.warm_start": (rounds, False, {}),
    "loop.rollback": (rounds, False, {}),
    "evolve.agreement": (doubled, 0.5, {"evolve.agreement": 0.3}),
    "evolve.world": ("evolve", "dream", {}),
    "evolve.start": ("evolve", "nowhere", {}),
    "evolve.generations": ("evolve", 3, {}),
    "evolve.episodes": ("evolve", 3, {}),
    "evolve.action_cost": ("evolve", 0.5, {}),
    "evolve.seed": ("evolve", 5, {}),
    "evolve.optimiser.type": ("evolve", "random-search", {}),
    "evolve.optimiser.population": ("evolve", 6, {}),
    "evolve.optimiser.sigma": ("evolve", 0.2, {}),
    "evolve.validation.every": ("evolve", 1, {}),
    "evolve.validation.tracks": ("evolve", 2, {}),
    "evolve.validation.record": ("evolve", True, {}),
    "evolve.validation.top_k": ("evolve", 2, {"evolve.validation": {"every": 1, "top_k_tracks": 2}}),
    "evolve.validation.top_k_tracks": ("evolve", 3, {"evolve.validation": {"every": 1, "top_k": 2, "top_k_tracks": 2}}),
}
"""Of each field: what is compared, another value, and what else is set so that the field matters."""


def names(config, where=""):
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from names(value, f"{where}{item.name}.")
        else:
            yield f"{where}{item.name}"


def missing(config):
    """The fields of the sections without a check, and the checks without a field."""
    found = {name for name in names(config) if name.split(".")[0] in SECTIONS}
    return found ^ set(CHECKS)


def test_every_field_has_a_check():
    assert missing(RunConfig()) == set()


def test_a_field_without_a_check_is_found():
    planted = dataclasses.make_dataclass("LoopConfig", [("fake", int, 3)], bases=(type(RunConfig().loop),), frozen=True)
    assert missing(dataclasses.replace(RunConfig(), loop=planted())) == {"loop.fake"}


@pytest.fixture
def evolved(trained, tmp_path):
    def probe(config):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(trained.path, place)
        run = Run.create(place, config)
        list(evolve(run))
        log = read_lines(run.folder("evolve") / "generations.jsonl")
        facts = {name: value for name, value in run.done("evolve").items() if name not in ("finished", "files")}
        return [{k: v for k, v in entry.items() if k not in ("seconds", "timings", "crc")} for entry in log], facts

    return probe


@pytest.mark.parametrize("name", CHECKS)
def test_a_changed_field_acts_or_is_refused(name, request):
    probe, value, context = CHECKS[name]
    whole = looped_config if name.startswith("loop.") else small_config
    base = config_from(nested({"evolve.generations": 2, **context}), whole())
    probe = request.getfixturevalue("evolved") if probe == "evolve" else probe
    before = probe(base)
    assert before == probe(base)  # what is compared does not vary by itself
    try:
        after = probe(config_from(nested({name: value}), base))
    except (RunError, ValueError) as error:
        assert name.rpartition(".")[2] in str(error)
        return
    assert after != before
