"""On a GPU a replayed training is the plain one. Needs a CUDA device."""

import itertools
import sys
from pathlib import Path

import pytest
import torch

from generative import FitConfig, TrainingDiverged, fit, to_float
from generative.hardware.cuda_graphs import WARM_UP, Replayed
from generative.training.parts import batches_per_step
from generative.training.training_step import TrainingStep
from tests.generative.small_models import batch, make
from tests.generative.training.test_parts import MAKERS, Plane, PlaneConfig
from tests.generative.training.test_parts import batches as points
from tests.generative.training.test_variants import Growing, images
from tests.worldmodels.memories.batches import random_batch
from tests.worldmodels.memories.test_contract import make as make_memory

pytestmark = pytest.mark.gpu
STEPS = 20
CONFIG = FitConfig(steps=STEPS, learning_rate=1e-3, gradient_clip=10.0)
MAKE = {
    "vae": lambda: make("vae"),
    "vq-vae": lambda: make("vq-vae"),
    "cnn-classifier": lambda: make("cnn-classifier"),
    "wgan-gp": lambda: make("wgan-gp"),
    "dcgan": lambda: make("dcgan"),
    "pixel-cnn": lambda: make("pixel-cnn"),
    "cycle-gan": lambda: make("cycle-gan"),
    "lstm": lambda: make("lstm"),
    "real-nvp": lambda: make("real-nvp"),
    "energy": lambda: make("energy"),
    "diffusion": lambda: make("diffusion classes"),
    "flow-matching": lambda: make("flow-matching"),
    "mdn-rnn": lambda: make_memory("mdn-rnn", input_noise=0.1, dropout=0.1),
    "transformer": lambda: make_memory("transformer"),
    "ensemble": lambda: make_memory("ensemble"),
}


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):
    """Adam turns the smallest difference of a small gradient into one of the size of its rate."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


class Plain(TrainingStep):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.replays = False


def stream(module):
    remembers = hasattr(module, "advance")
    return lambda start: (
        random_batch(seed=step) if remembers else batch(module, 16, step) for step in itertools.count(start)
    )


def first(module) -> list:
    """The batches of the first step."""
    return list(itertools.islice(stream(module)(0), batches_per_step(module)))


def train(name, *, batches=None, config=CONFIG, log_every=STEPS, **options):
    module = MAKE[name]()
    rows = list(fit(module, batches or stream(module), config, seed=3, device="cuda", log_every=log_every, **options))
    return module, rows


@pytest.fixture
def recorded(monkeypatch):
    """Every recording that was made, in order."""
    made, record = [], Replayed._record
    monkeypatch.setattr(Replayed, "_record", lambda self: made.append(self) or record(self))
    return made


@pytest.fixture
def plain(monkeypatch):
    """Trains without recordings."""

    def run(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["generative.training.fit"], "TrainingStep", Plain)
            return train(*arguments, **options)

    return run


def close(one, other, tolerance=5e-3):
    """Compare all weights at once: the bias of a layer before a normalisation moves by rounding alone."""
    mine, theirs = (
        torch.cat([value.double().flatten() for value in each.state_dict().values()]) for each in (one, other)
    )
    assert float((mine - theirs).norm() / theirs.norm()) < tolerance


@pytest.mark.parametrize("name", MAKE)
def test_replayed_steps_are_plain_ones(name, plain, recorded):
    expected, rows = plain(name)
    assert not recorded
    found, same = train(name)
    assert len(recorded) == 1 and not recorded[0]._failed
    close(found, expected)
    assert rows[0].keys() == same[0].keys()
    for figure in rows[0].keys() - {"samples_per_second"}:
        assert same[0][figure] == pytest.approx(rows[0][figure], rel=1e-3, abs=1e-3), figure


def test_in_bfloat16_too(plain, recorded):
    config = FitConfig(steps=STEPS, precision="bfloat16")
    expected, _ = plain("vae", config=config)
    found, _ = train("vae", config=config)
    assert len(recorded) == 1 and not recorded[0]._failed
    close(found, expected, 2e-2)


@pytest.mark.parametrize("name", ["vae", "cnn-classifier", "mdn-rnn", "wgan-gp"])
def test_the_noise_of_a_step_is_the_same_in_a_replay(name):
    """With a vanishing rate the losses of one batch differ by noise alone; a step is repeated with each seed."""
    module = MAKE[name]().cuda()
    step = TrainingStep(module, FitConfig(learning_rate=1e-30), torch.device("cuda"))
    taken = first(module)
    replayed = {seed: step(0, seed, taken)[1].clone() for _ in range(WARM_UP + 1) for seed in (1, 2, 3)}
    step.replays = False
    for seed, figures in replayed.items():
        torch.testing.assert_close(step(0, seed, taken)[1], figures, rtol=1e-3, atol=1e-3)
    assert (replayed[1] - replayed[2]).abs().max() > 1e-3


def test_batches_of_other_shapes_are_never_mixed_up(plain, recorded):
    def batches(start: int):
        return (batch(make("vae"), (16, 9, 16, 5)[step % 4], step) for step in itertools.count(start))

    expected, _ = plain("vae", batches=batches)
    found, _ = train("vae", batches=batches)
    assert len(recorded) == 3
    close(found, expected)


def test_what_prepares_batches_is_replayed_too(plain):
    def batches(start: int):
        for step in itertools.count(start):
            generator = torch.Generator().manual_seed(step)
            yield torch.randint(256, (16, 16, 16, 1), generator=generator, dtype=torch.uint8)

    expected, _ = plain("vae", batches=batches, prepare=to_float)
    close(train("vae", batches=batches, prepare=to_float)[0], expected)


class FixedPlane(Plane):
    fixed_step = True


@pytest.mark.parametrize("name", MAKERS)
def test_every_optimiser_is_replayed_and_leaves_failed_updates_out(monkeypatch, recorded, name):
    def trained() -> Plane:
        plane = FixedPlane(PlaneConfig(MAKERS[name][0]))
        list(fit(plane, points, FitConfig(steps=STEPS, learning_rate=0.05), seed=0, device="cuda", log_every=STEPS))
        return plane

    found = trained()
    assert len(recorded) == 1 and not recorded[0]._failed
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["generative.training.fit"], "TrainingStep", Plain)
        close(found, trained(), 1e-4)
    step, stream = TrainingStep(found, FitConfig(learning_rate=0.05), torch.device("cuda")), points(0)
    for number in range(WARM_UP + 2):
        step(number, number, [next(stream)])
    kept = [each.detach().clone() for each in found.parameters()]
    for factor in (torch.nan, 1.0):
        step(9, 9, [next(stream) * factor])
    assert all(torch.equal(*pair) for pair in zip(found.parameters(), kept, strict=True))
    with pytest.raises(TrainingDiverged, match="step 10"):
        step.check()


def test_steps_that_differ_are_recorded_apart_and_phases_in_turn(monkeypatch, recorded):
    def trained():
        growing = Growing()
        rows = list(fit(growing, images, FitConfig(steps=40), seed=0, device="cuda", log_every=1))
        return growing, rows

    found, rows = trained()
    assert len(recorded) == 2 and not any(each._failed for each in recorded)  # both variants of the long phase
    monkeypatch.setattr(sys.modules["generative.training.fit"], "TrainingStep", Plain)
    expected, same = trained()
    close(found, expected, 1e-4)
    for row, other in zip(rows, same, strict=True):
        assert row.keys() == other.keys() and row["fade"] == pytest.approx(other["fade"])
        assert row["net_loss"] == pytest.approx(other["net_loss"], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("name", ["vae", "wgan-gp"])
def test_a_training_resumed_from_a_checkpoint_goes_on_the_same(name, tmp_path: Path):
    config = FitConfig(steps=100)  # a checkpoint each 10 steps
    whole, rows = train(name, config=config, log_every=5)
    module = MAKE[name]()
    begun = fit(module, stream(module), config, seed=3, device="cuda", checkpoint=tmp_path, log_every=5)
    assert next(row["step"] for row in begun if row["step"] > 52) == 55
    begun.close()
    resumed, rest = train(name, config=config, log_every=5, checkpoint=tmp_path)
    assert [row["step"] for row in rest] == list(range(55, 101, 5))
    close(resumed, whole, 1e-3)
    figure = "loss" if name == "vae" else "critic_loss"
    assert rest[0][figure] == pytest.approx(rows[10][figure], rel=1e-2, abs=1e-2)


@pytest.mark.parametrize(("name", "part"), [("vae", ""), ("wgan-gp", " of the critic")])
def test_divergence_is_found_at_the_next_row_with_its_step_and_spares_the_weights(name, part):
    module = MAKE[name]()
    each_step = batches_per_step(module)

    def batches(start: int):
        for number, taken in enumerate(stream(module)(start), start):
            yield taken * torch.nan if number // each_step == 12 else taken

    rows = []
    with pytest.raises(TrainingDiverged, match=f"step 13: loss nan, gradient norm nan{part}"):
        for row in fit(module, batches, CONFIG, seed=0, device="cuda", log_every=10):
            rows.append(row)
    assert [row["step"] for row in rows] == [10]
    assert all(each.isfinite().all() for each in module.parameters())


def test_a_step_does_not_wait_for_the_gpu():
    """Between rows nothing is read from the device, neither in replays nor in the plain steps of a GAN."""
    for name in ("vae", "wgan-gp", "mdn-rnn"):
        module = MAKE[name]().cuda()
        step = TrainingStep(module, CONFIG, torch.device("cuda"))
        taken = first(module)
        for number in range(WARM_UP + 1):
            step(number, number, taken)
        torch.cuda.set_sync_debug_mode("error")
        try:
            for number in range(3):
                step(number, number, taken)
        finally:
            torch.cuda.set_sync_debug_mode("default")
