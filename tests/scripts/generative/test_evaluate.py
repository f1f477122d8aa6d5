import dataclasses

import numpy as np
import pytest
import torch

from generative import MODELS, ComponentError
from generative.data import load_data
from generative.metrics.baselines import independent_pixels
from generative.metrics.registry import METRICS
from generative.runs.run_folder import Choice, TrainingRun
from generative.sampling.dials import PriorSampling
from scripts.generative import sample
from scripts.generative.evaluate import EvaluateOptions, evaluate, figures, main
from scripts.generative.figures.looks import look
from scripts.generative.figures.verdicts import verdicts
from scripts.generative.runs import pictures
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import codes
from tests.scripts.generative.small import AVATARS, DIGITS, GRID, MOONS, RING, config, finished


def seen(choice, module, data, samples):
    """Return the figures of a model of images by name, under random convolutions."""
    looks = look(choice, module, data, samples, 0, "random")
    return {each.name: each for each in figures(module, data, EvaluateOptions(samples=samples), looks)}


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


@pytest.mark.slow
def test_a_model_of_linear_data_beats_independent_pixels_and_its_figures_have_a_scale(tmp_path):
    run = finished(tmp_path / "run", "pca")
    module, data = open_run(run)
    facts = evaluate(run, module, data, EvaluateOptions(samples=100, extractor="random"))
    found = {row["name"]: row for row in facts["figures"]}
    fd = found["FD[random-convolutions]"]
    assert facts["headline"] == fd and fd["low"] < fd["reference"] < fd["high"] and fd["standing"] == "worse"
    assert fd["value"] < fd["baselines"]["independent pixels"] and fd["samples"] == 100
    assert found["MSE"]["value"] == pytest.approx(found["MSE"]["baselines"]["6 principal components"], rel=0.1)
    assert found["linear-probe"]["value"] > found["linear-probe"]["baselines"]["shuffled code"] + 0.1
    assert found["linear-probe"]["reference"] > 0.85
    assert run.facts("evaluation")["figures"] == facts["figures"]


@pytest.mark.slow
def test_a_model_that_learned_nothing_does_not_beat_its_baseline(tmp_path):
    module = MODELS.create("pca", config("pca").model.options).eval()
    data = load_data("shapes", {"size": 16, "channels": 1, "count": 400})
    found = seen(config("pca").data, module, data, 100)
    assert not found["MSE"].beats


def test_a_classifier_is_measured_by_its_accuracy(tmp_path):
    run = finished(tmp_path / "run", "mlp-classifier")
    module, data = open_run(run)
    (found,) = seen(run.config.data, module, data, 2000).values()
    held = data.held_out()
    places = np.arange(len(held))
    said = module(torch.from_numpy(held.get("image", places)).permute(0, 3, 1, 2) / 255).argmax(1).numpy()
    assert found.value == pytest.approx((said == held.get("label", places)).mean())
    assert found.strongest == "nearest training image" and found.baselines["commonest class"] == pytest.approx(
        np.bincount(held.get("label", places)).max() / len(held)
    )


@pytest.mark.slow
def test_counted_pixels_are_measured_in_bits(tmp_path):
    run = finished(tmp_path / "run", "naive-bayes")
    module, data = open_run(run)
    bits = seen(run.config.data, module, data, 100)["bits per number"]
    assert 0 < bits.value < bits.baselines["all values alike"] == pytest.approx(np.log2(module.config.levels))
    assert bits.value == pytest.approx(bits.baselines["independent pixels"], rel=0.1)  # which is what it counts
    assert bits.baselines["one Gaussian"] < bits.baselines["independent pixels"]


@pytest.mark.slow
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
    assert bits["baselines"]["all values alike"] == pytest.approx(np.log2(data.item.sizes).mean())
    assert pairs["reference"] < pairs["baseline_value"]
    counted = found["multinomial"]["pair distance"]
    assert counted["value"] < pairs["value"]  # which takes features as independent


@pytest.mark.slow
def test_text_is_measured_in_bits_beside_models_that_count(tmp_path):
    run = finished(tmp_path / "run", "lstm")
    module, data = open_run(run)
    facts = evaluate(run, module, data, EvaluateOptions(samples=200))
    bits = facts["headline"]
    assert bits == facts["figures"][0] and bits["name"] == "bits per token"
    text = torch.from_numpy(data.held_out().get("tokens", np.arange(len(data.held_out()))))
    assert (
        bits["value"] == pytest.approx(module.bits_per_token(text.reshape(1, -1))) and bits["samples"] == text.numel()
    )
    assert set(bits["baselines"]) == {"unigram", "Markov chain", "Kneser-Ney 5-gram"}
    assert bits["beats_baseline"] is False  # after eight steps


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


def test_points_without_modes_are_measured_all_the_same(tmp_path):
    run = finished(tmp_path / "run", "toy-distribution", MOONS)
    module, data = open_run(run)
    facts = evaluate(run, module, data, EvaluateOptions(samples=200))
    assert [each["name"] for each in facts["figures"]] == ["coverage[points]", "nats per point"]
    assert facts["headline"]["reference"] < facts["headline"]["value"] - 1  # a box is not two moons


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
        {figure.name: figure.value for figure in figures(model(), data, EvaluateOptions(samples=200), None)}
        for model in (Perfect, Collapsed)
    )
    assert perfect["modes covered"] == 8 and perfect["coverage[points]"] > 0.9
    assert collapsed["modes covered"] == 1 and collapsed["coverage[points]"] < 0.3
    assert "mode collapse" in {each.problem for each in verdicts(run, Collapsed(), data, 200, 0, None)}


@pytest.mark.slow
def test_metrics_are_chosen_by_name_and_every_one_that_is_listed_can_be_computed(tmp_path):
    run = finished(tmp_path / "run")
    others = ("critic", "answers", "twins", "cycles", "replies", "texts", "rolls")  # of other models, or of a judge
    chosen = tuple(name for name in METRICS.names() if METRICS.find(name).needs not in others and name != "SSIM")
    lines = main(run, EvaluateOptions(samples=100, extractor="random", metrics=chosen))
    found = [row["name"].split("[")[0] for row in run.facts("evaluation")["figures"]]
    assert set(found) == set(chosen) and len(lines) >= len(chosen)
    gan = finished(tmp_path / "gan", "dcgan")
    (line, *_) = main(gan, EvaluateOptions(samples=100, extractor="random", metrics=("lipschitz",)))
    assert line.startswith("lipschitz") and len(gan.facts("evaluation")["figures"]) == 1
    with pytest.raises(ComponentError, match="MSE: needs pairs"):
        main(gan, EvaluateOptions(samples=100, extractor="random", metrics=("MSE",)))
    with pytest.raises(ComponentError, match="did you mean 'MSE'"):
        EvaluateOptions(metrics=("MSF",))


@pytest.mark.slow
def test_images_are_seen_by_the_judge_of_the_data_by_random_convolutions_or_by_a_trained_classifier(tmp_path):
    run = finished(tmp_path / "run", "vae", DIGITS)
    classifier = finished(tmp_path / "classifier", "mlp-classifier")
    names, kept = {}, {}
    for extractor in ("auto", "random", "pixels", str(classifier.model)):
        main(run, EvaluateOptions(samples=100, extractor=extractor))
        found = [row["name"] for row in run.facts("evaluation")["figures"]]
        names[extractor] = [name for name in found if name.startswith("FD")]
        rows = run.facts("evaluation")["figures"]
        kept[extractor] = {row["name"]: row["value"] for row in rows if row["name"].startswith("attributes-kept")}
        assert run.facts("evaluation")["headline"]["name"] == names[extractor][0]
    assert names["auto"] == ["FD[judge-digits]", "FD[random-convolutions]"]
    assert [extractor for extractor, each in kept.items() if each] == ["auto"]
    assert 0 <= kept["auto"]["attributes-kept[judge-digits]"] <= 1
    assert names["random"] == ["FD[random-convolutions]"]
    assert names[str(classifier.model)] == ["FD[classifier-mlp-classifier]", "FD[random-convolutions]"]
    with pytest.raises(ComponentError, match="missing"):
        main(run, EvaluateOptions(samples=100, extractor=str(tmp_path / "nothing")))


@pytest.mark.slow
@pytest.mark.parametrize("off", [0, 3])
def test_a_model_that_is_told_classes_is_measured_by_them(tmp_path, monkeypatch, off):
    module, data = open_run(finished(tmp_path / "run", "conditional-gan", DIGITS))
    labels = data.get("label", np.arange(len(data)))

    def of_class(n, sampling, generator):
        rows = [np.flatnonzero(labels == (each + off) % 10)[each // 10] for each in range(n)]
        return data.tensor("image", np.array(rows))

    monkeypatch.setattr(module, "sample", of_class)
    looks = look(Choice("digits", {"size": 16}), module, data, 200, 0)
    found = {each.name: each for each in figures(module, data, EvaluateOptions(samples=200), looks)}
    figure = found["class asked for[judge-digits]"]
    assert figure.reference > 0.6  # a judge of few steps
    assert (figure.value < 0.2) if off else figure.value == pytest.approx(figure.reference, abs=0.1)
    assert figure.baselines == {"any class": 0.1} and figure.better == "higher"


@pytest.mark.slow
def test_copies_of_any_part_of_the_training_set_are_found(tmp_path):
    run = finished(tmp_path / "run", "dcgan", Choice("shapes", {"size": 16, "channels": 1, "count": 3000}))
    module, data = open_run(run)
    last = data.tensor("image", np.arange(len(data) - 150, len(data)))

    class Copies(torch.nn.Module):
        config = module.config
        type_name = "copies"
        inputs = ("image",)
        Sampling = module.Sampling

        def sample(self, n, sampling, generator):
            return last[torch.arange(n) % len(last)]

    looks = look(run.config.data, Copies(), data, 100, 0, "random")
    found = {figure.name: figure for figure in figures(Copies(), data, EvaluateOptions(samples=100), looks)}
    assert found["memorisation[pixels-8]"].value == 1 and found["memorisation[pixels-8]"].standing == "worse"
    assert "memorisation" in {each.problem for each in verdicts(run, Copies(), data, 100, 0, looks)}


def test_a_collapsed_posterior_is_found_in_the_history_of_a_run(tmp_path):
    run = finished(tmp_path / "run")
    module, data = open_run(run)
    for row in run.history():
        run.log({**row, "kl": 0.001})
    looks = look(run.config.data, module, data, 40, 0, "random")
    found = verdicts(TrainingRun(run.path), module, data, 40, 0, looks)
    (collapse,) = (each for each in found if each.problem == "posterior collapse")
    assert "beta" in collapse.remedy and "kl_floor" in collapse.remedy


@pytest.mark.slow
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
