"""What every registered model promises, whichever it is."""

import dataclasses
import itertools
import re
from typing import Any

import pytest
import torch

from generative import (
    CAPABILITIES,
    MODELS,
    ComponentError,
    Estimates,
    FitConfig,
    fit,
    load_component,
    offers,
    require,
    save_component,
)
from generative.capabilities import draw
from generative.core.component import HasObjectives
from generative.core.storage import component_bytes, component_from_bytes
from generative.core.views import Film, Picture
from generative.data import Field
from generative.latent.views import views_of
from generative.training.batches import each_tensor
from scripts.generative.runs.pictures import write_view
from scripts.terminal.short_help import notes
from tests.generative.small_models import (
    FIELDS,
    LABEL,
    MADE,
    RESTING,
    SMALL,
    Held,
    answered,
    at,
    batch,
    condition,
    data,
    kind,
    latents,
    losses,
    make,
    noise,
    objectives,
    other,
    outputs,
    ready,
    shape,
    stream,
    trained,
)

every = pytest.mark.parametrize("case", SMALL)
ENCODERS = [case for case in SMALL if callable(getattr(MODELS.component_class(case.split()[0]), "encode", None))]
every_encoder = pytest.mark.parametrize("case", ENCODERS)


def test_every_model_is_tested():
    assert {case.split()[0] for case in SMALL} == set(MODELS.names())


@every
def test_the_data_decide_the_sizes(case):
    module = make(case)
    side = getattr(module.config, "image_size", 1)
    known = {"image": Field("image", (side, side, 1), "uint8"), "other": Field("image", (side, side, 1), "uint8")}
    fields = {**{name: {**FIELDS, **known}[name] for name in module.inputs if name != "label"}, "label": LABEL}
    if case == "bert":  # labels decide what it learns
        del fields["label"]
    if case == "muse-net":  # voices and bars are those of the roll
        fields["roll"] = FIELDS["roll"]
    decided = type(module).sizes(fields)
    fitted = make(case, {**other(case), **decided})
    assert fitted.inputs == module.inputs and shape(fitted) == shape(module)
    assert "label" not in module.inputs or fitted.config.classes == 3
    for name in module.inputs:
        optional = getattr(module.config, "conditional", False) or getattr(module.config, "labelled", False)
        asked = optional and name == "label"
        optional_mark = (case, name) == ("muse-net", "label") or (name == "answer" and case != "question-generator")
        if name == "tokens_mask" or optional_mark or asked:  # taken only where it can be, or where it is asked for
            continue
        without = {each: field for each, field in fields.items() if each != name}
        needs = r"two fields of images" if "other" in fields else r"the field '\w+'"
        with pytest.raises(ComponentError, match=rf"{module.type_name} needs {needs}, and the data has"):
            type(module).sizes(without)
    if kind(module) == "image":
        wide = {**fields, "image": Field("image", (16, 24, 1), "uint8")}
        with pytest.raises(ComponentError, match=f"{module.type_name} takes square images, and these have 16 x 24"):
            type(module).sizes(wide)


@every
def test_finite_gradients_reach_every_trained_parameter(case):
    module = make(case)
    reached = set()
    for part, loss, metrics, *_ in objectives(module, 8):
        assert loss.shape == ()
        assert loss.isfinite() or case == "toy-distribution"  # before it is estimated no point need be inside
        assert not any(each.requires_grad for each in metrics.values())
        parameters = trained(module, part)
        assert parameters or isinstance(module, Estimates)
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True) if parameters else ()
        constant = list(parameters)[-1] if part == "critic" and module.config.gan_loss == "wasserstein" else ""
        for key, gradient in zip(parameters, gradients, strict=True):
            assert gradient is None or gradient.isfinite().all(), key
            moves = gradient is not None and gradient.any()
            if moves or key == constant or re.search(RESTING.get(case.split()[0], "$^"), f"{part}.{key}"):
                reached.add(parameters[key])  # a constant cancels in a difference of scores
        assert all(each.isfinite() for each in metrics.values())  # one may be known by the gradient only
    unreached = [key for key, each in trained(module, "").items() if each not in reached]
    assert not unreached


@every
def test_what_is_loaded_equals_what_was_saved(case, tmp_path):
    module = ready(case)
    weights, expected = module.state_dict(), outputs(module)
    save_component(module, tmp_path / "part", {})
    for loaded in (load_component(tmp_path / "part", MODELS), component_from_bytes(component_bytes(module), MODELS)):
        assert loaded.config == module.config
        assert all(torch.equal(value, weights[key]) for key, value in loaded.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(outputs(loaded), expected, strict=True))


@pytest.mark.slow
@every
def test_a_loss_is_a_function_of_weights_batch_and_generator(case):
    def numbers(seed: int, weights: int = 0) -> list[float]:
        return [loss.item() for loss in losses(make(case, seed=weights), 6, seed).values()]

    found = numbers(1)
    assert found == numbers(1)
    if case in ("vae", "beta-vae", "conditional-vae", "cnn-classifier") or "gan" in case.removeprefix("cycle-gan"):
        assert found != numbers(2)
    assert found != numbers(1, weights=1) or case == "toy-distribution"


@every
def test_a_batch_of_one_works(case):
    module = ready(case).train(case != "cnn-classifier")  # batch norm of one row has no spread to divide by
    assert all(loss.isfinite() for loss in losses(module, 1).values())
    if offers(module, "encode"):
        mean, std = module.eval().encode(data(module, 1), *condition(module, 1))
        assert mean.shape == std.shape and len(mean) == 1 and mean.isfinite().all()


@every
def test_other_shapes_work_and_wrong_ones_are_refused(case):
    module = ready(case, other(case)).train()
    assert all(loss.isfinite() for loss in losses(module, 4).values())
    small = make(case)
    with pytest.raises(ValueError, match=r"\(4, .*\(B, "):
        wrong = batch(module, 4)
        list(small.objectives([wrong], 0, noise())) if isinstance(small, HasObjectives) else small.loss(wrong, noise())


@every_encoder
def test_latents_have_the_promised_size(case):
    module = ready(case, other(case))
    more = condition(module, 2)
    mean, std = module.encode(data(module, 2), *more)
    assert mean.shape == std.shape == (2, latents(module)) and (std >= 0).all()
    if case != "conditional-vae":
        assert module.latent_spec.size == mean.shape[1] and module.latent_spec.kind == "continuous"
    if offers(module, "decode"):
        assert module.decode(mean, *more).shape == (2, *shape(module))
    if kind(module) == "image":
        with pytest.raises(ValueError, match=r"\(2, 2, 32, 32\).*\(B, 2, 48, 48\)"):
            module.encode(torch.rand(2, 2, 32, 32), *more)


@every
def test_a_senseless_size_is_refused_by_name(case):
    fields = [
        name
        for name in ("image_size", "channels", "dimensions", "count", "classes", "vocabulary", "pitches")
        if name in SMALL[case]
    ]
    assert fields
    for field in fields:
        with pytest.raises(ValueError, match=f"{field}=0"):
            make(case, {**SMALL[case], field: 0})


@pytest.mark.slow
@every
def test_one_batch_is_learnt(case):
    module = make(case)
    if isinstance(module, Estimates) and not trained(module, ""):
        first = losses(module, 16)[""].item()
        module.estimate(stream(module), noise())
        assert losses(module, 16)[""].item() < 0.7 * first
    elif isinstance(module, HasObjectives):  # each objective falls while the others' parts stay as they are
        for part in module.parts:
            assert falls(make(case), part, 0.1, steps=20, rate=6e-3), part
    else:
        assert falls(module, "", 0.2, steps=60, rate=3e-3)


def falls(module: Any, part: str, share: float, steps: int, rate: float) -> bool:
    """Whether steps of Adam on one objective bring its loss down by a share of it, two steps in a row."""
    optimiser = torch.optim.Adam(trained(module, part).values(), lr=rate)
    found: list[float] = []
    for step in range(steps):
        loss = next(loss for name, loss, *_ in objectives(module, 16, step) if name == part)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
        if max(found[-2:]) < found[0] - share * abs(found[0]):
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in SMALL if trained(MADE[case], "")])
def test_a_resumed_training_equals_an_uninterrupted_one(case, tmp_path):
    def run(stop: int, checkpoint: Any = None) -> tuple[Any, list[dict[str, float]]]:
        module = make(case)
        config = FitConfig(steps=4, learning_rate=1e-3)

        def batches(start: int, phase: Any = None):
            for seed in itertools.count(start):
                found = batch(module, 8, seed)
                yield found if phase is None else each_tensor(found, lambda part: at(phase.resolution, part))

        rows = itertools.islice(fit(module, batches, config, seed=3, checkpoint=checkpoint, log_every=1), stop)
        return module, list(rows)

    whole, rows = run(5)
    run(3, tmp_path)  # the checkpoint of step 2 is the last
    resumed, later = run(5, tmp_path)
    for row in (*rows, *later):
        row.pop("samples_per_second")
    assert rows[2:] == later
    weights = whole.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in resumed.state_dict().items())
    assert any(not torch.equal(value, weights[key]) for key, value in make(case).state_dict().items())


@every
def test_bfloat16_gives_finite_float32_losses_and_latents(case):
    module = ready(case).train()
    with torch.autocast("cpu", torch.bfloat16):
        found = losses(module, 4)
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in found.values())
    if offers(module, "encode") and module.seam == "vision":  # they encode in this type while an agent plays
        half = module.eval().to(torch.bfloat16)
        assert half.encode(data(module, 4).to(torch.bfloat16))[0].isfinite().all()


@every_encoder
def test_latents_are_of_unit_spread_without_a_prior(case):
    module = ready(case)
    if not isinstance(module, Estimates):
        assert {"vae", "conditional-vae", "real-nvp"} & {case.removeprefix("beta-").split()[0]}
        return
    z, std = module.encode(data(module, 500, seed=10**6))
    assert not std.any()
    assert z.mean(0).abs().max() < 0.5
    assert 0.5 < z.std(0).median() < 1.5


@pytest.mark.parametrize("case", [case for case in SMALL if condition(MADE[case], 1)])
def test_labels_reach_every_network_of_a_conditional_model(case):
    """Under other labels the same data and the same latents have other codes, other images and other scores."""
    module = make(case).eval()
    obs, z = data(module, 4), torch.randn(4, 4, generator=noise())
    labels, others = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 2])
    networks = []
    if offers(module, "decode"):
        networks.append(lambda given: module.decode(z, given))
    if offers(module, "sample") and module.type_name not in ("pixel-cnn", "muse-net"):  # may draw alike
        networks.append(lambda given: draw(module, 4, noise(), given))
    if offers(module, "log_prob"):
        networks.append(lambda given: module.log_prob(obs, given)[:, None])
    if offers(module, "encode"):
        networks.append(lambda given: module.encode(obs, given)[0])
    if "gan" in case:
        networks += [lambda given: module._make(z, given), lambda given: module._score(obs, given)[:, None]]
    assert networks
    for network in networks:
        assert (network(labels) != network(others)).flatten(1).any(1).all()


@pytest.mark.slow
@every
def test_every_capability_works_or_is_refused_with_a_reason(case):
    module = ready(case)
    if case == "autoencoder":
        with pytest.raises(ComponentError, match="fit_density"):
            require(module, "sample")
        module.fit_density(module.encode(data(module, 100))[0], noise())
    for capability in CAPABILITIES:
        check_capability(module, case.split()[0], capability)


def check_capability(module: Any, name: str, capability: str) -> None:
    config, more = module.config, condition(module, 3)
    if not offers(module, capability):
        with pytest.raises(ComponentError, match=f"{name} cannot `{capability}`: .{{10}}"):
            require(module, capability)
        return
    require(module, capability)
    obs = data(module, 3)
    z = (
        module.encode(obs, *more)[0]
        if offers(module, "encode")
        else torch.randn(3, latents(module) if offers(module, "decode") else 4, generator=noise())
    )
    if capability == "encode":
        assert z.shape == (3, latents(module))
    elif capability == "decode":
        decoded = module.decode(z, *more)
        assert decoded.shape == (3, *shape(module)) and decoded.isfinite().all()
        assert kind(module) != "image" or (decoded.min() >= 0 and decoded.max() <= 1)
    elif capability == "reconstruct":
        assert torch.equal(module.reconstruct(obs, *more), module.decode(z, *more))
    elif capability == "sample":
        length = (
            (module.Sampling().length, *shape(module)[1:]) if hasattr(module.Sampling(), "length") else shape(module)
        )
        assert draw(module, 3, noise(1), *more).shape == (3, *length)
        check_dials(module)
    elif capability == "log_prob":
        assert module.log_prob(obs, *more).shape == (3,)
    elif capability == "translate":
        there, back = (module.translate(obs, direction) for direction in ("forward", "backward"))
        assert there.shape == back.shape == obs.shape and not torch.equal(there, back)
    elif capability == "restyle":
        painted = module.restyle(obs)
        assert painted.shape == obs.shape and not torch.equal(painted, obs)
        assert painted.min() >= 0 and painted.max() <= 1
    elif capability == "generate":
        went_on = module.generate(obs, 7, module.Sampling(), noise(1))
        assert went_on.shape == (3, 7, *shape(module)[1:]) and torch.equal(
            went_on, module.generate(obs, 7, module.Sampling(), noise(1))
        )
        beamed = module.generate(obs, 7, module.Sampling(beams=3), noise(1))
        assert beamed.shape == went_on.shape
        assert torch.equal(beamed, module.generate(obs, 7, module.Sampling(beams=3), noise(2)))
        if hasattr(module.Sampling(), "length_penalty"):
            short, long = (module.Sampling(beams=9, length_penalty=each) for each in (0.0, 9.0))
            ended = [module.generate(obs, 7, each, noise(), stop=(0,)).shape[1] for each in (short, long)]
            assert ended[0] < ended[1]
    elif capability == "stream":
        stream = module.stream(obs[0], module.Sampling(), noise(1))
        tokens = [*itertools.islice(stream, 5)]
        assert all(0 <= token < config.vocabulary for token in tokens)
        ended = list(module.stream(obs[0], module.Sampling(), noise(1), tokens[2:3]))
        assert ended == tokens[: tokens.index(tokens[2]) + 1]
    elif capability == "classify":
        assert module.classify(obs).shape == (3, config.classes)
    elif capability == "codes":
        codes, spec = module.codes(obs), module.code_spec
        assert codes.shape == (3, *spec.shape) and codes.min() >= 0 and codes.max() < spec.codes
        torch.testing.assert_close(module.decode_codes(codes), module.reconstruct(obs))
        with pytest.raises(ValueError, match=r"codes of .*expected 0 to"):
            module.decode_codes(codes + spec.codes)
    elif capability == "interpolate":
        way = module.interpolate(obs, obs.flip(0), 4, *more)
        assert way.shape == (3, 4, *shape(module))
        torch.testing.assert_close(way[:, 0], module.reconstruct(obs, *more))
        if not more:
            torch.testing.assert_close(way[:, -1], module.reconstruct(obs.flip(0)))
        with pytest.raises(ValueError, match="steps=1"):
            module.interpolate(obs, obs, 1, *more)
    elif capability == "answer":
        found = answered(module, length=7)
        assert len(found) == 3 and found.shape[1] <= 7 and torch.equal(found, answered(module, length=7))
        drawn, beamed = answered(module, 20, temperature=1.0), answered(module, 20, beams=3)
        assert not torch.equal(drawn, answered(module, 20)) and not torch.equal(beamed, drawn)
    elif capability == "fill":
        hidden = torch.arange(12) % 5 == torch.arange(3)[:, None]
        scores = module.fill(obs, hidden)
        assert scores.shape == (3, 12, config.vocabulary)
        assert torch.equal(scores, module.fill(obs.where(~hidden, (obs + 1) % config.vocabulary), hidden))
    else:
        raise AssertionError(f"nothing checks {capability}")


LESS: dict[str, Any] = {"steps": 6, "counts": (1, 2, 3), "images": 3, "strengths": (0.5, 1.0), "rows": 2}
LESS |= {"denoising": 4, "frames": 3, "keys": 3, "pairs": 2, "most": 3}
"""Dials with which a view takes less time."""


@pytest.mark.slow
@pytest.mark.parametrize(("case", "name"), [(case, name) for case in SMALL for name in views_of(MADE[case])])
def test_a_view_makes_what_it_declares_and_every_dial_is_described(case, name, tmp_path):
    module = ready(case)
    kind = views_of(module)[name]
    assert kind.__dataclass_params__.frozen and len(kind.__doc__) > 20
    dials = {each.name for each in dataclasses.fields(kind)}
    assert dials == set(notes(kind)) and not dials & {"run", "view", "seed", "out"}
    assert kind()
    less = {name: value for name, value in LESS.items() if name in dials}
    made, again = (kind(**less).show(module, Held(module), 0) for _ in range(2))
    assert type(made) is kind.makes
    path = write_view(tmp_path / "shown", made)
    assert path.suffix == {Picture: ".png", Film: ".gif"}[kind.makes] and path.stat().st_size > 100
    images = made.images if kind.makes is Picture else made.frames
    assert images.isfinite().all() and images.std() > 0
    assert torch.equal(images, again.images if kind.makes is Picture else again.frames)


TURNED = {"temperature": 0.0, "top_k": 1, "top_p": 0.1, "length": 5, "steps": 3, "eta": 1.0, "guidance": 3.0}
TURNED |= {"style": 2, "solver": "euler", "noise": 0.0, "truncation": 0.0, "beams": 2}
"""Another value of every dial that a model has."""


SHORT = {"length": 60, "steps": 4}
"""What a sample takes less time with."""


def check_dials(module: Any) -> None:
    """No dial is without effect; without temperature nothing is left to chance, but for the choice of a component."""
    kind, more = module.Sampling, condition(module, 12)
    dials = {each.name: TURNED[each.name] for each in dataclasses.fields(kind) if each.name != "length_penalty"}
    assert dials and kind.__dataclass_params__.frozen
    short = {name: value for name, value in SHORT.items() if name in dials}

    def drawn(seed: int, **turned: Any) -> torch.Tensor:
        return module.sample(12, kind(**{**short, **turned}), noise(seed), *more)

    usual = drawn(1)
    assert torch.equal(drawn(1), usual) and not torch.equal(drawn(2), usual)
    for name, value in dials.items():
        if name == "guidance" and not more:
            with pytest.raises(ValueError, match=r"guidance=3\.0: .*conditional=true"):
                drawn(1, guidance=value)
            continue
        if name == "noise" and isinstance(kind().noise, str):  # does nothing before training
            continue
        turned = drawn(1, **{name: value})
        assert (turned.shape == usual.shape or name == "length") and not torch.equal(turned, usual), name
    if "temperature" in dials and module.type_name != "autoencoder":
        assert torch.equal(drawn(1, temperature=0.0), drawn(2, temperature=0.0))


@pytest.mark.parametrize("name", MODELS.names())
def test_options_are_described_and_survive_the_way_to_json(name):
    config = MODELS.config_class(name)
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(config))
    assert MODELS.create(name, {}).config == config()
