import dataclasses
import math

import numpy as np
import pytest
import torch

from generative import MODELS
from generative.core.options import ComponentError
from generative.diagnosis import Evidence, diagnose
from generative.diagnosis.codes import dead_codes, posterior_collapse, worse_than_components
from generative.diagnosis.failure import ADVICE
from generative.diagnosis.histories import exploding_critic, oscillation, over_fitting, vanishing_critic
from generative.diagnosis.images import blur, colour_shift, noise, wrong_shares
from generative.diagnosis.samples import memorised, mode_collapse, unreal


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clusters(count, modes, seed):
    """Points around some of eight far apart centres."""
    centres = 20 * torch.eye(8)
    return centres[torch.arange(count) % modes] + normal(count, 8, seed=seed)


def settling(rows=200, noise=0.02, seed=0):
    """A loss that falls and stays, with noise."""
    return np.exp(-np.arange(rows) / 20) + noise * np.random.default_rng(seed).standard_normal(rows)


def rows(**columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def healthy():
    images = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    history = rows(
        loss=settling().tolist(),
        kl=np.linspace(2, 20, 200).tolist(),
        critic_slope=(1 + 0.1 * np.sin(np.arange(200) * 1.7)).tolist(),
        critic_accuracy=[0.8] * 200,
        generator_gradient=np.linspace(1, 0.3, 200).tolist(),
    )
    return Evidence(
        history=history,
        means=normal(100, 4) * torch.tensor([1.0, 1.0, 0.0, 0.0]),
        train=clusters(400, 8, 0),
        held_out=clusters(400, 8, 1),
        samples=clusters(400, 8, 2),
        real_images=images,
        made_images=images.flip(-1) * 0.9 + 0.05,
        codes=torch.arange(320).reshape(5, 8, 8) % 32,
        codebook=32,
    )


def names(evidence):
    return [verdict.problem for verdict in diagnose(evidence)]


def changed(**columns):
    evidence = healthy()
    history = [{**row, **{k: v[i] for k, v in columns.items()}} for i, row in enumerate(evidence.history)]
    return Evidence(**{**evidence.__dict__, "history": history})


def replaced(**fields):
    return Evidence(**{**healthy().__dict__, **fields})


def test_few_samples_beside_much_data_are_no_collapse():
    """A large training set has small neighbourhoods, which a tenth as many samples, a little off, never fill."""

    def near_a_plane(count, off, seed):
        return torch.cat([normal(count, 6, seed=seed), off * normal(count, 6, seed=seed + 50)], 1)

    train, held, good = (near_a_plane(*how) for how in ((2000, 0.05, 0), (150, 0.05, 1), (150, 0.3, 2)))
    assert mode_collapse(train, held, good) is None
    assert mode_collapse(train, held, held[:1] + 0.05 * good) is not None


def test_a_healthy_run_gets_no_verdict():
    assert diagnose(healthy()) == []
    assert diagnose(Evidence()) == []


@pytest.mark.parametrize(
    ("evidence", "problem"),
    [
        (lambda: replaced(means=0.01 * normal(100, 4)), "posterior collapse"),
        (lambda: changed(kl=[0.01] * 200), "posterior collapse"),
        (lambda: replaced(samples=clusters(400, 2, 2)), "mode collapse"),
        (lambda: changed(critic_slope=[1e-4] * 200), "vanishing critic"),
        (lambda: changed(critic_slope=np.geomspace(1, 1e4, 200).tolist()), "exploding critic"),
        (lambda: changed(loss=np.sin(np.arange(200) / 3).tolist()), "oscillation"),
        (lambda: replaced(samples=clusters(400, 8, 0) + 1e-3), "memorisation"),
        (lambda: replaced(made_images=0.5 * healthy().real_images + 0.25), "blur"),
        (lambda: replaced(codes=torch.arange(320) % 16), "dead codes"),
    ],
)
def test_one_failure_gets_its_verdict_and_no_other(evidence, problem):
    verdicts = diagnose(evidence())
    assert [verdict.problem for verdict in verdicts] == [problem]
    assert any(letter.isdigit() for letter in verdicts[0].evidence) or "none" in verdicts[0].evidence
    assert len(verdicts[0].remedy) > 10


def test_the_end_of_a_training_counts():
    assert posterior_collapse(rows(kl=np.linspace(0, 10, 100).tolist())) is None  # began empty, then filled
    assert posterior_collapse(rows(kl=np.linspace(10, 0, 400).tolist())) is None  # not there yet
    verdict = posterior_collapse(rows(kl=[*np.linspace(10, 0, 100), *[0.02] * 100]))
    assert verdict is not None and "0.02 nats" in verdict.evidence
    assert posterior_collapse([{"loss": 1.0}]) is None


def test_a_few_modes_collapse_and_noise_does_not():
    train, held_out = clusters(400, 8, 0), clusters(400, 8, 1)
    assert mode_collapse(train, held_out, clusters(400, 7, 2)) is None
    verdict = mode_collapse(train, held_out, clusters(400, 3, 2))
    assert verdict is not None and "cover 3" in verdict.evidence
    assert mode_collapse(train, held_out, 100 * normal(400, 8, seed=3)) is None  # bad, but various
    one = torch.full((400, 8), 2.5) + 1e-3 * normal(400, 8, seed=3)  # the mean: like nothing real, but all alike
    assert mode_collapse(train, held_out, one) is not None


def test_fewer_samples_than_data_are_no_collapse():
    train, held_out = clusters(800, 8, 0), clusters(800, 8, 1)
    assert mode_collapse(train, held_out, clusters(80, 8, 2)) is None


def test_a_sure_critic_is_harmless_while_the_generator_still_learns():
    gone = np.geomspace(1, 1e-6, 100).tolist()
    sure = rows(critic_accuracy=[0.999] * 100, generator_gradient=gone)
    assert "100%" in vanishing_critic(sure).evidence
    assert vanishing_critic(rows(critic_accuracy=[0.999] * 100, generator_gradient=[1.0] * 100)) is None
    assert vanishing_critic(rows(critic_accuracy=[0.7] * 100, generator_gradient=gone)) is None
    assert vanishing_critic(rows(critic_accuracy=[0.999] * 100)) is None


def test_a_critic_explodes_by_size_by_growth_or_to_infinity():
    assert exploding_critic(rows(critic_slope=[150.0] * 50)) is not None
    assert exploding_critic(rows(critic_slope=np.geomspace(0.1, 90, 50).tolist())) is not None
    assert exploding_critic(rows(critic_slope=[*[1.0] * 49, math.nan])) is not None
    assert exploding_critic(rows(critic_slope=np.geomspace(0.0001, 1, 50).tolist())) is None  # woke up
    assert exploding_critic(rows(critic_slope=[99.0] * 50)) is None


@pytest.mark.parametrize("period", [5, 7.3, 20, 25])
def test_swings_of_any_period_are_found(period):
    wave = settling(200) + 0.3 * np.sin(2 * np.pi * np.arange(200) / period)
    verdict = oscillation(wave)
    assert verdict is not None
    found = float(verdict.evidence.split("period of ")[1].split()[0])
    assert found == pytest.approx(period, rel=0.2)


def test_no_swing_is_made_up():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert oscillation(settling(200, 0.2, seed)) is None
        assert oscillation(rng.standard_normal(200)) is None
        assert oscillation(rng.standard_normal(200).cumsum()) is None
    time = np.arange(200)
    assert oscillation(np.sin(time / 3) * np.exp(-time / 30)) is None  # settles
    assert oscillation(settling() + 0.02 * np.sin(time / 3)) is None  # tiny
    assert oscillation(np.sin(np.arange(40))) is None  # too short to judge
    assert oscillation(np.ones(200)) is None
    assert oscillation([]) is None


def test_memorisation_is_judged_against_held_out_data():
    train, held_out = clusters(400, 8, 0), clusters(400, 8, 1)

    def copied(samples, held=held_out):
        return [each.problem for each in diagnose(Evidence(train=train, held_out=held, samples=samples))]

    assert copied(torch.cat([train[:40], held_out[:360]])) == ["memorisation"]
    assert copied(torch.cat([train[:8], held_out[:392]])) == []
    assert copied(train, train + 1e-3) == []  # held-out data are as near, so nothing is proved
    assert memorised(0.06, 0.0) is not None and memorised(0.06, 0.02) is None
    whole = Evidence(train=train, held_out=held_out, samples=train, copies=(0.0, 0.0))
    assert diagnose(whole) == []  # what the whole training set says counts


def test_over_fitting_is_a_held_out_loss_that_rises_while_the_other_falls():
    time = np.arange(100)
    fall, rise = 1 + np.exp(-time / 10), 1 + np.exp(-time / 10) + 0.004 * np.maximum(time - 30, 0)
    assert over_fitting(rows(loss=fall.tolist(), held_out_loss=rise.tolist())) is not None
    assert over_fitting(rows(loss=fall.tolist(), held_out_loss=(fall + 0.1).tolist())) is None
    assert over_fitting(rows(loss=rise.tolist(), held_out_loss=rise.tolist())) is None  # it diverges on both
    assert over_fitting(rows(loss=fall.tolist())) is None


def test_worse_than_components_is_a_larger_error_than_theirs():
    assert worse_than_components(0.02, 0.01) is not None and worse_than_components(0.01, 0.02) is None


def test_noise_sticks_out_of_its_surroundings_and_edges_do_not():
    images = torch.zeros(8, 3, 16, 16)
    images[:, :, 4:12, 4:12] = 1
    generator = torch.Generator().manual_seed(0)
    speckled = torch.where(torch.rand(images.shape, generator=generator) < 0.05, 0.5, images)
    assert noise(images, speckled) is not None and noise(images, images) is None
    assert noise(speckled, images) is None
    grain = images + 0.08 * torch.randn(images.shape, generator=generator)
    assert noise(images, grain.clamp(0, 1)) is not None


def test_a_colour_shift_is_of_the_mean_of_a_channel():
    images = torch.rand(100, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    other = torch.rand(100, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert colour_shift(images, other) is None
    shifted = (other * 0.8 + torch.tensor([0.1, 0.1, 0.2])[:, None, None]).clamp(0, 1)
    verdict = colour_shift(images, shifted)
    assert verdict is not None and verdict.evidence.startswith("channel 2 is +0.1")


def test_wrong_shares_name_what_is_lost():
    real = {"classes": torch.tensor([0.3, 0.3, 0.4]), "smiling": torch.tensor([0.5, 0.5])}
    lost = {"classes": torch.tensor([0.45, 0.0, 0.55]), "smiling": torch.tensor([0.52, 0.48])}
    verdict = wrong_shares(real, lost, 500)
    assert verdict is not None and "classes 1 in 0% for 30%" in verdict.evidence and "smiling" not in verdict.evidence
    assert wrong_shares(real, lost, 10) is None and wrong_shares(real, real, 500) is None


def test_what_does_not_lie_where_real_data_do_is_unreal():
    train, held_out = clusters(400, 8, 0), clusters(400, 8, 1)
    assert unreal(train, held_out, clusters(400, 8, 2)) is None
    assert unreal(train, held_out, clusters(400, 8, 2) + 10) is not None


def test_remedies_name_dials_that_the_model_has_and_all_of_them_are_dials_of_some_model():
    verdict = Evidence(means=0.01 * normal(100, 4))
    assert "beta" not in diagnose(verdict)[0].remedy and len(diagnose(verdict)[0].remedy) > 10
    (with_dials,) = diagnose(Evidence(means=verdict.means, dials={"beta"}))
    assert "lower beta" in with_dials.remedy and "kl_floor" not in with_dials.remedy
    known = {each.name for name in MODELS.names() for each in dataclasses.fields(MODELS.config_class(name))}
    named = {dial for advice in ADVICE.values() for dial, _ in advice if dial}
    assert named <= known
    assert all(any(not dial for dial, _ in advice) for advice in ADVICE.values())


def test_blur_is_loss_of_detail_and_not_of_size():
    images = torch.rand(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    assert blur(images, smooth) is not None
    assert blur(images, images.flip(2)) is None
    assert blur(smooth, images) is None  # too much detail is noise, not blur
    with pytest.raises(ComponentError, match=r"\[0, 1\]"):
        blur(images, 2 * images - 1)


def test_dead_codes_need_enough_codes_to_tell():
    assert dead_codes(torch.arange(500) % 80, 100) is None
    verdict = dead_codes(torch.arange(500) % 50, 100)
    assert verdict is not None and "50 of 100" in verdict.evidence and "perplexity 50.0" in verdict.evidence
    with pytest.raises(ComponentError, match="encode more images"):
        dead_codes(torch.arange(80), 100)
    with pytest.raises(ComponentError, match="outside a codebook of 100"):
        dead_codes(torch.arange(600), 100)


def test_the_curve_to_judge_is_chosen_by_name():
    wave = np.sin(np.arange(200) / 3).tolist()
    history = rows(loss=settling().tolist(), FD=wave)
    assert names(Evidence(history=history)) == []
    assert names(Evidence(history=history, curve="FD")) == ["oscillation"]
