"""`generative evaluate`: the figures that a model's capabilities allow, each with reference and baseline."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from generative import offers
from generative.capabilities import draw
from generative.core.facts import Facts
from generative.core.files import write_json
from generative.core.run_folder import TrainingRun
from generative.data import Data, Modes
from generative.latent.interpolation import encode_means
from generative.metrics import (
    Extractor,
    Figure,
    coverage,
    high_quality_share,
    measure,
    measure_code,
    measure_path,
    modes_covered,
    pair_distance,
    random_convolutions,
)
from scripts.generative.assembly import open_run
from scripts.generative.items import codes, decoder, places, take
from scripts.generative.verdicts import verdicts

OF_SAMPLES = ("FD", "KD", "precision", "recall", "density", "coverage", "NDB", "vendi", "memorisation")
OF_PAIRS = ("MSE", "PSNR", "SSIM")
OF_FACTORS = ("linear-probe", "neighbour-probe", "MIG")
HEADLINES = (
    *("nats per point", "coverage[points]", "bits per number"),
    *("FD[random-convolutions]", "accuracy", "MSE", "linear-probe"),
)
"""The figure that stands for a model: the first of these that it has."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How much to measure with."""

    samples: int = 1000
    """Samples, training images and held-out images at most, each; figures of unequal numbers do not compare."""
    seed: int = 0
    """Of samples and of what the metrics draw."""

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise ValueError(f"samples={self.samples}: too few for a distance between distributions; give 100 or more")


def main(run: TrainingRun, options: EvaluateOptions) -> Sequence[str]:
    """Write `evaluation.json` and return a line for each figure and verdict."""
    module, data = open_run(run)
    facts = evaluate(run, module, data, options)
    lines = [
        f"{row['name']:28} {row['value']:10.4g}   real {_number(row['reference']):>9}   "
        f"{row['baseline']} {_number(row['baseline_value'])}   ({row['better']} is better, {row['samples']} samples)"
        for row in facts["figures"]
    ]
    lines += [f"{each['problem']}: {each['evidence']}. {each['remedy']}" for each in facts["verdicts"]]
    return [*lines, f"figures: {run.path / 'evaluation.json'}"]


def evaluate(run: TrainingRun, module: nn.Module, data: Data, options: EvaluateOptions) -> Facts:
    """Measure a model, write `evaluation.json` and return what stands in it."""
    found = [dataclasses.asdict(each) for each in figures(module, data, options)]
    headline = next((row for name in HEADLINES for row in found if row["name"] == name), None)
    judged = [dataclasses.asdict(each) for each in verdicts(run, module, data, options.samples, options.seed)]
    facts = {
        "samples": options.samples,
        "seed": options.seed,
        "headline": headline,
        "beats_baseline": None if headline is None else beats(headline),
        "figures": found,
        "verdicts": judged,
    }
    write_json(run.path / "evaluation.json", facts)
    return facts


def beats(row: Facts) -> bool:
    """Return whether a figure is better than its baseline."""
    return row["value"] < row["baseline_value"] if row["better"] == "lower" else row["value"] > row["baseline_value"]


@torch.no_grad()
def figures(module: nn.Module, data: Data, options: EvaluateOptions) -> Iterator[Figure]:
    """Yield the figures, those of samples first."""
    if data.item.kind == "point":
        if offers(module, "sample"):
            yield from _of_points(module, data, options)
        return
    if data.item.kind == "row":
        yield from _of_rows(module, data, options)
        return
    if data.item.kind != "image":
        return
    count = min(options.samples, len(data), len(data.held_out()))
    train, held = take(module, data, count), take(module, data.held_out(), count)
    if offers(module, "sample"):
        yield from _of_samples(module, train.values, held.values, options)
    if offers(module, "reconstruct"):
        model: Any = module
        parts = zip(held.values.split(256), *(each.split(256) for each in held.condition), strict=True)
        back = torch.cat([model.reconstruct(*part) for part in parts]).clamp(0, 1)
        for name in OF_PAIRS:
            yield measure(name, back, train.values, held.values, seed=options.seed)
    if hasattr(cast(Any, module).config, "levels"):
        yield _bits(module, train.values, held.values)
    if offers(module, "classify"):
        yield _accuracy(module, data, held.values, held.condition[0])
    if offers(module, "encode"):
        yield from _of_codes(module, data, options)
    if offers(module, "decode"):
        ends = codes(module, data, 64, options.seed)
        pairs = (len(ends.values) + 1) // 2
        first, last = ends.values[:pairs], ends.values[pairs:]
        decode = decoder(module, ends.condition)
        for name in ("relative-path-length", "spike-ratio"):
            yield measure_path(name, lambda z: decode(z).clamp(0, 1), first[: len(last)], last)


def _of_samples(module: nn.Module, train: Tensor, held: Tensor, options: EvaluateOptions) -> Iterator[Figure]:
    count = min(len(train), len(held))
    made = draw(module, count, torch.Generator().manual_seed(options.seed)).clamp(0, 1)
    extractor = Remembering.of(random_convolutions(train.shape[1]), train, held, made)
    mixed = independent_pixels(train, count, options.seed)
    for name in OF_SAMPLES:
        figure = measure(name, made, train, held, extractor, seed=options.seed)
        if name == "FD":  # noise is no opponent; the right share of every pixel by itself is one
            naive = measure(name, mixed, train, held, extractor, seed=options.seed)
            figure = dataclasses.replace(figure, baseline_value=naive.value, baseline="independent pixels")
        yield figure


@dataclass(frozen=True)
class Remembering(Extractor):
    """An extractor that looks only once at the sets of images that every metric asks about."""

    kept: tuple[tuple[Tensor, Tensor], ...] = ()
    """Images, and their features."""

    @classmethod
    def of(cls, extractor: Extractor, *sets: Tensor) -> "Remembering":
        """Return one that gives the same features, and remembers those of some sets."""
        kept = tuple((images, extractor(images)) for images in sets)
        return cls(extractor.name, extractor.hash, extractor.function, kept)

    def __call__(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """Return the features; see `Extractor`."""
        for known, features in self.kept:
            if known is images:
                return features
        return super().__call__(images)


def independent_pixels(images: Tensor, count: int, seed: int) -> Tensor:
    """Return images of which every number comes from another image: each right by itself, nothing fits together."""
    generator = torch.Generator().manual_seed(seed)
    flat = images.flatten(1)
    rows = torch.randint(len(flat), (count, flat.shape[1]), generator=generator)
    return flat.gather(0, rows).unflatten(1, images.shape[1:])


def _of_points(module: nn.Module, data: Data, options: EvaluateOptions) -> Iterator[Figure]:
    real, held = (take(module, part, options.samples).values for part in (data, data.held_out()))
    generator = torch.Generator().manual_seed(options.seed)
    made = draw(module, len(held), generator)
    spread = torch.linalg.cholesky(torch.cov(real.T.double()))
    gaussian = (real.mean(0) + torch.randn(len(held), real.shape[1], generator=generator).double() @ spread.T).float()
    modes, density = cast(Modes, data.modes), cast(Any, data.log_prob)
    centres, radius = torch.from_numpy(modes.centres), 3 * modes.spread
    what = {
        "coverage[points]": lambda points: coverage(real.double(), points.double()),
        "modes covered": lambda points: float(modes_covered(points, centres, radius=radius)),
        "high-quality share": lambda points: high_quality_share(points, centres, radius=radius),
    }
    for name, function in what.items():
        value, reference, baseline_value = (function(points) for points in (made, held, gaussian))
        yield Figure(name, value, reference, baseline_value, "one Gaussian", "higher", None, len(held))
    if offers(module, "log_prob"):
        bell = MultivariateNormal(real.mean(0).double(), scale_tril=spread)
        value, baseline_value = (
            -float(said.mean()) for said in (cast(Any, module).log_prob(held), bell.log_prob(held.double()))
        )
        reference = -float(density(held.numpy()).mean())
        yield Figure("nats per point", value, reference, baseline_value, "one Gaussian", "lower", None, len(held))


def _of_rows(module: nn.Module, data: Data, options: EvaluateOptions) -> Iterator[Figure]:
    """Yield how likely held-out rows are, and how well samples know which values go together."""
    model: Any = module
    train, held = (take(module, part, options.samples).values for part in (data, data.held_out()))
    if offers(module, "log_prob"):
        fair = math.log(2) * len(data.item.sizes)  # nats per row to bits per number
        value, uniform = -float(model.log_prob(held).mean()) / fair, math.log(math.prod(data.item.sizes)) / fair
        reference = -float(data.log_prob(held.numpy()).mean()) / fair if data.log_prob else math.nan
        yield Figure("bits per number", value, reference, uniform, "all values alike", "lower", None, len(held))
    if offers(module, "sample"):
        generator = torch.Generator().manual_seed(options.seed)
        made = draw(module, len(held), generator)
        mixed = train.gather(0, torch.rand(train.shape, generator=generator).argsort(0))
        value, reference, baseline_value = (pair_distance(held, rows, data.item.sizes) for rows in (made, train, mixed))
        yield Figure(
            "pair distance", value, reference, baseline_value, "independent features", "lower", None, len(held)
        )


def _bits(module: nn.Module, train: Tensor, held: Tensor) -> Figure:
    """Return the likelihood of a model that counts: a fair code needs so many bits for each number of an image."""
    model: Any = module
    value, reference = (float(-model.log_prob(each).mean()) / (math.log(2) * each[0].numel()) for each in (held, train))
    uniform = math.log2(model.config.levels)
    return Figure("bits per number", value, reference, uniform, "all values alike", "lower", None, len(held))


def _accuracy(module: nn.Module, data: Data, images: Tensor, labels: Tensor) -> Figure:
    said = torch.cat([module(part).argmax(1) for part in images.split(256)])
    right = float((said == labels).double().mean())
    common = float(torch.bincount(labels, minlength=len(data.names("label"))).max() / len(labels))
    return Figure("accuracy", right, 1.0, common, "commonest class", "higher", None, len(labels))


def _of_codes(module: nn.Module, data: Data, options: EvaluateOptions) -> Iterator[Figure]:
    held = data.held_out()
    items = take(module, held, options.samples)
    means = encode_means(module, items.values, items.condition)
    yield measure_code("active-units", means, seed=options.seed)
    if "factors" in data.fields:
        factors = torch.from_numpy(held.get("factors", places(held, options.samples)))
        for name in OF_FACTORS:
            yield measure_code(name, means, factors, seed=options.seed)


def _number(value: float) -> str:
    return f"{value:.4g}"
