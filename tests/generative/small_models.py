"""A small one of every registered model, with data that it takes."""

import itertools
from typing import Any

import torch

from generative import MODELS, Estimates, offers
from generative.capabilities import draw
from generative.core.component import HasObjectives
from generative.data import Field

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


def at(resolution: int, part: torch.Tensor) -> torch.Tensor:
    """Images of this height, all else as it is."""
    return torch.nn.functional.adaptive_avg_pool2d(part, resolution) if part.ndim == 4 else part


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
