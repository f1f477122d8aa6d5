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

IMAGES: dict[str, Any] = {"image_size": 16, "channels": 1}
POINTS: dict[str, Any] = {"layout": "points", "dimensions": 2, "width": 8, "norm": "none", "critic_norm": "none"}
SMALL: dict[str, dict[str, Any]] = {
    "vae": {**IMAGES, "latent": 4, "width": 8, "kl_floor": 0.0},
    "beta-vae": {**IMAGES, "latent": 4, "width": 8},
    "autoencoder": {**IMAGES, "latent": 4, "width": 8, "density": 2},
    "conditional-vae": {**IMAGES, "latent": 4, "width": 8, "classes": 3},
    "vq-vae": {**IMAGES, "width": 8, "codes": 16},
    "pca": {**IMAGES, "latent": 4, "frames": 64},
    "random-convolutions": {**IMAGES, "latent": 8, "width": 8},
    "mlp-classifier": {**IMAGES, "classes": 3, "hidden": (32,)},
    "cnn-classifier": {**IMAGES, "classes": 3, "widths": (8, 8, 8, 8), "hidden": 16},
    "dcgan": {**IMAGES, "latent": 4, "width": 8},
    "wgan": {**IMAGES, "latent": 4, "width": 8, "critic_steps": 2, "clip": 0.1},
    "wgan-gp": {**IMAGES, "latent": 4, "width": 8, "critic_steps": 2},
    "conditional-gan": {**IMAGES, "latent": 4, "width": 8, "critic_steps": 2, "classes": 3},
    "progan": {**IMAGES, "image_size": 8, "latent": 4, "width": 4, "batches": (8, 6)},
    "stylegan": {
        **{**IMAGES, "image_size": 8, "latent": 4, "width": 4, "styles": 6, "mapping": 2},
        **{"r1_every": 2, "path_every": 2, "path": 0.1, "mean_decay": 0.5},
    },
    "sagan": {**IMAGES, "latent": 4, "width": 4, "attention": 8, "classes": 3},
    "biggan": {
        **{**IMAGES, "latent": 4, "width": 4, "attention": 8, "classes": 3},
        **{"shared": 3, "accumulation": 2, "critic_steps": 1, "standing": 2},
    },
    "pixel-cnn": {"image_size": 8, "channels": 1, "levels": 4, "width": 8, "layers": 2},
    "real-nvp": {"image_size": 8, "channels": 1, "levels": 16, "width": 8, "scales": 1, "couplings": 1, "hidden": 1},
    "energy": {**IMAGES, "width": 4, "walk": 3, "replay": 40},
    "diffusion": {"image_size": 8, "channels": 1, "widths": (8, 8), "blocks": 1, "attention": 4},
    "flow-matching": {"image_size": 8, "channels": 1, "widths": (8, 8), "blocks": 1, "attention": 4},
    "cycle-gan": {**IMAGES, "width": 4, "blocks": 1, "critic_width": 4, "critic_halvings": 1},
    "style-transfer": {**IMAGES, "style_size": 16, "width": 4, "blocks": 1, "content": 0.1},
    "lstm": {"vocabulary": 5, "embedding": 8, "hidden": 16, "dropout": 0.0},
    "naive-bayes": {**IMAGES, "levels": 4, "count": 64},
    "multinomial": {"categories": (2, 3, 4), "count": 512, "smoothing": 0.1},
    "toy-distribution": {"dimensions": 2, "count": 64},
}
"""Options by model; a word after the name is another layout of the same model."""
SMALL |= {
    f"{name} points": {**SMALL[name], **POINTS, "image_size": 32} for name in ("dcgan", "wgan-gp", "conditional-gan")
}
SMALL["progan classes"] = {**SMALL["progan"], "conditional": True, "classes": 3}
SMALL["real-nvp points"] = {"layout": "points", "dimensions": 2, "width": 16, "couplings": 2}
SMALL["energy points"] = {**SMALL["energy"], "layout": "points", "dimensions": 2, "clip": 0.0, "step": 0.1}
SMALL["diffusion points"] = {"layout": "points", "dimensions": 2, "widths": (16,), "blocks": 1}
SMALL["diffusion classes"] = {**SMALL["diffusion"], "conditional": True, "classes": 3}
SMALL["flow-matching points"] = {**SMALL["diffusion points"], "conditional": True, "classes": 3}
SMALL["stylegan classes"] = {**SMALL["stylegan"], "conditional": True, "classes": 3}
SMALL["stylegan adain"] = {**SMALL["stylegan"], "injection": "adain"}
SMALL["biggan unconditional"] = {**SMALL["biggan"], "conditional": False}
SMALL["pixel-cnn classes"] = {**SMALL["pixel-cnn"], "conditional": True, "classes": 3}
SMALL["pixel-cnn codes"] = {"image_size": 4, "levels": 6, "categories": True, "width": 8, "layers": 2}
SMALL["cycle-gan unet"] = {**SMALL["cycle-gan"], "generator": "unet", "halvings": 2}
SMALL["lstm tied"] = {**SMALL["lstm"], "tied": True}
SMALL["gpt-2"] = {"vocabulary": 5, "width": 8, "layers": 2, "heads": 2, "context": 8}
SMALL["gpt-2 masked"] = {**SMALL["gpt-2"], "masked": True}
SMALL["encoder-decoder"] = {"vocabulary": 5, "embedding": 8, "hidden": 16, "heads": 2}
SMALL["encoder-decoder marked"] = {**SMALL["encoder-decoder"], "marked": True, "attention": "dot", "order": "luong"}
SMALL["question-generator"] = {"vocabulary": 5, "embedding": 8, "hidden": 16, "attention": "dot"}
SMALL["transformer"] = {"vocabulary": 5, "width": 16, "layers": 1, "heads": 2}
SMALL["transformer marked"] = {**SMALL["transformer"], "marked": True}
SMALL["bert"] = {"vocabulary": 5, "width": 64, "layers": 1, "heads": 2, "context": 64, "dropout": 0.0}
SMALL["bert labelled"] = {**SMALL["bert"], "labelled": True, "classes": 3}
SMALL["lstm masked"] = {**SMALL["lstm"], "masked": True}
SMALL["music-lstm"] = {
    "pitches": 5,
    "durations": 3,
    "embedding": 16,
    "hidden": 32,
    "layers": 1,
    "attention": "dot-product",
}
SMALL["music-lstm pooling"] = {**SMALL["music-lstm"], "attention": "pooling"}
SMALL["music-transformer"] = {**SMALL["gpt-2"], "dropout": 0.0, "context": 12}
SMALL["muse-net"] = {**SMALL["music-transformer"], "width": 64, "classes": 3, "voices": 2, "bar": 4}
SMALL["muse-gan"] = {
    **{"bars": 2, "steps": 8, "pitches": 7, "voices": 2},
    **{"inputs": 4, "width": 8, "critic_width": 4, "critic_steps": 1},
}
SMALL["naive-bayes rows"] = {"categories": (2, 3, 4), "count": 512, "smoothing": 0.1}


DOUBLED = ("progan", "stylegan", "sagan", "biggan")
"""Models whose images are of 8, 16, 32, ... pixels."""
ATTENDING = r"attention\.(query|key|value|out)\."
RESTING = {"progan": r"(to|from)_rgb\.0\.", "sagan": ATTENDING, "biggan": ATTENDING}
"""Parameters that a step may leave alone: of a level that is not the present one, behind a factor that begins at 0."""


def other(case: str) -> dict[str, Any]:
    """Options of other sizes."""
    options = dict(SMALL[case])
    larger = {
        "image_size": 48,
        "bars": 3,
        "channels": 2,
        "latent": 32,
        "dimensions": 5,
        "categories": (5, 2),
        "vocabulary": 9,
        "pitches": 9,
    }
    larger |= {"image_size": 2 * options["image_size"]} if case.startswith(DOUBLED) else {}
    return {**options, **{name: value for name, value in larger.items() if options.get(name, True) is not True}}


every = pytest.mark.parametrize("case", SMALL)
ENCODERS = [case for case in SMALL if callable(getattr(MODELS.component_class(case.split()[0]), "encode", None))]
every_encoder = pytest.mark.parametrize("case", ENCODERS)


def make(case: str, options: dict[str, Any] | None = None, seed: int = 0) -> Any:
    return MODELS.create(case.split()[0], SMALL[case] if options is None else options, seed)


MADE = {case: make(case) for case in SMALL}
"""One of each, that says which tests it takes; nothing is done with them."""


FIELDS = {
    "point": Field("point", (2,), "float32"),
    "row": Field("row", (3,), "int64", ("a", "b", "c"), (2, 3, 4)),
    "code": Field("codes", (4, 4), "int64", (), (6,)),
    "tokens": Field("tokens", (12,), "int64", ("a", "b", "c", "d", "e"), (5,)),
    "tokens_mask": Field("mask", (12,), "bool"),
    "source": Field("tokens", (6,), "int64", ("a", "b", "c", "d", "e"), (5,)),
    "source_mask": Field("mask", (6,), "bool"),
    "target": Field("tokens", (6,), "int64", ("a", "b", "c", "d", "e"), (5,)),
    "target_mask": Field("mask", (6,), "bool"),
    "answer": Field("tags", (6,), "int64", ("", "answer"), (2,)),
    "roll": Field("roll", (16, 2), "int64", ("rest", "hold", *map(str, range(60, 67))), (9,), 2.5),
    "place": Field("place", (2,), "int64", ("first step", "steps of the piece")),
    "notes": Field("notes", (12, 2), "int64", tuple("abcdexyz"), (5, 3)),
}
LABEL = Field("label", (), "int64", ("x", "y", "z"), (3,))


def kind(module: Any) -> str:
    return module.inputs[0]


def data(module: Any, n: int, seed: int = 0) -> torch.Tensor:
    """White rectangles at random places, points around (3, 3), rows with many a 1, texts that count."""
    config, generator = module.config, torch.Generator().manual_seed(seed)
    if kind(module) == "tokens":
        return (torch.randint(0, 9, (n, 1), generator=generator) + torch.arange(12)) % config.vocabulary
    if kind(module) == "roll":
        chosen = torch.randint(0, 3, (n, config.bars, 2), generator=generator).repeat_interleave(8, 1)
        return chosen + torch.arange(8 * config.bars)[:, None] // 4 % 2 + 2
    if kind(module) == "notes":
        pitches = torch.randint(0, 9, (n, 1), generator=generator) + torch.arange(12)
        return torch.stack([pitches % config.pitches, pitches % config.durations], 2)
    if kind(module) == "code":
        side = config.image_size
        first = torch.randint(0, 6, (n, 1, 1), generator=generator)
        return (first + torch.arange(side)).expand(n, side, side) % config.levels
    if kind(module) == "source":
        return 1 + torch.randint(0, config.vocabulary - 1, (n, 6), generator=generator)
    if kind(module) == "row":
        return (torch.rand(n, len(config.categories), generator=generator) < 0.9).long()
    if kind(module) == "point":
        return 3 + 0.3 * torch.rand(n, config.dimensions, generator=generator)
    obs = torch.zeros(n, config.channels, config.image_size, config.image_size)
    side = config.image_size // 3
    for image, (top, left) in zip(obs, torch.randint(0, 2 * side, (n, 2), generator=generator).tolist(), strict=True):
        image[:, top : top + side, left : left + side] = 1.0
    return obs


def shape(module: Any) -> tuple[int, ...]:
    return tuple(data(module, 1).shape[1:])


def latents(module: Any) -> int:
    """Numbers of a latent: those that are asked for, or of a flow as many as an item has."""
    return getattr(module.config, "latent", 0) or module.latent_spec.size


def condition(module: Any, n: int) -> tuple[torch.Tensor, ...]:
    """What the model's methods take besides the data."""
    conditional = "label" in module.inputs and not offers(module, "classify")
    return (torch.arange(n) % module.config.classes,) if conditional else ()


def batch(module: Any, n: int, seed: int = 0) -> Any:
    obs = data(module, n, seed)
    if kind(module) == "source":
        mask, marks = torch.arange(6) < 3 + torch.arange(n)[:, None] % 4, torch.arange(6).expand(n, 6) % 2
        return (obs, mask, *([marks] if "answer" in module.inputs else []), obs.where(mask, 0), mask)
    if "tokens_mask" in module.inputs:
        return obs, torch.arange(12) < 6 + torch.arange(n)[:, None] % 7
    if "other" in module.inputs:
        return obs, 1 - data(module, n, seed + 1)
    labels = obs[:, 0] if kind(module) == "tokens" else torch.arange(n)
    if "place" in module.inputs:
        return obs, labels % module.config.classes, torch.tensor([4, 20]) + 4 * torch.arange(n)[:, None] % 8
    return (obs, labels % module.config.classes) if "label" in module.inputs else obs


def stream(module: Any, start: int = 0):
    return (data(module, 32, seed) for seed in itertools.count(start))


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ready(case: str, options: dict[str, Any] | None = None) -> Any:
    module = make(case, options)
    if isinstance(module, Estimates):
        module.estimate(stream(module), noise())
    return module.eval()


def objectives(module: Any, n: int, seed: int = 0):
    """What one training step serves, in turn: the part it trains ("" is the whole model), its loss and metrics."""
    if isinstance(module, HasObjectives):
        yield from module.objectives([batch(module, n)] * module.batches_per_step, seed, noise(seed))
    else:
        yield ("", *module.loss(batch(module, n), noise(seed)))


def losses(module: Any, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Each objective's last loss by the part that it trains."""
    return {part: loss for part, loss, *_ in objectives(module, n, seed)}


def outputs(module: Any) -> tuple[torch.Tensor, ...]:
    """What it makes of data or, where it takes none, of noise."""
    if offers(module, "encode"):
        return module.encode(data(module, 3), *condition(module, 3))
    if offers(module, "translate"):
        return (module.translate(data(module, 3), "forward"),)
    if offers(module, "restyle"):
        return (module.restyle(data(module, 3)),)
    if offers(module, "log_prob"):
        return (module.log_prob(data(module, 3), *condition(module, 3)),)
    if offers(module, "answer"):
        return (answered(module),)
    if offers(module, "fill"):
        return (module.fill(data(module, 3), torch.arange(12).expand(3, 12) % 3 == 0),)
    if offers(module, "classify"):
        return (module.classify(data(module, 3)),)
    return (draw(module, 3, noise()),) if offers(module, "sample") else (module(data(module, 3)),)


def answered(module: Any, n: int = 3, **dials: Any) -> torch.Tensor:
    given = batch(module, n)[:-2]
    return module.answer(*given, sampling=module.Sampling(**dials), generator=noise(dials.get("length", 1)))


def trained(module: Any, part: str) -> dict[str, torch.nn.Parameter]:
    named = module.get_submodule(part).named_parameters()
    return {key: each for key, each in named if each.requires_grad}


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


def at(resolution: int, part: torch.Tensor) -> torch.Tensor:
    """Images of this height, all else as it is."""
    return torch.nn.functional.adaptive_avg_pool2d(part, resolution) if part.ndim == 4 else part


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
    elif capability == "stream":
        stream = module.stream(obs[0], module.Sampling(), noise(1))
        assert all(0 <= token < config.vocabulary for token in itertools.islice(stream, 5))
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


class Held:
    """What a view of a run may ask for, without a run."""

    def __init__(self, module: Any):
        self.module, self.classes = module, ("a", "b", "c") if condition(module, 1) else ()

    def names(self, field: str) -> tuple[str, ...]:
        return FIELDS[field].names

    def codes(self, count: int, seed: int) -> tuple[torch.Tensor, ...]:
        module, more = self.module, condition(self.module, count)
        if offers(module, "encode"):
            return module.encode(data(module, count, seed), *more)[0], *more
        return torch.randn(count, module.latent_spec.size, generator=noise(seed)), *more

    def held_out(self, count: int) -> tuple[torch.Tensor, ...]:
        found = batch(self.module, count)
        return found if isinstance(found, tuple) else (found,)

    def attributes(self) -> dict[str, torch.Tensor]:
        return {}


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
TURNED |= {"style": 2, "solver": "euler", "noise": 0.0, "truncation": 0.0}
"""Another value of every dial that a model has."""


SHORT = {"length": 60, "steps": 4}
"""What a sample takes less time with."""


def check_dials(module: Any) -> None:
    """No dial is without effect; without temperature nothing is left to chance, but for the choice of a component."""
    kind, more = module.Sampling, condition(module, 12)
    dials = {each.name: TURNED[each.name] for each in dataclasses.fields(kind)}
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
