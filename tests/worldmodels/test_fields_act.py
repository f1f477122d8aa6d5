"""A field that is changed changes what its stage does, or is refused; one that does neither is a fault.

Every field of a configuration has a check here: a new field without one fails the test.
"""

import dataclasses

import pytest

from tests.small import looped_config, small_config
from tests.worldmodels.probes import AGENT, OTHER, TINY, TRAINED, Probes, names
from worldmodels.config import RunConfig, config_from, nested
from worldmodels.errors import RunError

FIT = {
    "steps": 6,
    "learning_rate": 0.01,
    "warmup": 3,
    "schedule": "constant",
    "gradient_clip": 0.001,
    "clip_value": 1e-6,
    "precision": "bfloat16",
}
FREE = {"vision.options.kl_floor": 0.0}
NO_REWARD = {"dream.no_reward_limit": 2}
TOP = {"evolve.generations": 2, "evolve.validation": {"every": 1, "top_k": 2, "top_k_tracks": 2}}
CONTROLLERS = {"accuracy.controllers": 3, "accuracy.controller_tracks": 2, "accuracy.controller_dreams": 2}
RAY = {"executor.type": "ray", "executor.workers": 1}


def driven(*policies):
    return {"collect.policies": list(policies), "collect.agent": AGENT}


CHECKS = {
    "preset": ("files", "quick", {}),
    "seed": ("seeds", 1, {}),
    "tracker": ("tracks", "none", {}),
    "device": ("sees", "cuda:77", {"device": "cpu"}),
    "dtype": ("reads", "bfloat16", {}),
    "env.id": ("plays", "WorldModels/FastCarRacing-v3", {}),
    "env.wrappers": ("plays", ["envs:PickObservation {key: image}"], {}),
    "env.size": ("plays", 16, {}),
    "env.crop": ("plays", [0, 16], {}),
    "env.action_repeat": ("plays", 2, {}),
    "env.max_steps": ("plays", 5, {}),
    "env.no_reward_limit": ("plays", 4, {}),
    "env.options": ("plays", {"size": 32, "discrete": True}, {}),
    "collect.policies": ("collects", ["brownian"], {}),
    "collect.episodes": ("collects", 4, {}),
    "collect.max_frames": ("collects", 6, {}),
    "collect.agent": ("collects", OTHER, driven("agent")),
    "collect.noise": ("collects", 0.4, driven("agent")),
    "collect.correlation_time": ("collects", 2.0, driven("agent")),
    "collect.perturbation": ("collects", 0.5, driven("perturbed-agent")),
    "collect.bias": ("collects", [0.0, 0.5, -1.0], {"collect.policies": ["ornstein-uhlenbeck"]}),
    "collect.extends": ("collects", TRAINED, {}),
    "collect.early_stop": ("collects", True, {"env.no_reward_limit": 4, "collect.max_frames": 40}),
    "vision.type": ("sees", "autoencoder", {}),
    "vision.options.layout": ("sees", "fast-relu", {}),
    "vision.options.latent": ("sees", 4, {}),
    "vision.options.image_size": ("sees", 48, {}),
    "vision.options.channels": ("sees", 1, {}),
    "vision.options.width": ("sees", 16, {}),
    "vision.options.beta": ("sees", 0.1, FREE),
    "vision.options.kl_floor": ("sees", 0.0, {}),
    "vision.options.edges": ("sees", 4.0, {}),
    "vision.options.r_loss_factor": ("sees", 50.0, FREE),
    "vision.start": ("sees", TRAINED, {}),
    "vision.batch": ("sees", 4, {}),
    "vision.buffer": ("sees", 16, {}),
    "memory.type": ("remembers", "feed-forward", {}),
    "memory.options.latent": ("remembers", 9, {}),
    "memory.options.action": ("remembers", 7, {}),
    "memory.options.reward": ("remembers", False, {}),
    "memory.options.reward_target": ("remembers", "event-rate", {}),
    "memory.options.termination": ("remembers", False, {}),
    "memory.options.input_noise": ("remembers", 0.5, {}),
    "memory.options.dropout": ("remembers", 0.5, {}),
    "memory.options.hidden": ("remembers", 16, {}),
    "memory.options.mixtures": ("remembers", 2, {}),
    "memory.start": ("remembers", TRAINED, {}),
    "memory.batch": ("remembers", 6, {}),
    "memory.sequence": ("remembers", 10, {}),
    "memory.latent": ("remembers", "mean", {}),
    "memory.reward.type": ("remembers", "raw", {}),
    "memory.reward.window": ("remembers", 2, {}),
    "memory.termination.type": ("remembers", "env", {}),
    "memory.termination.off_road_steps": ("remembers", 1, {}),
    "features.reads": ("reads", "vision", {}),
    "features.memory": ("reads", "untrained", {}),
    "features.latent": ("reads", "sample", {}),
    "features.stack": ("reads", 2, {"features.reads": "frame-stack"}),
    "controller.type": ("controls", "mlp", {}),
    "controller.layers": ("controls", [7], {"controller.type": "mlp"}),
    "controller.bias": ("controls", [0.0, 0.5, -1.0], {}),
    "evolve.world": ("evolves", "dream", {}),
    "evolve.start": ("evolves", AGENT, {}),
    "evolve.generations": ("evolves", 2, {}),
    "evolve.optimiser.type": ("evolves", "random-search", {}),
    "evolve.optimiser.population": ("evolves", 5, {}),
    "evolve.optimiser.sigma": ("evolves", 0.2, {}),
    "evolve.episodes": ("evolves", 3, {}),
    "evolve.agreement": ("doubles", 0.5, {"evolve.agreement": 0.3}),
    "evolve.action_cost": ("evolves", 0.5, {}),
    "evolve.validation.every": ("evolves", 1, {"evolve.generations": 2}),
    "evolve.validation.tracks": ("evolves", 3, {}),
    "evolve.validation.record": ("evolves", True, {}),
    "evolve.validation.top_k": ("evolves", 1, TOP),
    "evolve.validation.top_k_tracks": ("evolves", 3, TOP),
    "evolve.seed": ("evolves", 5, {}),
    "dream.horizon": ("dreams", 20, {}),
    "dream.temperature": ("dreams", 2.0, {}),
    "dream.noise": ("dreams", "residual", {}),
    "dream.initial_state_fraction": ("dreams", 1.0, {}),
    "dream.warmup": ("dreams", 3, {}),
    "dream.no_reward_limit": ("dreams", 2, {}),
    "dream.termination_penalty": ("dreams", 10.0, NO_REWARD),
    "dream.recent_episodes": ("dreams", 1, {}),
    "dream.min_steps_to_end": ("dreams", 8, {}),
    "dream.memory": ("dreams", "untrained", {}),
    "loop.rounds": ("loops", 4, {}),
    "loop.later": ("rounds", {"dream": {"horizon": 9}}, {}),
    "loop.final": ("rounds", {"dream": {"horizon": 9}}, {}),
    "loop.vision_every": ("rounds", 3, {}),
    "loop.warm_start": ("rounds", False, {}),
    "evaluate.tracks": ("evaluates", 3, {}),
    "evaluate.env": ("evaluates", "WorldModels/FastCarRacing-v3", {}),
    "evaluate.translator": ("evaluates", "nowhere", {}),
    "evaluate.colours": ("evaluates", True, {}),
    "evaluate.agent": ("evaluates", "nowhere:driver", {}),
    "evaluate.baseline": ("evaluates", True, {}),
    "accuracy.controllers": ("agrees", 4, CONTROLLERS),
    "accuracy.histories": ("agrees", [OTHER], CONTROLLERS),
    "accuracy.controller_tracks": ("agrees", 3, CONTROLLERS),
    "accuracy.controller_dreams": ("agrees", 3, CONTROLLERS),
    "executor.type": ("opens", "serial", RAY),
    "executor.workers": ("opens", 2, RAY),
    "executor.address": ("opens", "10.0.0.1:6379", RAY),
    "executor.envs": ("begins", 2, {}),
    "executor.item_timeout": ("waits", 7.0, RAY),
}
"""Of each field: what is compared, another value, and what else is set so that the field matters."""
CHECKS |= {f"vision.fit.{name}": ("sees", value, {"vision.fit.warmup": 1}) for name, value in FIT.items()}
CHECKS |= {
    f"memory.fit.{name}": ("remembers", "cosine" if name == "schedule" else value, {}) for name, value in FIT.items()
}
REFUSED = (
    "device", "env.wrappers", "vision.options.image_size", "vision.options.channels", "memory.options.latent",
    "memory.options.action", "memory.options.reward_target", "evaluate.env",
    "evaluate.translator", "evaluate.colours", "evaluate.agent",
)  # fmt: skip
"""What is refused by name: it follows from other parts, or is not there."""


def missing(config):
    """The fields without a check, and the checks without a field."""
    return set(names(config)) ^ set(CHECKS)


def test_every_field_has_a_check():
    assert missing(RunConfig()) == set()
    assert set(REFUSED) < set(CHECKS)


@pytest.mark.parametrize("section", ["loop", "dream", "executor"])
def test_a_field_without_a_check_is_found(section):
    kind = type(getattr(RunConfig(), section))
    planted = dataclasses.make_dataclass(kind.__name__, [("fake", int, 3)], bases=(kind,), frozen=True)
    assert missing(dataclasses.replace(RunConfig(), **{section: planted()})) == {f"{section}.fake"}


@pytest.fixture(scope="module")
def measured(_trained, tmp_path_factory):
    """What a probe finds, measured once for each configuration: `measured(probe, config)`."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        probes = Probes(_trained, tmp_path_factory.mktemp("fields"), patch)

        def of(probe, config):
            key = (probe, repr(config))
            if key not in found:
                found[key] = getattr(probes, probe)(config)
            return found[key]

        of.probes, of.known = probes, set()
        yield of


def placed(value, probes):
    """A value with the folders that it names."""
    if isinstance(value, dict):
        return {key: placed(inner, probes) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, probes) for inner in value]
    if value in (AGENT, OTHER):
        return probes.agent(value)
    return probes.places.get(value, value) if isinstance(value, str) else value


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_a_changed_field_acts_or_is_refused(name, measured):
    probe, value, context = CHECKS[name]
    whole = looped_config if name.startswith("loop.") else small_config
    base = config_from(nested(placed(context, measured.probes)), config_from(TINY, whole()))
    before = measured(probe, base)
    if probe not in measured.known:  # what is compared does not vary by itself
        measured.known.add(probe)
        assert before == getattr(measured.probes, probe)(base)
    changed = nested({name: placed(value, measured.probes)})
    if name in REFUSED:
        with pytest.raises((RunError, ValueError), match=name.rpartition(".")[2]):
            measured(probe, config_from(changed, base))
    else:
        after = measured(probe, config_from(changed, base))
        assert after != before
