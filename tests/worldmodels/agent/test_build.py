import pytest
from torch import nn

from agents import ActionSpec
from generative import LatentSpec
from tests.small import small_config
from worldmodels import RunError
from worldmodels.agent.build import check_config, check_parts, new_memory
from worldmodels.memories import MDNRNN

SPEC = ActionSpec(2, (-1.0, -1.0), (1.0, 1.0), ("tanh", "tanh"), False)


def unused(self, *arguments):
    raise NotImplementedError


class Vision(nn.Module):
    encode = loss = diagnose = unused

    def __init__(self, kind="continuous"):
        super().__init__()
        self.latent_spec = LatentSpec(kind, 8)


class Opaque(nn.Module):
    """A memory that does what it must and no more."""

    config = None
    advance = forward_sequence = reward_explained = set_reward_scale = set_event_scale = unused

    def __init__(self, feature_size=4):
        super().__init__()
        self.feature_size = feature_size
        self.inner = MDNRNN(MDNRNN.Config(latent=8, action=2, hidden=4))
        self.initial, self.feature, self.step = self.inner.initial, self.inner.feature, self.inner.step


def parts(**changes):
    config = small_config(**changes)
    return config, Vision(), new_memory(config, 8, SPEC, seed=0), SPEC


def test_parts_that_fit_are_left_alone():
    check_parts(*parts(evolve={"world": "dream"}))
    check_config(small_config())


def test_a_bias_that_does_not_fit_the_actions_is_refused():
    check_config(small_config(controller={"bias": [0.0, 0.0, -1.0]}))
    with pytest.raises(RunError, match=r"controller\.bias=\(0\.0, 1\.0\): .* has 3 outputs"):
        check_config(small_config(controller={"bias": [0.0, 1.0]}))
    with pytest.raises(RunError, match=r"collect\.bias"):
        check_config(small_config(collect={"bias": [0.0, 1.0]}))


@pytest.mark.parametrize("kind", ["discrete", "spatial"])
def test_latents_that_are_no_vector_of_numbers_are_refused(kind):
    config, _, memory, spec = parts()
    with pytest.raises(RunError, match=f"vision.type=vae, memory.type=mdn-rnn: this vision's latent is {kind}, this"):
        check_parts(config, Vision(kind), memory, spec)
    memory.latent_kinds = ("continuous", kind)
    check_parts(config, Vision(kind), memory, spec)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": {"options": {"reward": False}}}, "a memory that predicts no reward; set its option reward: true"),
    ],
)
def test_what_cannot_go_together_is_refused_with_the_reason(changes, message):
    with pytest.raises(RunError, match=message):
        check_parts(*parts(evolve={"world": "dream"}, **changes))


def test_codes_of_a_vision_go_with_a_memory_of_codes():
    check_config(
        small_config(
            vision={"type": "vq-vae", "options": {"codes": 32}}, memory={"type": "gpt", "options": {"codes": 32}}
        )
    )
    with pytest.raises(
        RunError, match=r"vision\.type=vae, memory\.type=gpt: this memory reads codes, and Vision has none"
    ):
        check_parts(*parts(memory={"type": "gpt"}))


def test_a_dream_is_only_asked_of_a_memory_that_dreams():
    check_parts(*parts(memory={"options": {"reward": False}}))  # evolve.world=real
    ensemble = {"type": "ensemble", "options": {"members": 2, "options": {"hidden": 32}}}
    check_parts(*parts(evolve={"world": "dream"}, memory=ensemble))


def test_a_memory_of_another_size_is_refused():
    config, vision, _, spec = parts()
    with pytest.raises(RunError, match="cannot take a step with latents of 8 and actions of 2 numbers"):
        check_parts(config, vision, new_memory(config, 9, SPEC, seed=0), spec)

    with pytest.raises(RunError, match=r"has features \(2, 4\) for 2 rows; wanted are .* \(2, 3\)"):
        check_parts(config, vision, Opaque(feature_size=3), spec)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision": {"options": {"image_size": 48}}}, r"vision\.options\.image_size=48: cannot be set.* is 32 here"),
        ({"vision": {"options": {"channels": 1}}}, r"vision\.options\.channels=1: cannot be set.* is 3 here"),
        ({"memory": {"options": {"latent": 9}}}, r"memory\.options\.latent=9: cannot be set.* is 8 here"),
        ({"memory": {"options": {"action": 2}}}, r"memory\.options\.action=2: cannot be set.* is 3 here"),
        ({"memory": {"options": {"reward_target": "raw"}}}, r"memory\.options\.reward_target='raw': cannot be set"),
    ],
)
def test_options_that_follow_from_other_parts_cannot_be_set(changes, message):
    with pytest.raises(RunError, match=message):
        check_config(small_config(**changes))
