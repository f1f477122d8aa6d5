import pytest
import torch

from worldmodels.dream.step import FusedStep, PlainStep, dream_step
from worldmodels.memories import MDNRNN, MDNRNNConfig
from worldmodels.memories.registry import MEMORIES

ROWS, LATENT, ACTION, HIDDEN = 24, 6, 3, 16


def memory(**options) -> MDNRNN:
    config = MDNRNNConfig(latent=LATENT, action=ACTION, hidden=HIDDEN, **options)
    module = MEMORIES.create("mdn-rnn", config, seed=0).eval()
    with torch.no_grad():  # untrained biases are equal for all components
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    module.reward_mean.fill_(0.5)
    module.reward_std.fill_(2.0)
    return module


def inputs():
    rng = torch.Generator().manual_seed(1)
    state = (torch.randn(ROWS, HIDDEN, generator=rng).tanh(), 2 * torch.randn(ROWS, HIDDEN, generator=rng))
    uniform = torch.rand(ROWS, LATENT, generator=rng)
    z, normal = torch.randn(2, ROWS, LATENT, generator=rng)
    return z, torch.rand(ROWS, ACTION, generator=rng), state, uniform, normal


def step(stepper, temperature=1.0):
    z, action, state, uniform, normal = inputs()
    with torch.inference_mode():
        return stepper(z, action, state, temperature, uniform, normal)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0, 1.3])
@pytest.mark.parametrize(
    "options",
    [{}, {"mixtures": 1}, {"reward": False}, {"termination": False}],
    ids=["default", "one-gaussian", "no-reward", "no-termination"],
)
def test_a_fused_step_is_the_memorys_own_step_and_sample(options, temperature):
    module = memory(**options)
    plain, fused = step(PlainStep(module), temperature), step(FusedStep(module), temperature)
    for name in ("z", "reward", "termination_logit"):
        torch.testing.assert_close(getattr(fused, name), getattr(plain, name), atol=2e-5, rtol=1e-5, equal_nan=True)
    for ours, theirs in zip(fused.state, plain.state, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_in_bfloat16_it_stays_close():
    module = memory()
    exact, half = step(FusedStep(module)), step(FusedStep(module, torch.bfloat16))
    change = (half.state[0] - exact.state[0]).square().mean().sqrt() / exact.state[0].std()
    assert 0 < change < 0.02
    assert ((half.z - exact.z).abs() < 0.1).float().mean() > 0.95  # a few choose another Gaussian


def test_a_row_does_not_depend_on_the_others():
    fused = FusedStep(memory(), torch.bfloat16)
    z, action, state, uniform, normal = inputs()
    with torch.inference_mode():
        whole = fused(z, action, state, 1.0, uniform, normal).z
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(2))
        moved = tuple(part[order] for part in state)
        assert torch.equal(fused(z[order], action[order], moved, 1.0, uniform[order], normal[order]).z, whole[order])


def test_only_the_mdn_rnn_itself_is_fused():
    class Other(MDNRNN):
        pass

    module = memory()
    assert isinstance(dream_step(module), FusedStep)
    assert isinstance(dream_step(Other(module.config)), PlainStep)


@pytest.mark.parametrize("options", [{}, {"mixtures": 1}])
def test_without_uniform_numbers_the_spread_is_added_to_the_expectation(options):
    module = memory(**options)
    z, action, state, _, spread = inputs()
    with torch.inference_mode():
        expected = module.step(z, action, state)[0].expected_latent() + 0.5 * spread
        for stepper in (PlainStep(module), FusedStep(module)):
            found = stepper(z, action, state, 0.25, None, spread).z
            torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
