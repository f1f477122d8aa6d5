from dataclasses import dataclass, field

import pytest
import torch
from safetensors.torch import load_file, save_file

from generative import MODELS, ComponentError, config_from_mapping, config_to_mapping, save_component
from generative.runs.run_reference import RunReference, references, run_fields, with_pinned_runs


@dataclass(frozen=True)
class Naming:
    """A config that names runs."""

    tokeniser: RunReference
    features: RunReference = field(default_factory=RunReference)
    size: int = 3


@pytest.fixture
def run(tmp_path):
    module = MODELS.create("vae", {"image_size": 16, "channels": 1, "latent": 2, "width": 8}, seed=1)
    save_component(module, tmp_path / "vae" / "model", {})
    return tmp_path / "vae"


def spoiled(run):
    path = run / "model" / "model.safetensors"
    weights = load_file(path)
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, path)


def test_a_config_names_a_run_in_a_word_and_keeps_where_it_lies_and_what_it_is(run, monkeypatch):
    monkeypatch.chdir(run.parent)
    config = config_from_mapping(Naming, {"tokeniser": "vae"})
    assert run_fields(Naming) == ["tokeniser", "features"] and not config.features
    assert [name for name, _ in references(config)] == ["tokeniser"]
    pinned = with_pinned_runs(config)
    assert pinned.tokeniser.path == str(run) and len(pinned.tokeniser.sha256) == 64
    assert config_from_mapping(Naming, config_to_mapping(pinned)) == pinned == with_pinned_runs(pinned)


def test_its_model_is_frozen_and_is_the_one_that_was_saved(run):
    module = RunReference(str(run)).pinned().component(MODELS)
    assert not module.training and not any(each.requires_grad for each in module.parameters())
    saved = load_file(run / "model" / "model.safetensors")
    assert all(torch.equal(saved[name], each) for name, each in module.state_dict().items())
    inner = RunReference(str(run / "model")).pinned()  # a component's own folder does as well
    assert inner.sha256 == RunReference(str(run)).pinned().sha256


def test_a_run_that_changed_or_is_gone_is_refused_with_the_difference_and_the_remedy(run):
    reference = RunReference(str(run)).pinned()
    reference.check()
    spoiled(run)
    with pytest.raises(ComponentError, match=rf"sha256 was {reference.sha256[:12]}\.\.\., is .*start a new run with"):
        reference.check()
    with pytest.raises(ComponentError, match="other weights than when it was named"):
        reference.component(MODELS)
    assert reference.pinned() == reference  # what is pinned stays so
    (run / "model" / "model.safetensors").unlink()
    with pytest.raises(ComponentError, match="no trained model in it; train that run first"):
        reference.check()
    with pytest.raises(ComponentError, match=f"tokeniser={run}: no trained model"):
        with_pinned_runs(Naming(RunReference(str(run))))
    with pytest.raises(ValueError, match="sha256=abc: of no run"):
        RunReference("", "abc")
