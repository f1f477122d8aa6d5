"""From a model's output to a `Figure`: value, draws of real data and baselines by the same function on equal numbers.

One function for each thing that a metric can need. All draw subsets by seed, so a figure is a function of its
arguments.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.options import ComponentError
from generative.features.checks import draw, features64, unit_images
from generative.features.extractors import Extractor
from generative.metrics.figure import NOTHING, Figure, against
from generative.metrics.images import continuity, lipschitz
from generative.metrics.images.neighbours import copies
from generative.metrics.registry import METRICS, Metric, Needs
from generative.metrics.sequences.answers import Shares, share_distance

DRAWS = 8
"""Draws of real data."""
MOST_SAMPLES = 5_000  # metrics of neighbours grow with its square


@dataclass(frozen=True)
class Sets:
    """Features of equally many real items, other draws of real items, samples and what baselines made."""

    real: Float[Tensor, "N F"]
    draws: Sequence[Float[Tensor, "N F"]]
    samples: Float[Tensor, "N F"]
    baselines: Mapping[str, Float[Tensor, "N F"]] = field(default_factory=dict)
    extractor: str = "items"
    """Name of what saw them."""
    label: str | None = None
    """Name and hash of what saw them."""


def sets_of(
    extractor: Extractor,
    real: Float[Tensor, "N C H W"],
    draws: Sequence[Float[Tensor, "..."]],
    samples: Float[Tensor, "..."],
    baselines: Mapping[str, Float[Tensor, "..."]],
) -> Sets:
    """Return the features of images in [0, 1].

    Raises:
        ComponentError: sets of unequal sizes or shapes, which would not compare, or images outside [0, 1].
    """
    others = {f"draw {number}": each for number, each in enumerate(draws)}
    for name, images in {"samples": samples, **baselines, **others}.items():
        if images.shape != real.shape:
            raise ComponentError(f"{name} of {tuple(images.shape)}: real ones are {tuple(real.shape)}; give as many")
        if images is not samples and torch.equal(images, real):
            raise ComponentError(f"{name}: are the real images themselves, so a distance would be 0; draw others")
    return Sets(
        extractor(real),
        [extractor(each) for each in draws],
        extractor(samples),
        {name: extractor(each) for name, each in baselines.items()},
        extractor.name,
        extractor.label,
    )


def real_draws(
    count: int, size: int, seed: int, draws: int = DRAWS
) -> tuple[Int[Tensor, " N"], list[Int[Tensor, " N"]]]:
    """Return the rows of real data to compare with, and those of several draws of the others.

    Draws share rows with one another only where there are not enough, never with those to compare with.

    Args:
        count: how many real items there are.
        size: rows of each set.
        seed: chooses them.
        draws: how many draws.

    Raises:
        ComponentError: there are fewer than twice `size`.
    """
    if count < 2 * size:
        raise ComponentError(f"samples={size}: {count} real items cannot be parted in two; give {count // 2} or less")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator)
    real, others = order[:size], order[size:]
    found, left = [], others
    for _ in range(draws):
        if len(left) < size:
            left = others[torch.randperm(len(others), generator=generator)]
        found.append(left[:size])
        left = left[size:]
    return real, found


def measure(name: str, sets: Sets) -> Figure:
    """Return a metric of two sets with its scale: samples, draws of real items and baselines against real items.

    Raises:
        ComponentError: unknown metric, or one of another kind.
    """
    metric = _expect(name, "sets", "measure")
    value, *draws = (metric(sets.real, each) for each in (sets.samples, *sets.draws))
    made = {each: metric(sets.real, features) for each, features in sets.baselines.items()}
    resolution = 1 / len(sets.samples) if metric.share else 0.0
    return against(
        f"{name}[{sets.extractor}]", value, draws, made, metric.better, len(sets.samples),
        extractor=sets.label, resolution=resolution,
    )  # fmt: skip


def measure_memorisation(
    train: Float[Tensor, "T F"],
    held_out: Float[Tensor, "M F"],
    samples: Float[Tensor, "N F"],
    extractor: Extractor,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Figure:
    """Return the share of samples that copy a training item, beside that of draws of held-out items.

    Args:
        train: features of the whole training set.
        held_out: of items that were held out.
        samples: of generated items.
        extractor: what saw them all.
        seed: of the draws.
        draws: how many of them, each of as many items as there are samples where that many were held out.
    """
    made, real = copies(train, torch.cat([samples, held_out])).double().tensor_split([len(samples)])
    count = min(len(samples), max(1, len(real) // 2))
    references = [float(draw(real, count, seed + number).mean()) for number in range(draws)]
    return against(
        f"memorisation[{extractor.name}]", float(made.mean()), references, {"copies": 1.0}, "lower", len(samples),
        extractor=extractor.label, resolution=1 / count,
    )  # fmt: skip


def measure_answers(
    real: Shares,
    draws: Sequence[Shares],
    samples: Shares,
    baselines: Mapping[str, Shares],
    extractor: Extractor,
    count: int,
) -> Figure:
    """Return how differently a judge answers of samples and of real images: at the worst answer, in standard errors.

    Args:
        real: shares of answers among real images.
        draws: among other draws of real images.
        samples: among generated ones.
        baselines: among those that cost nothing, by name.
        extractor: the judge as extractor, for its name.
        count: images of each set.
    """
    value, *references = (share_distance(real, each, count) for each in (samples, *draws))
    made = {name: share_distance(real, each, count) for name, each in baselines.items()}
    name = f"answers[{extractor.name}]"
    return against(name, value, references, made, "lower", count, extractor=extractor.label)


def measure_pairs(
    name: str,
    originals: Float[Tensor, "N C H W"],
    copies: Float[Tensor, "M C H W"],
    baselines: Mapping[str, Float[Tensor, "N C H W"]],
    *,
    needs: Literal["pairs", "twins", "cycles"] = "pairs",
    direction: str = "",
) -> Figure:
    """Return a metric of reconstructions or translations with those of baselines; real data have no such figure.

    Args:
        name: of a metric that needs what `needs` says.
        originals: images to compare with.
        copies: reconstructions, translations, or what came back from there.
        baselines: the same of what costs nothing.
        needs: what the images are.
        direction: of a translation.

    Raises:
        ComponentError: unknown metric, one of another kind, images outside [0, 1] or unequally many.
    """
    metric = _expect(name, needs, "measure_pairs")
    if copies.shape != originals.shape:
        raise ComponentError(f"{name}: copies of {tuple(copies.shape)} for {tuple(originals.shape)}; give one for each")
    unit_images("originals", originals), unit_images("copies", copies)
    made = {each: metric(originals, images) for each, images in baselines.items()}
    title = f"{name}[{direction}]" if direction else name
    return Figure(
        title, metric(originals, copies), NOTHING, NOTHING, NOTHING, made, metric.better, None, len(originals)
    )


def measure_kept(
    name: str,
    before: Mapping[str, Int[Tensor, " N"]],
    after: Mapping[str, Int[Tensor, " N"]],
    baselines: Mapping[str, Mapping[str, Int[Tensor, " N"]]],
    extractor: Extractor,
) -> Iterator[Figure]:
    """Yield a metric of all answers of a judge about reconstructions, then of the answers to each question alone.

    A baseline of its own is the answer that is commonest about the originals: what a reconstruction gets by chance.

    Args:
        name: of a metric that needs answers.
        before: what a judge answers of images, by question.
        after: what it answers of their reconstructions.
        baselines: of other reconstructions, by name.
        extractor: the judge as extractor, for its name.

    Raises:
        ComponentError: unknown metric, or one of another kind.
    """
    metric = _expect(name, "answers", "measure_kept")
    chance = {each: said.mode().values.expand_as(said) for each, said in before.items()}

    def figure(questions: Sequence[str], title: str) -> Figure:
        def value(said: Mapping[str, Tensor]) -> float:
            first, second = (torch.stack([each[question] for question in questions], 1) for each in (before, said))
            return metric(first, second)

        made = {each: value(said) for each, said in {**baselines, "commonest answer": chance}.items()}
        rows = len(before[questions[0]])
        return Figure(title, value(after), NOTHING, NOTHING, NOTHING, made, metric.better, extractor.label, rows)

    yield figure(list(before), f"{name}[{extractor.name}]")
    for each in before if len(before) > 1 else ():
        yield figure([each], f"{name} {each}[{extractor.name}]")


def measure_code(
    name: str,
    codes: Float[Tensor, "N Z"],
    factors: Float[Tensor, "M K"] | None = None,
    others: Mapping[str, Float[Tensor, "N P"]] | None = None,
    *,
    seed: int = 0,
    most: int = MOST_SAMPLES,
) -> Figure:
    """Return a metric of latent codes with its scale.

    With factors, the reference is the factors as their own code, the baselines the codes shuffled over images and
    `others`. Without, the reference is a sample of the prior N(0, I) and the baseline a code that is 0 for every image.

    Args:
        name: of a metric that needs latents, or factors.
        codes: what the encoder says of held-out images: means for active units and factors, samples for the gap.
        factors: the truth of the same images.
        others: codes of the same images by baselines, such as principal components, by name.
        seed: chooses rows, shuffles and draws from the prior.
        most: rows at most.

    Raises:
        ComponentError: unknown metric, one of another kind, factors missing, or unequal rows.
    """
    metric = METRICS.find(name)
    generator = torch.Generator().manual_seed(seed)
    rows, codes = len(codes), features64("codes", draw(codes, most, seed))
    if metric.needs == "latents":
        prior = torch.randn(codes.shape, generator=generator, dtype=torch.float64)
        value, reference, worst = (metric(each) for each in (codes, prior, torch.zeros_like(codes)))
        return Figure(name, value, reference, NOTHING, NOTHING, {"one point": worst}, metric.better, None, len(codes))
    _expect(name, "factors", "measure_code")
    if factors is None:
        raise ComponentError(f"{name}: needs the true factors of the images; only made or simulated data have them")
    if len(factors) != rows:  # checked before rows are drawn, which would make them equally many
        raise ComponentError(f"factors: {len(factors)} rows for {rows} codes; both must describe the same images")
    factors = features64("factors", draw(factors, most, seed))
    made = {"shuffled code": codes[torch.randperm(len(codes), generator=generator)]}
    made |= {each: features64(each, draw(known, most, seed)) for each, known in (others or {}).items()}
    scores = {each: metric(known, factors) for each, known in made.items()}
    value, reference = metric(codes, factors), metric(factors, factors)
    return Figure(name, value, reference, NOTHING, NOTHING, scores, metric.better, None, len(codes))


def measure_path(
    name: str,
    decode: Callable[[Tensor], Tensor],
    start: Float[Tensor, "B Z"],
    end: Float[Tensor, "B Z"],
    extractor: Extractor | None = None,
    *,
    steps: int = 32,
    mode: Literal["linear", "spherical"] = "linear",
) -> Figure:
    """Return a metric of interpolations with its scale.

    The reference blends the images at both ends; the baseline switches between them at once (`spike-ratio`), or shows
    unrelated images at every step (lengths). Without an extractor, pixels are compared.

    Args:
        name: path-length, relative-path-length or spike-ratio.
        decode: latents (B Z) to images in [0, 1].
        start: latents to start from, 3 or more.
        end: latents to arrive at.
        extractor: what sees the images.
        steps: into how many pieces a path is cut.
        mode: how latents are joined: linear, or spherical for a normal prior.

    Raises:
        ComponentError: unknown metric, one of another kind, or as for the metric itself.
    """
    metric = _expect(name, "paths", "measure_path")
    see: Callable[[Tensor], Tensor] = extractor or (lambda images: images)
    with torch.no_grad():
        first, last = decode(start), decode(end)
    if name == "spike-ratio":
        baseline, worst = "hard switch", continuity.hard_switch(first, last)
    else:
        baseline, worst = "unrelated steps", continuity.unrelated_steps(first, last, steps)
    shares = torch.zeros(len(start), 1, device=start.device), torch.ones(len(start), 1, device=start.device)
    value = metric(lambda z: see(decode(z)), start, end, steps=steps, mode=mode)
    blend = continuity.crossfade(first, last)
    reference, baseline_value = (
        metric(lambda share, each=each: see(each(share)), *shares, steps=steps) for each in (blend, worst)
    )
    title = f"{name}[{extractor.name if extractor else 'pixels'}]"
    label = extractor.label if extractor else None
    return Figure(
        title, value, reference, NOTHING, NOTHING, {baseline: baseline_value}, metric.better, label, len(start)
    )


def measure_lipschitz(
    critic: nn.Module,
    samples: Float[Tensor, "N ..."],
    train: Float[Tensor, "M ..."],
    held_out: Float[Tensor, "K ..."],
    *,
    seed: int = 0,
    most: int = 256,
) -> Figure:
    """Return the steepest gradient of a critic on samples, real images and mixtures of both.

    The reference is its steepest slope between real images, training against held-out; the baseline is the upper bound
    from its weights. A 1-Lipschitz critic has a value of at most 1.

    Args:
        critic: a sequential module, see `lipschitz_upper`.
        samples: generated inputs.
        train: real inputs.
        held_out: other real inputs.
        seed: chooses rows, shares of the mixtures and directions.
        most: rows at most of each set.

    Raises:
        ComponentError: a layer without known bound, or equal training and held-out inputs.
    """
    count = min(len(samples), len(train), len(held_out), most)
    samples, train, held_out = (draw(rows, count, seed) for rows in (samples, train, held_out))
    share = torch.rand(count, *[1] * (train.ndim - 1), generator=torch.Generator().manual_seed(seed)).to(train)
    points = torch.cat([samples, train, share * samples + (1 - share) * train])
    bounds = lipschitz.lipschitz_bounds(critic, points, seed=seed)
    training = critic.training
    reference = lipschitz.slope(critic.eval(), train, held_out)
    critic.train(training)
    made = {"weights": bounds.upper}
    return Figure("lipschitz", bounds.lower, reference, NOTHING, NOTHING, made, "lower", None, len(points))


def _expect(name: str, needs: Needs, place: str) -> Metric:
    metric = METRICS.find(name)
    if metric.needs != needs:
        raise ComponentError(f"{name}: needs {metric.needs}, which {place} does not take; use {_PLACES[metric.needs]}")
    return metric


_PLACES: dict[Needs, str] = {
    "sets": "measure",
    "pairs": "measure_pairs",
    "twins": "measure_pairs",
    "cycles": "measure_pairs",
    "latents": "measure_code",
    "factors": "measure_code",
    "paths": "measure_path",
    "critic": "measure_lipschitz",
    "answers": "measure_kept",
    "replies": "METRICS",
    "texts": "METRICS",
    "rolls": "METRICS",
}
