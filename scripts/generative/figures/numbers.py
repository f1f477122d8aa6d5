"""Figures of models of points and of rows, beside real data and what costs nothing."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from generative import offers
from generative.capabilities import draw
from generative.data import Data, Modes
from generative.metrics.figure import NOTHING, Figure, against
from generative.metrics.images.modes import high_quality_share, modes_covered, pair_distance
from generative.metrics.images.neighbours import coverage
from generative.metrics.measure import real_draws
from scripts.generative.runs.items import take

TRAIN_CODES = 4096
"""Training items that the baseline of codes counts."""


def of_points(module: nn.Module, data: Data, samples: int, seed: int) -> Iterator[Figure]:
    """Yield how samples cover the modes that points are drawn from, and how likely held-out points are."""
    if offers(module, "sample"):
        real, draws = _parted(module, data, samples, seed)
        made, bell = draw(module, len(real), torch.Generator().manual_seed(seed)), _bell(real)
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(real.shape, generator=generator, dtype=torch.float64)
        gaussian = (bell.loc + normal @ bell.scale_tril.T).float()
        what = {"coverage[points]": lambda points: coverage(real.double(), points.double()), **_by_modes(data.modes)}
        for name, function in what.items():
            step = 0.0 if name == "modes covered" else 1 / len(real)
            yield against(
                name, function(made), [function(each) for each in draws], {"one Gaussian": function(gaussian)},
                "higher", len(real), resolution=step,
            )  # fmt: skip
    if offers(module, "log_prob") and data.log_prob:
        held, bell = _held(module, data, samples), _bell(take(module, data, samples).values)
        said = {"one Gaussian": -float(bell.log_prob(held.double()).mean())}
        value = -float(cast(Any, module).log_prob(held).mean())
        truth = -float(data.log_prob(held.numpy()).mean())
        yield Figure("nats per point", value, truth, NOTHING, NOTHING, said, "lower", None, len(held))


def _by_modes(modes: Modes | None) -> dict[str, Callable[[Tensor], float]]:
    """Return figures of points that are drawn from modes, none of others."""
    if modes is None:
        return {}
    centres, radius = torch.from_numpy(modes.centres), 3 * modes.spread
    return {
        "modes covered": lambda points: float(modes_covered(points, centres, radius=radius)),
        "high-quality share": lambda points: high_quality_share(points, centres, radius=radius),
    }


def of_rows(module: nn.Module, data: Data, samples: int, seed: int) -> Iterator[Figure]:
    """Yield how likely held-out rows are, and how well samples know which values go together."""
    sizes = data.item.sizes
    train, held = take(module, data, samples).values, _held(module, data, samples)
    if offers(module, "log_prob"):
        fair = math.log(2) * len(sizes)  # nats per row to bits per number
        value = -float(cast(Any, module).log_prob(held).mean()) / fair
        truth = -float(data.log_prob(held.numpy()).mean()) / fair if data.log_prob else NOTHING
        alike = math.log2(math.prod(sizes)) / len(sizes)
        said = {"independent features": _apart(train, held, sizes), "all values alike": alike}
        yield Figure("bits per number", value, truth, NOTHING, NOTHING, said, "lower", None, len(held))
    if offers(module, "sample"):
        real, draws = _parted(module, data, samples, seed)
        generator = torch.Generator().manual_seed(seed)
        made = draw(module, len(real), torch.Generator().manual_seed(seed))
        mixed = real.gather(0, torch.rand(real.shape, generator=generator).argsort(0))
        value, alone, *others = (pair_distance(real, rows, sizes) for rows in (made, mixed, *draws))
        yield against("pair distance", value, others, {"independent features": alone}, "lower", len(real))


def of_codes(module: nn.Module, data: Data, samples: int) -> Iterator[Figure]:
    """Yield how likely held-out codes are."""
    if offers(module, "log_prob"):
        held, train = take(module, data.held_out(), samples), take(module, data, TRAIN_CODES).values.flatten(1)
        positions, sizes = train.shape[1], data.item.sizes * train.shape[1]
        parts = zip(held.values.split(256), *(each.split(256) for each in held.condition), strict=True)
        log_prob = torch.cat([cast(Any, module).log_prob(*part) for part in parts])
        value = -float(log_prob.mean()) / (math.log(2) * positions)
        apart = _apart(train, held.values.flatten(1), sizes)
        said = {"each position by itself": apart, "all codes alike": math.log2(sizes[0])}
        yield Figure("bits per code", value, NOTHING, NOTHING, NOTHING, said, "lower", None, len(held.values))


def _apart(train: Tensor, held: Tensor, sizes: Sequence[int]) -> float:
    """Return the bits per number of held-out rows under the shares of every feature by itself, each value once more."""
    bits = []
    for column, size in enumerate(sizes):
        counts = torch.bincount(train[:, column], minlength=size).double() + 1
        bits.append(-(counts / counts.sum()).log2()[held[:, column]].mean())
    return float(torch.stack(bits).mean())


def _parted(module: nn.Module, data: Data, samples: int, seed: int) -> tuple[Tensor, list[Tensor]]:
    """Return real items to compare with, and several draws of others."""
    items = take(module, data, 9 * samples).values
    real, draws = real_draws(len(items), min(samples, len(items) // 4), seed)
    return items[real], [items[each] for each in draws]


def _held(module: nn.Module, data: Data, samples: int) -> Tensor:
    return take(module, data.held_out(), samples).values


def _bell(points: Tensor) -> MultivariateNormal:
    return MultivariateNormal(
        points.mean(0).double(), scale_tril=torch.linalg.cholesky(torch.cov(points.T.double())), validate_args=False
    )
