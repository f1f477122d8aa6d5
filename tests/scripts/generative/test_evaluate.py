import dataclasses

import numpy as np
import pytest
import torch

from generative import MODELS
from generative.core.run_folder import TrainingRun
from generative.data import load_data
from generative.metrics import pixels
from generative.sampling.dials import PriorSampling
from scripts.generative import pictures, sample
from scripts.generative.assembly import open_run
from scripts.generative.evaluate import EvaluateOptions, Remembering, beats, evaluate, figures, independent_pixels
from scripts.generative.items import codes
from scripts.generative.verdicts import verdicts
from tests.scripts.generative.small import AVATARS, GRID, RING, config, finished


def test_pixels_by_themselves_are_right_and_together_are_not():
    data = load_data("digits", {"size": 16})
    images = torch.from_numpy(data.get("image", np.arange(1500))).permute(0, 3, 1, 2) / 255
    mixed = independent_pixels(images, 1500, 0)
    torch.testing.assert_close(mixed.mean(0), images.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(mixed.std(0), images.std(0), atol=0.06, rtol=0)

    def neighbours(batch):
        left, right = batch[..., 8, 7].flatten(), batch[..., 8, 8].flatten()
        return float(torch.corrcoef(torch.stack([left, right]))[0, 1])

    assert neighbours(images) > 0.7 and abs(neighbours(mixed)) < 0.1


def test_a_model_of_linear_data_beats_independent_pixels_and_its_figures_have_a_scale(tmp_path):
    run = finished(tmp_path / "run", "pca")
    module, data = open_run(run)
    facts = evaluate(run, module, data, EvaluateOptions(samples=100))
    found = {row["name"]: row for row in facts["figures"]}
    assert facts["headline"]["name"] == "FD[random-convolutions]" and facts["beats_baseline"] is True
    assert found["MSE"]["value"] < found["MSE"]["baseline_value"]
    assert found["linear-probe"]["value"] > found["linear-probe"]["baseline_value"] + 0.1
    assert found["linear-probe"]["reference"] > 0.85
    assert run.facts("evaluation")["figures"] == facts["figures"]


def test_a_model_that_learned_nothing_does_not_beat_its_baseline(tmp_path):
    module = MODELS.create("pca", config("pca").model.options).eval()
    data = load_data("shapes", {"size": 16, "channels": 1, "count": 400})
    found = {figure.name: figure for figure in figures(module, data, EvaluateOptions(samples=100))}
    assert not beats(vars(found["MSE"]))


def test_a_classifier_is_measured_by_its_accuracy(tmp_path):
    module, data = open_run(finished(tmp_path / "run", "mlp-classifier"))
    (found,) = figures(module, data, EvaluateOptions(samples=2000))
    held = data.held_out()
    places = np.arange(len(held))
    said = module(torch.from_numpy(held.get("image", places)).permute(0, 3, 1, 2) / 255).argmax(1).numpy()
    assert found.value == pytest.approx((said == held.get("label", places)).mean())
    assert found.baseline_value == pytest.approx(np.bincount(held.get("label", places)).max() / len(held))


def test_counted_pixels_are_measured_in_bits(tmp_path):
    module, data = open_run(finished(tmp_path / "run", "naive-bayes"))
    found = {figure.name: figure for figure in figures(module, data, EvaluateOptions(samples=100))}
    bits = found["bits per number"]
    assert 0 < bits.reference <= bits.value + 0.1 and bits.value < bits.baseline_value
    assert bits.baseline_value == pytest.approx(np.log2(module.config.levels))


def test_rows_are_measured_by_their_likelihood_and_by_what_goes_together(tmp_path):
    found = {}
    for model in ("multinomial", "naive-bayes"):
        run = finished(tmp_path / model, model, AVATARS)
        module, data = open_run(run)
        facts = evaluate(run, module, data, EvaluateOptions(samples=200))
        assert facts["headline"]["name"] == "bits per number" and facts["verdicts"] == []
        found[model] = {row["name"]: row for row in facts["figures"]}
    bits, pairs = (found["naive-bayes"][name] for name in ("bits per number", "pair distance"))
    held = data.held_out()
    truth = -data.log_prob(held.get("row", np.arange(200))).mean() / 6 / np.log(2)
    assert bits["reference"] == pytest.approx(truth) and bits["reference"] < bits["value"] < bits["baseline_value"]
    assert bits["baseline_value"] == pytest.approx(np.log2(data.item.sizes).mean())
    assert pairs["reference"] < pairs["baseline_value"]
    counted = found["multinomial"]["pair distance"]
    assert counted["value"] < pairs["value"]  # which takes features as independent


def test_what_rows_describe_is_drawn(tmp_path):
    run = finished(tmp_path / "run", "multinomial", shown=16)
    assert list((run.path / "samples").glob("*.png"))
    (line,) = sample.main(run, sample.SampleOptions(count=4))
    assert "4 samples" in line and (run.path / "samples" / "drawn.png").is_file()
    module, data = open_run(run)
    blind = dataclasses.replace(data, draw=None)
    assert pictures.shown(module, blind, 4, 0) is None


def test_a_density_over_points_is_measured_against_the_true_one(tmp_path):
    run = finished(tmp_path / "run", "toy-distribution", GRID)
    module, data = open_run(run)
    facts = evaluate(run, module, data, EvaluateOptions(samples=200))
    nats = facts["headline"]
    assert nats["name"] == "nats per point" and facts["beats_baseline"]
    held = data.held_out().get("point", np.arange(200))
    sides = module.high - module.low
    assert nats["value"] == pytest.approx(float(sides.log().sum()), rel=1e-5)
    assert nats["reference"] < nats["value"] < nats["baseline_value"] and nats["reference"] == pytest.approx(
        -data.log_prob(held).mean(), abs=0.3
    )


def test_points_are_measured_by_the_modes_they_cover(tmp_path):
    run = finished(tmp_path / "run", "dcgan", RING)
    module, data = open_run(run)

    class Perfect(torch.nn.Module):
        config = module.config
        type_name = "perfect"
        inputs = ("point",)
        Sampling = PriorSampling

        def sample(self, n, sampling, generator):
            return torch.from_numpy(data.get("point", np.arange(n)))

    class Collapsed(Perfect):
        def sample(self, n, sampling, generator):
            return torch.from_numpy(data.modes.centres[:1]).expand(n, -1) + 0.01 * torch.randn(
                n, 2, generator=generator
            )

    perfect, collapsed = (
        {figure.name: figure.value for figure in figures(model(), data, EvaluateOptions(samples=200))}
        for model in (Perfect, Collapsed)
    )
    assert perfect["modes covered"] == 8 and perfect["coverage[points]"] > 0.9
    assert collapsed["modes covered"] == 1 and collapsed["coverage[points]"] < 0.3
    assert "mode collapse" in {each.problem for each in verdicts(run, Collapsed(), data, 200, 0)}


def test_remembered_features_are_the_same_and_are_not_computed_again():
    calls = []

    def function(images):
        calls.append(len(images))
        return images.flatten(1)

    plain = pixels()
    seen = Remembering.of(type(plain)("spy", plain.hash, function), images := torch.rand(5, 1, 4, 4))
    assert calls == [5]
    assert torch.equal(seen(images), plain(images)) and calls == [5]
    other = torch.rand(3, 1, 4, 4)
    assert torch.equal(seen(other), plain(other)) and calls == [5, 3]
    assert seen.label.endswith(plain.hash[:12])


def test_a_collapsed_posterior_is_found_in_the_history_of_a_run(tmp_path):
    run = finished(tmp_path / "run")
    module, data = open_run(run)
    for row in run.history():
        run.log({**row, "kl": 0.001})
    assert "posterior collapse" in {each.problem for each in verdicts(TrainingRun(run.path), module, data, 40, 0)}


def test_latents_are_codes_of_held_out_images_or_draws_of_the_prior(tmp_path):
    module, data = open_run(finished(tmp_path / "vae"))
    held = data.held_out()
    images = torch.from_numpy(held.get("image", np.arange(len(held)))).permute(0, 3, 1, 2) / 255
    known = module.encode(images)[0]
    distance = torch.cdist(codes(module, data, 5, 0).values, known).amin(1)
    assert distance.max() < 1e-4
    module, data = open_run(finished(tmp_path / "gan", "conditional-gan"))
    drawn = codes(module, data, 400, 0)
    assert drawn.values.shape == (len(drawn.values), 4) and abs(float(drawn.values.std()) - 1) < 0.1
    assert len(drawn.condition[0]) == len(drawn.values) and drawn.condition[0].max() == 9
