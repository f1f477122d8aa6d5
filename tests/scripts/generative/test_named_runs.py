"""Runs that name runs: a start to fine-tune from, and a prior over another run's codes."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from generative.runs.run_folder import TrainingRun
from scripts.generative.cli import main
from scripts.generative.figures.looks import look
from scripts.generative.runs.assembly import open_run
from tests.scripts.generative.small import DIGITS, SHAPES, finished

SHORT = ["--fit.steps", "4", "--batch", "16", "--shown", "16", "--show-every", "9", "--device", "cpu"]
SHAPES_WORDS = [word for name, value in SHAPES.options.items() for word in (f"--data.{name}", str(value))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs of each model, of other seeds."""
    folder = tmp_path_factory.mktemp("trained")
    for seed in (0, 1):
        finished(folder / f"vae-{seed}", "vae", seed=seed)
        finished(folder / f"vq-{seed}", "vq-vae", DIGITS, seed=seed)
    return folder


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    """The working directory, in which `vae` and `vq` are trained."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "generative"
    for name in ("vae", "vq"):
        shutil.copytree(trained / f"{name}-0", folder / name)
    return folder


def weights(run):
    return load_file(run / "model" / "model.safetensors")


def tuned(*more):
    words = ["--data", "shapes", *SHAPES_WORDS, "--start", "vae", "--out", "tuned", *SHORT]
    return main(["train", "vae", *words, "--fit.learning_rate", "1e-9", *more])


@pytest.mark.slow
def test_a_training_starts_with_the_weights_of_another_run_and_its_options(runs, capsys):
    assert tuned() == 0
    said = capsys.readouterr().out
    old, new = weights(runs / "vae"), weights(runs / "tuned")
    assert f"start: {len(old)} of {len(old)} tensors taken over" in said
    assert TrainingRun(runs / "tuned").config.model == TrainingRun(runs / "vae").config.model  # not the preset's sizes
    for name, tensor in old.items():
        torch.testing.assert_close(new[name], tensor, atol=1e-6, rtol=0)
    run = TrainingRun(runs / "tuned")
    begun = run.facts("start")
    assert begun["path"] == str(runs / "vae") and begun["sha256"] == run.config.start.sha256
    assert "tensors taken over" in (run.path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_what_is_not_taken_over_is_said(runs, capsys):
    assert tuned("--model.latent", "3") == 0
    said = capsys.readouterr().out
    assert "start: left as they were drawn: " in said and "tensors taken over" in said
    assert main(["train", "lstm", "--data", "text", "--data.path", __file__, "--start", "vae", *SHORT]) == 1
    assert "start: none of its weights fits" in capsys.readouterr().err
    assert main(["train", "pca", "--start", "vae"]) == 1
    assert "start" in capsys.readouterr().err and not (runs / "pca").exists()


@pytest.mark.slow
def test_tokens_that_mean_something_else_are_said(runs, tmp_path, capsys):
    for name, letters in (("first", "abcdef"), ("second", "ghijkl")):
        drawn = np.random.default_rng(0).choice(list(letters), 3000)
        (tmp_path / f"{name}.txt").write_text("".join(drawn))
    words = ["--data", "text", "--data.length", "16", "--model.hidden", "8", *SHORT]
    assert main(["train", "lstm", *words, "--data.path", "first.txt", "--out", "first"]) == 0
    assert main(["train", "lstm", *words, "--data.path", "second.txt", "--out", "second", "--start", "first"]) == 0
    assert "start: other meanings: tokens, whose numbers stand for 6 ('g', 'h', 'i', ...)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_training_goes_on_only_with_the_start_it_had(runs, trained, capsys):
    assert tuned() == 0
    (runs / "tuned" / "trained.json").unlink()  # as if it had been killed before its end
    shutil.rmtree(runs / "vae")
    assert main(["train", "--out", "tuned"]) == 1
    assert "no trained model in it; train that run first" in capsys.readouterr().err
    shutil.copytree(trained / "vae-1", runs / "vae")
    assert main(["train", "--out", "tuned"]) == 1
    error = capsys.readouterr().err
    assert "has other weights than when it was named (sha256 was" in error and "start a new run with --out" in error
    assert tuned() == 1
    assert "start.sha256 was" in capsys.readouterr().err


@pytest.mark.slow
def test_a_prior_over_the_codes_of_a_run_draws_its_images(runs, capsys):
    words = ["--data", "codes", "--data.run", "vq", "--data.count", "300", "--model.width", "8", "--model.layers", "2"]
    assert main(["train", "pixel-cnn", *words, "--model.conditional", "True", "--out", "prior", *SHORT]) == 0
    run = TrainingRun(runs / "prior")
    named = run.config.data.options["run"]
    assert named["path"] == str(runs / "vq") and len(named["sha256"]) == 64
    assert main(["sample", "prior", "--count", "16", "--labels", "3"]) == 0
    assert (run.path / "samples" / "drawn.png").is_file()
    module, data = open_run(run)
    looks = look(run.config.data, module, data, 100, 0, "random")
    vq = open_run(TrainingRun(runs / "vq"))[0]
    drawn = module.sample(looks.count, module.Sampling(), torch.Generator().manual_seed(0))
    torch.testing.assert_close(looks.made, vq.decode_codes(drawn).clamp(0, 1), atol=1 / 255, rtol=0)
    assert looks.real.shape == looks.made.shape == looks.made_for_nothing["each code by itself"].shape
    capsys.readouterr()
    assert main(["evaluate", "prior", "--samples", "100", "--extractor", "random"]) == 0
    figures = {row["name"]: row for row in json.loads((run.path / "evaluation.json").read_text())["figures"]}
    assert (
        figures["bits per code"]["baseline"] == "each position by itself"
        and figures["FD[random-convolutions]"]["value"] > 0
    )


@pytest.mark.slow
def test_the_run_of_a_prior_may_move_but_not_change(runs, trained, capsys):
    words = ["--data", "codes", "--data.run", "vq", "--data.count", "300", "--model.width", "8", "--model.layers", "2"]
    assert main(["train", "pixel-cnn", *words, "--out", "prior", *SHORT]) == 0
    shutil.move(runs / "vq", runs / "moved")
    assert main(["sample", "prior"]) == 1
    assert "--data.run NEW" in capsys.readouterr().err
    assert main(["train", "--out", "prior", "--data.run", "moved"]) == 0
    assert main(["sample", "prior"]) == 0
    shutil.copytree(trained / "vq-1", runs / "vq")
    capsys.readouterr()
    assert main(["train", "--out", "prior", "--data.run", "vq"]) == 1
    assert "has other weights than when it was named" in capsys.readouterr().err
