"""A step that does not wait: figures and failures are kept where it is carried out, and read later."""

import pytest
import torch

from generative import FitConfig, TrainingDiverged
from generative.training.batches import form, on_device, room_for, tensors
from generative.training.training_step import MOST_RECORDINGS, TrainingStep, step_seed
from tests.generative.small_models import batch, make

CPU = torch.device("cpu")


def weights(module) -> list[torch.Tensor]:
    return [each.detach().clone() for each in module.parameters() if each.requires_grad]


@pytest.mark.parametrize(("case", "part"), [("vae", ""), ("wgan-gp points", " of the critic")])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_from_the_first_failure_on_weights_stay_as_they_were_and_it_is_found_later(case, part, bad):
    module = make(case)
    step = TrainingStep(module, FitConfig(gradient_clip=1.0), CPU)
    for number in range(6):
        taken = [batch(module, 8, seed) for seed in range(getattr(module, "batches_per_step", 1))]
        if number == 3:
            kept = weights(module)
            taken = [each * bad for each in taken]
        step(number, step_seed(0, number), taken)
        if number == 2:
            step.check()
    assert all(torch.equal(*pair) for pair in zip(weights(module), kept, strict=True))
    kept_state = [state for optimiser in step.optimisers.values() for state in optimiser.state.values()]
    assert kept_state and all(each.isfinite().all() for state in kept_state for each in state.values())
    with pytest.raises(
        TrainingDiverged, match=f"step 4: loss (nan|inf), gradient norm (nan|inf){part}; lower learning_"
    ):
        step.check()


def test_an_update_that_is_left_out_is_the_only_difference():
    """Until a failure the device's own guard changes nothing."""
    module, other = make("vae"), make("vae")
    step = TrainingStep(module, FitConfig(learning_rate=1e-2), CPU)
    plain = torch.optim.AdamW(
        [
            {"params": [each for each in other.parameters() if each.ndim >= 2]},
            {"params": [each for each in other.parameters() if each.ndim < 2]},
        ],
        lr=1e-2,
        weight_decay=0.0,
        fused=True,
    )
    other.train()
    for number in range(4):
        step(number, number, [batch(module, 8, number)])
        loss, _ = other.loss(batch(other, 8, number), torch.Generator().manual_seed(number))
        plain.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), torch.inf)
        plain.step()
    assert all(torch.equal(*pair) for pair in zip(weights(module), weights(other), strict=True))


def test_each_form_of_batch_has_its_recording_and_too_many_have_none():
    module = make("cnn-classifier")
    step = TrainingStep(module, FitConfig(), CPU)
    step.replays = True
    for number, size in enumerate([8, 4, 8, *range(9, 15), 4]):
        step(number, number, [batch(module, size, number)])
    assert len(step._recorded) == MOST_RECORDINGS
    x, y = batch(module, 8)
    forms = [(x, y), [x, y], {"x": x, "y": y}, {"y": y, "x": x}, (x, y.int()), (x[:4], y[:4]), x]
    assert len(set(map(form, forms))) == len(forms)
    assert form((x, y)) == form(on_device((x + 1, y), CPU)) == form(room_for((x, y), CPU))
    assert [each.shape for each in tensors({"a": (x, [y])})] == [x.shape, y.shape]


def test_the_noise_of_a_step_is_a_function_of_its_seed_alone():
    module = make("cnn-classifier", {**make("cnn-classifier").config.__dict__, "dropout": 0.5})
    step = TrainingStep(module, FitConfig(learning_rate=1e-30), CPU)
    losses = [step(0, seed, [batch(module, 8)])[1][0].item() for seed in (1, 2, 1)]
    assert losses[0] == pytest.approx(losses[2], rel=1e-5) != pytest.approx(losses[1], rel=1e-5)
