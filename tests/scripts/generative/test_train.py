import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from generative import MODELS as REGISTRY
from generative import ComponentError, Estimates, load_component
from generative.capabilities import draw
from generative.data import two_domains
from generative.runs.run_folder import Choice, TrainingConfig, TrainingRun
from generative.training.variants import Phase
from scripts.generative.data.data_sets import load
from scripts.generative.runs.assembly import build, open_run
from scripts.generative.runs.items import places, stream, training_batches
from scripts.generative.train import HELD_OUT, _fit, train
from tests.scripts.generative.small import DIGITS, MODELS, RING, config, finished


def picture(path):
    return cv2.imread(str(path))


TEXTS = ("lstm", "gpt-2", "encoder-decoder", "transformer", "question-generator", "bert")
"""Models whose samples are texts."""


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_training_leaves_a_model_its_figures_and_what_it_made(model, tmp_path):
    run = finished(tmp_path / "run", model)
    facts = run.require_trained()
    loaded = load_component(run.model, REGISTRY)
    trained = any(each.requires_grad for each in loaded.parameters())
    assert facts["steps"] == (8 if trained else 0) and facts["seconds"] > 0
    assert [row["step"] for row in run.history()] == ([*range(1, 9)] if trained else [])
    if trained and hasattr(loaded, "loss"):
        assert all(row["held_out_loss"] > 0 for row in run.history())
    kind = "txt" if model in TEXTS else "png"
    grids = [int(path.stem) for path in sorted((run.path / "samples").glob(f"*.{kind}"))]
    if model == "random-convolutions":
        assert grids == []
    else:
        assert grids == ([0, 4, 8] if trained else [0])
        last = run.path / "samples" / f"{grids[-1]:08d}.{kind}"
        assert len(set(last.read_text())) > 2 if model in TEXTS else picture(last).std() > 1


@pytest.mark.slow
def test_a_tracker_gets_the_figures_or_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    run = finished(tmp_path / "run", "vae")
    shown = EventAccumulator(str(run.path / "tensorboard"))
    shown.Reload()
    assert [event.step for event in shown.Scalars("train/loss")] == [*range(1, 9)]
    monkeypatch.setitem(sys.modules, "wandb", None)
    refused = TrainingRun.create(tmp_path / "refused", config(tracker="wandb"))
    with pytest.raises(ComponentError, match="pip install wandb"):
        next(train(refused))
    assert not refused.history() and not refused.spent()


@pytest.mark.slow
def test_what_no_gradient_finds_is_estimated_at_the_end(tmp_path):
    for model in ("pca", "autoencoder", "vq-vae"):
        run = finished(tmp_path / model, model)
        module, data = open_run(run)
        fresh = build(run.config, data)
        assert isinstance(module, Estimates)
        own = {"pca": "mean", "autoencoder": "scale.scale", "vq-vae": "scale.scale"}[model]
        assert not torch.equal(module.state_dict()[own], fresh.state_dict()[own])
    module, _ = open_run(TrainingRun(tmp_path / "autoencoder"))
    assert module.density.fitted and draw(module, 2, torch.Generator().manual_seed(0)).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "dcgan"])
def test_a_training_taken_up_ends_as_one_that_was_never_stopped(model, tmp_path):
    whole = finished(tmp_path / "whole", model)
    broken = TrainingRun.create(tmp_path / "broken", config(model))
    stream = train(broken)
    for state in stream:
        if state.done >= 4:
            stream.close()
            break
    assert broken.facts() is None and len(list((broken.model / "checkpoints").iterdir())) == 2
    resumed = TrainingRun.create(tmp_path / "broken", config(model))
    assert next(train(resumed)).done == 4  # the newest checkpoint is of step 3, the row of step 4 comes again
    for _ in train(resumed):
        pass
    assert (resumed.model / "model.safetensors").read_bytes() == (whole.model / "model.safetensors").read_bytes()
    ours, theirs = (
        [{key: value for key, value in row.items() if key != "samples_per_second"} for row in run.history()]
        for run in (resumed, whole)
    )
    assert ours == theirs
    assert len(list(resumed.path.glob("samples/*.png"))) == len(list(whole.path.glob("samples/*.png")))


def test_a_finished_training_is_not_done_again_and_a_longer_one_goes_on(tmp_path):
    run = finished(tmp_path / "run")
    before = (run.model / "model.safetensors").stat().st_mtime_ns
    finished(tmp_path / "run")
    assert (run.model / "model.safetensors").stat().st_mtime_ns == before
    longer = config(fit=type(run.config.fit)(steps=10))
    run = TrainingRun.create(tmp_path / "run", longer)
    assert [state.done for state in train(run)] == [9, 10, 10]
    assert run.require_trained()["steps"] == 10


@pytest.mark.slow
def test_the_seed_decides_weights_order_and_noise(tmp_path):
    weights = [
        (finished(tmp_path / name, seed=seed).model / "model.safetensors").read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_the_seed_decides_the_order_of_the_data(monkeypatch):
    data, asked = load(DIGITS), []

    def firsts(seed: int) -> torch.Tensor:
        wanted = config("vae", DIGITS, seed=seed)
        return next(training_batches(build(wanted, data), data, wanted)(0))

    assert torch.equal(firsts(1), firsts(1)) and not torch.equal(firsts(1), firsts(2))
    monkeypatch.setattr("scripts.generative.train.training_batches", lambda *given: asked.append(given) or iter)
    monkeypatch.setattr("scripts.generative.train.fit", lambda *given, **options: asked.append(options["seed"]) or [])
    run = SimpleNamespace(config=config("vae", DIGITS, seed=7), model=Path())
    assert list(_fit(run, build(run.config, data), data, None)) == []
    assert asked[0][2].seed == asked[1] == 7


def test_each_phase_has_its_own_order_batch_and_resolution():
    data, wanted = load(DIGITS), config("vae", DIGITS)

    class Growing(torch.nn.Module):
        inputs = ("image",)

        def phases(self, fit):
            return [Phase(0, 5, 4), Phase(3, 4, 16)]

    batches = training_batches(Growing(), data, wanted)
    small, large = (next(batches(1, phase)) for phase in Growing().phases(wanted.fit))
    assert small.shape == (5, 4, 4, 1) and large.shape == (4, 16, 16, 1) and small.dtype == torch.uint8
    whole = next(data.batches(5, wanted.seed, stored=True)(1))
    pooled = whole.reshape(5, 4, 4, 4, 4, 1).float().mean((2, 4))
    assert (small.float() - pooled).abs().max() <= 0.5
    assert not torch.equal(next(batches(0, Phase(0, 4, 16))), next(batches(0, Phase(3, 4, 16))))


def test_the_held_out_loss_is_that_of_held_out_items(tmp_path):
    run = finished(tmp_path / "run", "vae")
    module, data = open_run(run)

    @torch.no_grad()
    def loss(part) -> float:
        images = part.tensor("image", places(part, HELD_OUT))
        return float(module.loss(images, torch.Generator().manual_seed(run.config.seed))[0])

    last = list(run.history())[-1]["held_out_loss"]
    assert last == pytest.approx(loss(data.held_out()), rel=1e-5)
    assert last != pytest.approx(loss(data), rel=1e-3)


def test_the_data_decide_what_the_options_leave_open(tmp_path):
    options = config("conditional-vae").model.options
    assert (options["image_size"], options["channels"], options["classes"]) == (16, 1, 10)
    points = config("dcgan", RING).model.options
    assert (points["layout"], points["dimensions"]) == ("points", 2)
    run = finished(tmp_path / "ring", "dcgan", RING)
    assert picture(run.path / "samples" / "00000008.png").shape == (385, 385, 3)


@pytest.mark.parametrize(
    ("model", "options", "data", "message"),
    [
        ("vae", {"image_size": 32}, DIGITS, "the data has image_size=16, but the model takes 32"),
        ("vae", {"latnt": 3}, DIGITS, "latnt.*did you mean 'latent'"),
        ("conditional-vae", {"classes": 10}, Choice("arrays", {"path": "frames.npy"}), "needs the field 'label'"),
        ("vea", {}, DIGITS, "did you mean 'vae'"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(model, options, data, message, tmp_path, monkeypatch):
    import numpy as np

    monkeypatch.chdir(tmp_path)
    np.save("frames.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8))
    wrong = TrainingConfig(Choice(model, options), data, batch=16)
    with pytest.raises((ComponentError, ValueError), match=message):
        build(wrong, load(wrong.data))


@pytest.mark.parametrize(("count", "counted"), [(10_000, 90), (50, 50)])
def test_what_is_counted_is_counted_once(count, counted, tmp_path, monkeypatch):
    """Ninety rows are no ten thousand: the share of a combination says how many rows there were."""
    monkeypatch.setitem(MODELS, "multinomial", ({"count": count}, Choice("avatars", {"count": 100})))
    table = open_run(finished(tmp_path / "run", "multinomial"))[0].log_table.double().exp()
    assert float(table.min()) == pytest.approx(1 / (counted + len(table)), rel=1e-5)


def test_batches_come_in_the_order_that_a_model_asks_for():
    text = load(MODELS["lstm"][1])
    first, second = itertools.islice(stream(build(config("lstm"), text), text, 4, 0)(0), 2)
    whole = text.get("tokens", np.arange(len(text)))
    for row, after in zip(first.tolist(), second.tolist(), strict=True):  # each row goes on where it ended
        place = next(number for number, piece in enumerate(whole.tolist()) if piece == row)
        assert after == whole[(place + 1) % len(whole)].tolist()
    pairs = load(MODELS["cycle-gan"][1])
    images, outlines = next(stream(build(config("cycle-gan"), pairs), pairs, 16, 0)(0))
    known = pairs.get("image", np.arange(len(pairs)))
    places = [int((known == image.numpy()).all((1, 2, 3)).argmax()) for image in images]
    assert (pairs.get("outline", np.array(places)) != outlines.numpy()).any((1, 2, 3)).sum() > 12  # hardly any a pair


def test_a_translator_is_built_for_two_domains():
    first, second = (load(Choice("shapes", {"size": 16, "count": 40, "seed": seed})) for seed in (0, 1))
    wanted = TrainingConfig(Choice("cycle-gan", {"width": 4, "critic_width": 4}), Choice("domains"), batch=2)
    assert build(wanted, two_domains("both", first, second)).inputs == ("image", "other")
