"""From a model's output to a `Figure`: value, reference and baseline by the same function on equal numbers.

`measure` serves every metric of images; codes, paths, critics and seeds have a function each, since they take other
things. All draw subsets by seed, so a figure is a function of its arguments.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative.core.options import ComponentError
from generative.features.checks import draw, features64, unit_images
from generative.features.extractors import Extractor
from generative.metrics import continuity, lipschitz
from generative.metrics.figure import Figure, Metric, Need, find_metric
from generative.metrics.stability import spread_over_seeds

MOST_SAMPLES = 5_000  # metrics of neighbours grow with its square


def measure(
    name: str,
    samples: Float[Tensor, "N C H W"],
    train: Float[Tensor, "M C H W"],
    held_out: Float[Tensor, "K C H W"],
    extractor: Extractor | None = None,
    *,
    seed: int = 0,
    most: int = MOST_SAMPLES,
) -> Figure:
    """Return a metric of images with its scale.

    A metric of two sets compares samples with training images; its reference compares held-out with training images
    and its baseline something bad with them. A metric of pairs takes `samples` as reconstructions of `held_out`, row by
    row; its reference looks every held-out image up among the training images (the nearest by pixels), which a model
    that generalises beats.

    Args:
        name: of a metric that needs images and an extractor, or pairs; see `METRICS`.
        samples: generated images, or reconstructions of `held_out`, in [0, 1].
        train: real images that the model was trained on.
        held_out: real images that it never saw.
        extractor: what sees the images; none for metrics of pairs.
        seed: chooses rows where there are more than `most` or unequally many, and draws the noise.
        most: rows at most of each set.

    Raises:
        ComponentError: unknown metric, one of another kind, no extractor, images of unequal shapes or outside
            [0, 1], or held-out images that are the training images.
    """
    metric = find_metric(name)
    _check_images(samples, train, held_out)
    if metric.needs == ("pairs",):
        return _measure_pairs(name, metric, samples, train, held_out, seed, most)
    _expect(name, metric, ("images", "extractor"), "measure")
    if extractor is None:
        raise ComponentError(f"{name}: needs an extractor, for example random_convolutions(channels)")
    count = min(len(samples), len(train), len(held_out), most)
    samples, train, held_out = (draw(images, count, seed) for images in (samples, train, held_out))
    real = extractor(train)
    value, reference, baseline_value = (
        metric.function(real, extractor(images)) for images in (samples, held_out, _baseline(metric, train, seed))
    )
    title = f"{name}[{extractor.name}]"
    return Figure(title, value, reference, baseline_value, metric.baseline, metric.better, extractor.label, count)


def measure_code(
    name: str,
    codes: Float[Tensor, "N Z"],
    factors: Float[Tensor, "M K"] | None = None,
    *,
    seed: int = 0,
    most: int = MOST_SAMPLES,
) -> Figure:
    """Return a metric of latent codes with its scale.

    With factors, the reference is the factors as their own code and the baseline the codes shuffled over images.
    Without, the reference is a sample of the prior N(0, I) and the baseline a code that is 0 for every image.

    Args:
        name: of a metric that needs latents, or latents and factors.
        codes: what the encoder says of held-out images: means for active units and factors, samples for the gap.
        factors: the truth of the same images.
        seed: chooses rows, shuffles and draws from the prior.
        most: rows at most.

    Raises:
        ComponentError: unknown metric, one of another kind, factors missing, or unequal rows.
    """
    metric = find_metric(name)
    generator = torch.Generator().manual_seed(seed)
    rows, codes = len(codes), features64("codes", draw(codes, most, seed))
    if metric.needs == ("latents",):
        prior = torch.randn(codes.shape, generator=generator, dtype=torch.float64)
        value, reference, baseline_value = (
            float(metric.function(each)) for each in (codes, prior, torch.zeros_like(codes))
        )
    else:
        _expect(name, metric, ("latents", "factors"), "measure_code")
        if factors is None:
            raise ComponentError(f"{name}: needs the true factors of the images; only made or simulated data have them")
        if len(factors) != rows:  # checked before rows are drawn, which would make them equally many
            raise ComponentError(f"factors: {len(factors)} rows for {rows} codes; both must describe the same images")
        factors = features64("factors", draw(factors, most, seed))
        shuffled = codes[torch.randperm(len(codes), generator=generator)]
        value, reference, baseline_value = (metric.function(each, factors) for each in (codes, factors, shuffled))
    return Figure(name, value, reference, baseline_value, metric.baseline, metric.better, None, len(codes))


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
    metric = find_metric(name)
    _expect(name, metric, ("model", "latents"), "measure_path")
    see: Callable[[Tensor], Tensor] = extractor or (lambda images: images)
    with torch.no_grad():
        first, last = decode(start), decode(end)
    if metric.baseline == "hard switch":
        worst = continuity.hard_switch(first, last)
    else:
        worst = continuity.unrelated_steps(first, last, steps)
    shares = torch.zeros(len(start), 1, device=start.device), torch.ones(len(start), 1, device=start.device)
    value = metric.function(lambda z: see(decode(z)), start, end, steps=steps, mode=mode)
    blend = continuity.crossfade(first, last)
    reference, baseline_value = (
        metric.function(lambda share, each=each: see(each(share)), *shares, steps=steps) for each in (blend, worst)
    )
    title = f"{name}[{extractor.name if extractor else 'pixels'}]"
    label = extractor.label if extractor else None
    return Figure(title, value, reference, baseline_value, metric.baseline, metric.better, label, len(start))


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
    metric = find_metric("lipschitz")
    count = min(len(samples), len(train), len(held_out), most)
    samples, train, held_out = (draw(rows, count, seed) for rows in (samples, train, held_out))
    share = torch.rand(count, *[1] * (train.ndim - 1), generator=torch.Generator().manual_seed(seed)).to(train)
    points = torch.cat([samples, train, share * samples + (1 - share) * train])
    bounds = lipschitz.lipschitz_bounds(critic, points, seed=seed)
    training = critic.training
    reference = lipschitz.slope(critic.eval(), train, held_out)
    critic.train(training)
    return Figure("lipschitz", bounds.lower, reference, bounds.upper, metric.baseline, metric.better, None, len(points))


def measure_stability(finals: Sequence[float], repeated: Sequence[float], untrained: Sequence[float]) -> Figure:
    """Return the spread of a final figure over seeds with its scale.

    Args:
        finals: the figure of one training per seed, 3 or more.
        repeated: the figure of a single training, measured again on other samples: how exact it is, the reference.
        untrained: the figure of models that were not trained; its mean distance from `finals` is the baseline.

    Raises:
        ComponentError: fewer than 3 of the first two, none of the last, or a number that is not finite.
    """
    if not untrained or not np.isfinite(untrained).all():
        raise ComponentError("untrained: none given or not finite; measure a model before its first step")
    metric = find_metric("spread-over-seeds")
    value, reference = spread_over_seeds(finals), spread_over_seeds(repeated)
    baseline_value = abs(float(np.mean(untrained)) - float(np.mean(finals)))
    return Figure(
        "spread-over-seeds", value, reference, baseline_value, metric.baseline, metric.better, None, len(finals)
    )


def _check_images(samples: Tensor, train: Tensor, held_out: Tensor) -> None:
    for label, images in (("samples", samples), ("train", train), ("held_out", held_out)):
        if images.shape[1:] != train.shape[1:]:
            raise ComponentError(f"{label} of {tuple(images.shape[1:])}: train has {tuple(train.shape[1:])}; resize")
        unit_images(label, images)
    if torch.equal(train, held_out):
        raise ComponentError("held_out: is the training set, so the reference would be 0; split the data first")


def _measure_pairs(
    name: str, metric: Metric, samples: Tensor, train: Tensor, held_out: Tensor, seed: int, most: int
) -> Figure:
    if len(samples) != len(held_out):
        raise ComponentError(
            f"{name}: {len(samples)} samples for {len(held_out)} held-out images; give the reconstruction of each"
        )
    samples, held_out, train = (draw(images, most, seed) for images in (samples, held_out, train))
    # By a matrix product, for rounding does not matter here and pixels are many.
    away = torch.cdist(held_out.flatten(1), train.flatten(1), compute_mode="use_mm_for_euclid_dist")
    found = away.argmin(1)
    mean = train.mean(0, keepdim=True).expand_as(held_out)
    value, reference, baseline_value = (metric.function(held_out, copy) for copy in (samples, train[found], mean))
    return Figure(name, value, reference, baseline_value, metric.baseline, metric.better, None, len(samples))


def _baseline(metric: Metric, train: Tensor, seed: int) -> Tensor:
    """As many images as there are training images."""
    if metric.baseline == "noise":
        return torch.rand(train.shape, generator=torch.Generator().manual_seed(seed)).to(train)
    return train if metric.baseline == "copies" else train.mean(0, keepdim=True).expand_as(train)


def _expect(name: str, metric: Metric, needs: tuple[Need, ...], place: str) -> None:
    if metric.needs != needs:
        raise ComponentError(
            f"{name}: needs {' and '.join(metric.needs)}, which {place} does not take; use {_PLACES[metric.needs]}"
        )


_PLACES: dict[tuple[Need, ...], str] = {
    ("images", "extractor"): "measure",
    ("pairs",): "measure",
    ("latents",): "measure_code",
    ("latents", "factors"): "measure_code",
    ("model", "latents"): "measure_path",
    ("model", "images"): "measure_lipschitz",
    ("runs",): "measure_stability",
}
