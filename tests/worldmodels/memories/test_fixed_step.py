"""Memories keep what their `fixed_step` promises: a training step is the same operations every time."""

import copy
import itertools
from dataclasses import dataclass

import pytest
from torch import nn

from generative.core.component import has_fixed_step
from tests.operations import check_fixed
from tests.worldmodels.memories.batches import ACTION, LATENT
from tests.worldmodels.memories.test_contract import OPTIONS, make, random_steps
from worldmodels.memories.models.ensemble import Ensemble, EnsembleConfig
from worldmodels.memories.models.ensemble_members import MEMBERS
from worldmodels.memories.models.mdn_rnn import MDNRNN, MDNRNNConfig

REGULAR = {"input_noise": 0.1, "dropout": 0.1}
CASES = {name: (name, {}) for name in OPTIONS} | {
    "regularised": ("mdn-rnn", {**OPTIONS["mdn-rnn"], **REGULAR}),
    "rates": ("mdn-rnn", {**OPTIONS["mdn-rnn"], "reward_target": "event-rate"}),
    "without heads": ("lstm", {**OPTIONS["lstm"], "reward": False, "termination": False}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_the_same_operations_and_none_waits(monkeypatch, case):
    name, options = CASES[case]
    memory = make(name, **options)
    assert has_fixed_step(memory)
    check_fixed(monkeypatch, memory, (random_steps(name, seed=seed) for seed in itertools.count()))


def test_an_ensemble_promises_what_all_its_members_do(monkeypatch):
    @dataclass(frozen=True)
    class OtherConfig(MDNRNNConfig):
        pass

    class Other(MDNRNN):
        type_name = "other"
        Config = OtherConfig

    monkeypatch.setattr(MEMBERS, "_catalogue", copy.deepcopy(MEMBERS._catalogue))
    MEMBERS.add("other", Other)
    sizes = {"latent": LATENT, "action": ACTION}
    assert has_fixed_step(Ensemble(EnsembleConfig(members=2, **sizes)))
    other = Ensemble(EnsembleConfig(member="other", members=2, **sizes))
    assert isinstance(other, nn.Module) and not has_fixed_step(other)
