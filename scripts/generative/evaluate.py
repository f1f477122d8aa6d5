"""`generative evaluate`: the figures that a model's capabilities allow, beside real data and what costs nothing."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from generative import ComponentError, offers
from generative.capabilities import HasLevels
from generative.core.facts import Facts
from generative.core.files import write_json
from generative.data import Data
from generative.features.questions import CLASSES
from generative.latent.interpolation import decoder, encode_means
from generative.metrics.baselines import Components, gaussian_bits
from generative.metrics.figure import NOTHING, Figure, against
from generative.metrics.measure import (
    measure,
    measure_answers,
    measure_code,
    measure_kept,
    measure_lipschitz,
    measure_memorisation,
    measure_pairs,
    measure_path,
)
from generative.metrics.registry import METRICS, metrics_that_need
from generative.metrics.sequences.answers import right_answers
from generative.runs.run_folder import TrainingRun
from scripts.generative.figures.looks import Looks, look, shares_by
from scripts.generative.figures.music import of_music
from scripts.generative.figures.numbers import of_codes, of_points, of_rows
from scripts.generative.figures.styled import of_styles
from scripts.generative.figures.texts import of_answers, of_tokens
from scripts.generative.figures.translated import of_translations, twins_known
from scripts.generative.figures.verdicts import verdicts
from scripts.generative.runs.assembly import open_run
from scripts.generative.runs.items import codes, inputs, places

HEADLINES = (
    *("nats per point", "coverage[points]", "bits per number", "exact match", "bits per token", "hidden tokens right"),
    *("nats per step", "nats per note", "tonal distance"),
    *("translation-error", "style and content missed", "FD", "accuracy", "answers right", "MSE"),
)
"""The figure that stands for a model: the first of these that it has, under whatever extractor."""
SECOND = ("FD", "precision")
"""Figures that fixed random convolutions give a second opinion of."""


@runtime_checkable
class HasCritic(Protocol):
    """A model with a critic whose steepest gradient can be measured."""

    critic: nn.Module


@dataclass(frozen=True)
class EvaluateOptions:
    """How much to measure, and by what."""

    samples: int = 1000
    """Samples, and real images of each draw, at most; figures of unequal numbers do not compare."""
    seed: int = 0
    """Of samples and of what the metrics draw."""
    extractor: str = "auto"
    """What sees images: auto for the judge of the data, random for fixed convolutions, pixels, or the folder of a
    trained classifier or encoder that is not among the models compared."""
    metrics: tuple[str, ...] = ()
    """Only these of the metrics that `generative list` names; the usual ones by default."""

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise ValueError(f"samples={self.samples}: too few for a distance between distributions; give 100 or more")
        for name in self.metrics:
            METRICS.find(name)


def main(run: TrainingRun, options: EvaluateOptions) -> Sequence[str]:
    """Write `evaluation.json` and return a line for each figure and verdict."""
    module, data = open_run(run)
    facts = evaluate(run, module, data, options)
    lines = [in_words(row) for row in facts["figures"]]
    lines += [f"{each['problem']}: {each['evidence']}. {each['remedy']}" for each in facts["verdicts"]]
    return [*lines, f"figures: {run.path / 'evaluation.json'}"]


def in_words(row: Facts) -> str:
    """Return a figure in a line."""
    real = "" if row["reference"] is None else f"real {row['reference']:.4g}"
    if row["low"] is not None:
        real += f" ({row['low']:.4g} to {row['high']:.4g}): {row['standing']}"
    rest = "" if row["baseline_value"] is None else f"{row['baseline']} {row['baseline_value']:.4g}"
    how = f"({row['better']} is better, {row['samples']} samples)"
    return f"{row['name']:28} {_number(row['value']):>10}   {real:42} {rest}   {how}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"


def evaluate(run: TrainingRun, module: nn.Module, data: Data, options: EvaluateOptions) -> Facts:
    """Measure a model, write `evaluation.json` and return what stands in it."""
    looks = look(run.config.data, module, data, options.samples, options.seed, options.extractor)
    found = [each.row() for each in figures(module, data, options, looks)]
    chosen = (row for name in HEADLINES for row in found if name in (row["name"], row["name"].split("[")[0]))
    headline = next(chosen, None)
    judged = [dataclasses.asdict(each) for each in verdicts(run, module, data, options.samples, options.seed, looks)]
    facts = {
        "samples": options.samples,
        "seed": options.seed,
        "headline": headline,
        "beats_baseline": headline and headline["beats_baseline"],
        "figures": found,
        "verdicts": judged,
    }
    write_json(run.path / "evaluation.json", facts)
    return facts


@torch.no_grad()
def figures(module: nn.Module, data: Data, options: EvaluateOptions, looks: Looks | None) -> Iterator[Figure]:
    """Yield the figures, those of samples first.

    Raises:
        ComponentError: a metric is asked for that the model's capabilities or data do not allow.
    """
    if data.item.kind == "codes":
        yield from of_codes(module, data, options.samples)
    if looks is not None:
        yield from of_images(looks, options)
    elif data.item.kind == "point":
        yield from of_points(module, data, options.samples, options.seed)
    elif data.item.kind == "row":
        yield from of_rows(module, data, options.samples, options.seed)
    elif offers(module, "answer"):
        _check_asked(options.metrics, "replies", data)
        yield from of_answers(module, data, options.samples, options.seed, options.metrics)
    elif data.item.kind in ("roll", "notes"):
        _check_asked(options.metrics, "rolls", data)
        yield from of_music(module, data, options.samples, options.seed, options.metrics)
    elif data.item.kind == "tokens":
        _check_asked(options.metrics, "texts", data)
        yield from of_tokens(module, data, options.samples, options.seed, options.metrics)


def _check_asked(names: Sequence[str], needs: str, data: Data) -> None:
    for name in names:
        if METRICS.find(name).needs != needs:
            known = ", ".join(each for each in METRICS.names() if METRICS.find(each).needs == needs)
            raise ComponentError(f"{name}: not for a model of {data.name}, which has {needs}; ask for {known}")


def of_images(looks: Looks, options: EvaluateOptions) -> Iterator[Figure]:
    """Yield the figures of a model of images."""
    translates = offers(looks.module, "translate")
    allowed = {
        "sets": offers(looks.module, "sample") or translates,
        "twins": translates and twins_known(looks.module, looks.data),
        "cycles": translates,
        "pairs": offers(looks.module, "reconstruct"),
        "latents": offers(looks.module, "encode"),
        "factors": offers(looks.module, "encode") and "factors" in looks.data.fields,
        "paths": offers(looks.module, "decode"),
        "answers": offers(looks.module, "reconstruct") and bool(_questions(looks)),
        "critic": isinstance(looks.module, HasCritic) and offers(looks.module, "sample"),
    }
    for name in options.metrics:
        if not allowed.get(METRICS.find(name).needs, False):
            needs = METRICS.find(name).needs
            raise ComponentError(f"{name}: needs {needs}, which this model on {looks.data.name} does not have")
    asked = options.metrics
    if offers(looks.module, "sample"):
        yield from _of_samples(looks, asked)
    if translates:
        yield from of_translations(looks, asked)
    if offers(looks.module, "restyle") and not asked:
        yield from of_styles(looks)
    if allowed["pairs"]:
        yield from _of_pairs(looks, asked)
    for name in metrics_that_need("answers", asked) if allowed["answers"] else ():
        yield from _kept(name, looks)
    if not asked and isinstance(looks.module, HasLevels) and offers(looks.module, "log_prob"):
        yield _bits(looks)
    if not asked and offers(looks.module, "classify"):
        yield _accuracy(looks)
    if allowed["latents"]:
        yield from _of_codes(looks, asked)
    if allowed["paths"]:
        yield from _of_paths(looks, asked)
    for name in metrics_that_need("critic", asked) if allowed["critic"] else ():
        assert name == "lipschitz" and looks.made is not None
        critic = cast(HasCritic, looks.module).critic
        yield measure_lipschitz(critic, looks.made, looks.real, looks.held.values, seed=looks.seed)


def _of_samples(looks: Looks, asked: tuple[str, ...]) -> Iterator[Figure]:
    assert looks.made is not None
    names = metrics_that_need("sets", asked)
    for name in names:
        yield measure(name, looks.sets)
    if looks.judge is not None and not asked:
        real, made, *draws = (shares_by(looks, each) for each in (looks.real, looks.made, *looks.draws))
        nothing = {name: shares_by(looks, each) for name, each in looks.made_for_nothing.items()}
        yield measure_answers(real, draws, made, nothing, looks.extractor, looks.count)
        if "label" in inputs(looks.module) and CLASSES in looks.judge.questions.answers:
            yield classes_right(looks)
    if not asked:
        see = looks.thumbnail
        yield measure_memorisation(looks.thumbnails, see(looks.held.values), see(looks.made), see, seed=looks.seed)
    if looks.extractor.name != "random-convolutions":
        for name in SECOND:
            if name in names:
                yield measure(name, looks.second_opinion)


def _of_pairs(looks: Looks, asked: tuple[str, ...]) -> Iterator[Figure]:
    assert looks.back is not None
    for name in metrics_that_need("pairs", asked):
        if name == "SSIM" and min(looks.real.shape[2:]) < LEAST_SSIM:
            continue
        yield measure_pairs(name, looks.held.values, looks.back, looks.copied_for_nothing)
    if looks.judge is not None and looks.judge.questions.answers and not asked:
        yield answers_right(looks, looks.back)


LEAST_SSIM = 11
"""Pixels of the window of structural similarity."""


def answers_right(looks: Looks, back: Tensor) -> Figure:
    """Return how often the judge reads the truth off reconstructions, the mean over questions.

    The reference is how often it does so off the originals.
    """
    assert looks.judge is not None
    held, judge = looks.data.held_out(), looks.judge.judge
    truth = looks.judge.truth(held, places(held, len(back)))

    def right(images: Tensor) -> float:
        return float(right_answers(judge.says(images), truth).mean())

    parts = zip(looks.held.values.chunk(4), truth.chunk(4), strict=True)
    draws = [float(right_answers(judge.says(images), answers).mean()) for images, answers in parts]
    nothing = {name: right(each) for name, each in looks.copied_for_nothing.items()}
    title, label = f"answers right[{looks.extractor.name}]", looks.extractor.label
    found = against(title, right(back), draws, nothing, "higher", len(back), extractor=label)
    return dataclasses.replace(found, reference=right(looks.held.values))


def classes_right(looks: Looks) -> Figure:
    """Return how often the judge sees the class in a sample that the model was asked for, all classes in turn.

    The reference is how often it sees the class of held-out images; beside it stand samples of any class.
    """
    assert looks.judge is not None and looks.made is not None
    judge, kinds = looks.judge.judge, looks.judge.questions.answers[CLASSES]

    def right(images: Tensor, labels: Tensor) -> float:
        return float((judge.says(images)[CLASSES].argmax(1) == labels).double().mean())

    parts = zip(looks.held.values.chunk(4), looks.held.condition[0].chunk(4), strict=True)
    title, draws = f"class asked for[{looks.extractor.name}]", [right(*part) for part in parts]
    value = right(looks.made, torch.arange(looks.count) % kinds)
    nothing = {"any class": 1 / kinds}
    return against(title, value, draws, nothing, "higher", looks.count, extractor=looks.extractor.label)


def _questions(looks: Looks) -> list[str]:
    """Return what the judge is asked of reconstructions: class and attributes, or all it knows where there are none."""
    if looks.judge is None:
        return []
    known = list(looks.judge.questions.answers)
    return [name for name in known if name in (CLASSES, *looks.data.names("attributes"))] or known


def _kept(name: str, looks: Looks) -> Iterator[Figure]:
    assert looks.judge is not None and looks.back is not None
    judge = looks.judge.judge

    def answers(images: Tensor) -> dict[str, Tensor]:
        said = judge.says(images)
        return {question: said[question].argmax(1) for question in _questions(looks)}

    nothing = {each: answers(images) for each, images in looks.copied_for_nothing.items()}
    yield from measure_kept(name, answers(looks.held.values), answers(looks.back), nothing, looks.extractor)


def _bits(looks: Looks) -> Figure:
    """Return the likelihood of a model that counts: a fair code needs so many bits for each number of an image."""
    model: Any = looks.module
    held = looks.held.values
    value = float(-model.log_prob(held).mean()) / (math.log(2) * held[0].numel())
    levels = int(model.levels)
    train, seen = ((each * (levels - 1)).round().long().flatten(1) for each in (looks.train, held))
    counts = torch.stack([(train == level).double().sum(0) for level in range(levels)]) + 1 / levels
    apart = -(counts / counts.sum(0)).log2().gather(0, seen).mean()
    nothing = {
        "independent pixels": float(apart),
        "all values alike": math.log2(levels),
        "one Gaussian": gaussian_bits(train.double(), seen.double(), looks.seed),
    }
    return Figure("bits per number", value, NOTHING, NOTHING, NOTHING, nothing, "lower", None, len(held))


def _accuracy(looks: Looks) -> Figure:
    images, labels = looks.held.values, looks.held.condition[0]
    right = float((torch.cat([looks.module(part).argmax(1) for part in images.split(256)]) == labels).double().mean())
    away = torch.cdist(images.flatten(1), looks.train.flatten(1), compute_mode="use_mm_for_euclid_dist")
    known = torch.from_numpy(looks.data.get("label", places(looks.data, len(looks.train))))
    nothing = {
        "nearest training image": float((known[away.argmin(1)] == labels).double().mean()),
        "commonest class": float(torch.bincount(labels).max() / len(labels)),
    }
    return Figure("accuracy", right, 1.0, NOTHING, NOTHING, nothing, "higher", None, len(labels))


def _of_codes(looks: Looks, asked: tuple[str, ...]) -> Iterator[Figure]:
    held, items = looks.data.held_out(), looks.held
    means = encode_means(looks.module, items.values, items.condition)
    for name in metrics_that_need("latents", asked):
        yield measure_code(name, means, seed=looks.seed)
    names = metrics_that_need("factors", asked)
    if "factors" in looks.data.fields and names:
        factors = torch.from_numpy(held.get("factors", places(held, len(items.values))))
        parts = Components.of(looks.train, looks.latents, looks.seed)
        others = {f"{len(parts.directions)} principal components": parts.encode(items.values)}
        for name in names:
            yield measure_code(name, means, factors, others, seed=looks.seed)


def _of_paths(looks: Looks, asked: tuple[str, ...]) -> Iterator[Figure]:
    ends = codes(looks.module, looks.data, 64, looks.seed)
    pairs = (len(ends.values) + 1) // 2
    first, last = ends.values[:pairs], ends.values[pairs:]
    decode = decoder(looks.module, ends.condition)
    for name in metrics_that_need("paths", asked):
        yield measure_path(name, lambda z: decode(z).clamp(0, 1), first[: len(last)], last)
