import numpy as np
import pytest
import torch

from generative import ComponentError
from generative.data import check_data, load_data
from generative.runs.run_reference import RunReference
from scripts.generative.runs.assembly import open_run
from tests.scripts.generative.small import DIGITS, finished


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("codes") / "vq", "vq-vae", DIGITS)


def codes_of(run, **options):
    return load_data("codes", {"run": {"path": str(run.path)}, **options})


def test_codes_are_those_that_the_model_puts_the_images_on_and_labels_stay(run):
    data = codes_of(run, count=600)
    check_data(data, batch=8, names=("code", "label"))
    module, images = open_run(run)
    spec = module.code_spec
    assert data.item.shape == spec.shape and data.item.sizes == (spec.codes,) and "image" not in data.fields
    assert len(data) == 600 and len(data.held_out()) == 60
    where = np.array([3, 599, 0])
    for part, all_ in ((data, images), (data.held_out(), images.held_out())):
        where = where % len(part)
        seen = all_.tensor("image", where)
        assert torch.equal(part.tensor("code", where), module.codes(seen))
        assert (part.get("label", where) == all_.get("label", where)).all()
        back = torch.from_numpy(part.draw(part.get("code", where))).permute(0, 3, 1, 2) / 255
        torch.testing.assert_close(back, module.reconstruct(seen).clamp(0, 1), atol=1 / 255, rtol=0)


def test_codes_do_not_depend_on_what_was_asked_for_first(run):
    first, second = codes_of(run), codes_of(run)
    some, every = np.array([700, 5]), np.arange(len(first))
    early = first.get("code", some)
    assert (first.get("code", every) == second.get("code", every)).all()
    assert (early == second.get("code", some)).all()


def test_a_run_whose_model_has_no_codes_or_that_changed_is_refused(run, tmp_path):
    other = finished(tmp_path / "vae", "vae")
    with pytest.raises(ComponentError, match=r"vae cannot `codes`.*models that can: vq-vae"):
        codes_of(other)
    named = {"path": str(run.path), "sha256": "0" * 64}
    with pytest.raises(ComponentError, match="other weights than when it was named"):
        load_data("codes", {"run": named})
    weights = RunReference(str(run.path)).pinned().sha256
    assert codes_of(run).origin.files["weights"] == weights
