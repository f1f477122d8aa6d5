"""A table of all combinations of features, and naive Bayes: models that are counted, not trained.

The multinomial has one probability for each combination; naive Bayes takes features as independent, so that a few
numbers do (Bishop 2006, sections 2.2 and 8.2.2). Probabilities are `(count + smoothing) / (all + smoothing *
categories)`, the mean under a Dirichlet prior (ibid. section 2.2.1); with smoothing 0 what was never seen cannot be.

On raw pixels naive Bayes fails, and `diagnose` says why: images whose pixels were swapped with those of other images
are as likely to it as real ones, and the pixels of its samples know nothing of their neighbours.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import needed, square_image
from generative.models.checks import check_not_negative, check_obs, check_sizes
from generative.models.first.toy_distribution import REFUSALS, take_items
from generative.sampling.dials import CategorySampling

LARGEST_TABLE = 1_000_000


@dataclass(frozen=True)
class MultinomialConfig:
    """Sizes of the table."""

    categories: tuple[int, ...] = (7, 6, 3, 4, 8)
    """How many values each feature has; rows hold 0 to that - 1. By default those of the book's avatars."""
    smoothing: float = 1.0
    """Added to every count."""
    count: int = 10_000
    """Rows that are counted at most, each once."""

    def __post_init__(self) -> None:
        _check_counting(self, self.categories)
        if not self.categories:
            raise ValueError("categories=(): give the number of values of each feature")
        if math.prod(self.categories) > LARGEST_TABLE:
            raise ValueError(
                f"categories={self.categories}: {math.prod(self.categories):.3g} combinations with a probability each, "
                f"more than {LARGEST_TABLE:,}; use naive-bayes, or fewer features"
            )


class Multinomial(nn.Module):
    """One probability for each combination of features."""

    type_name = "multinomial"
    seam = "model"
    Config = MultinomialConfig
    Sampling: ClassVar[type] = CategorySampling
    refusals: ClassVar[Mapping[str, str]] = REFUSALS
    log_table: Tensor

    def __init__(self, config: MultinomialConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("log_table", torch.randn(math.prod(config.categories)).log_softmax(0))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rows alone."""
        return ("row",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return how many values each feature has; errors as of `FitsData`."""
        return {"categories": list(needed(cls, fields, "row").sizes)}

    @property
    def free_parameters(self) -> int:
        """How many numbers the distribution has; the last probability follows from the others."""
        return len(self.log_table) - 1

    @torch.no_grad()
    def estimate(self, batches: Iterator[Tensor | Sequence[Tensor]], generator: torch.Generator) -> None:
        """Count rows (B F) of integers, `count` at most."""
        rows = self._index(take_items(batches, self.config.count))
        counts = torch.bincount(rows, minlength=len(self.log_table)).double()
        self.log_table.copy_(_log_share(counts, self.config.smoothing, len(self.log_table)))

    def log_prob(self, obs: Int[Tensor, "B F"]) -> Float[Tensor, " B"]:
        """Return the log-probability in nats; raise ValueError for a value that a feature does not have."""
        return self.log_table[self._index(obs)]

    def sample(self, n: int, sampling: CategorySampling, generator: torch.Generator) -> Int[Tensor, "n F"]:
        """Return rows, from log-probabilities over `temperature`; 0 gives the likeliest one."""
        chosen = _draw(self.log_table[None], n, sampling.temperature, generator)[:, 0]
        return torch.stack(torch.unravel_index(chosen, self.config.categories), 1)

    def loss(
        self, obs: Int[Tensor, "B F"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per row; has no gradient, `estimate` brings it down."""
        loss = -self.log_prob(obs).mean()
        return loss, {"bits_per_dim": loss / (math.log(2) * obs.shape[1])}

    def _index(self, rows: Int[Tensor, "B F"]) -> Int[Tensor, " B"]:
        _check_rows(rows, self.config.categories)
        index = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        for column, size in zip(rows.long().T, self.config.categories, strict=True):
            index = index * size + column
        return index


@dataclass(frozen=True)
class NaiveBayesConfig:
    """Sizes of the tables, of images or of rows of categories."""

    categories: tuple[int, ...] = ()
    """How many values each feature has; rows hold 0 to that - 1. Empty for images."""
    image_size: int = 32
    """Height and width of the images in pixels."""
    channels: int = 1
    """Colour channels of the images."""
    levels: int = 16
    """Values that a pixel is rounded to, equally far apart from 0 to 1."""
    smoothing: float = 1.0
    """Added to every count."""
    count: int = 10_000
    """Images or rows that are counted at most, each once."""

    def __post_init__(self) -> None:
        _check_counting(self, self.categories)
        check_sizes(self, "image_size", "channels")
        if self.levels < 2:
            raise ValueError(f"levels={self.levels}: give 2 or more")

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each feature has, pixels in the order of (C, H, W)."""
        return self.categories or (self.levels,) * (self.channels * self.image_size**2)


class NaiveBayes(nn.Module):
    """Independent features: pixels of images in [0, 1], or columns of integers."""

    type_name = "naive-bayes"
    seam = "model"
    Config = NaiveBayesConfig
    Sampling: ClassVar[type] = CategorySampling
    refusals: ClassVar[Mapping[str, str]] = REFUSALS
    log_tables: Tensor

    def __init__(self, config: NaiveBayesConfig) -> None:
        super().__init__()
        self.config = config
        random = torch.randn(len(config.sizes), max(config.sizes))
        self.register_buffer("log_tables", random.masked_fill(~self._there(), -torch.inf).log_softmax(1))  # (F K)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Rows or images, as the sizes say."""
        return ("row",) if self.config.categories else ("image",)

    @property
    def levels(self) -> int:
        """Values that a pixel is rounded to; see `HasLevels`."""
        return self.config.levels

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return how many values each feature of rows has, or size and channels; errors as of `FitsData`."""
        if "row" in fields:
            return {"categories": list(fields["row"].sizes)}
        return {"categories": [], **square_image(cls, fields)}

    @property
    def free_parameters(self) -> int:
        """How many numbers the distribution has; each feature's last probability follows from the others."""
        return sum(self.config.sizes) - len(self.config.sizes)

    @torch.no_grad()
    def estimate(self, batches: Iterator[Tensor | Sequence[Tensor]], generator: torch.Generator) -> None:
        """Count images (B C H W) in [0, 1] or rows (B F) of integers, `count` at most."""
        rows = self._rows(take_items(batches, self.config.count))
        sizes = torch.tensor(self.config.sizes, device=rows.device)
        counts = torch.zeros(self.log_tables.shape, dtype=torch.float64, device=rows.device)
        counts.scatter_add_(1, rows.T, torch.ones_like(rows.T, dtype=torch.float64))
        logs = _log_share(counts, self.config.smoothing, sizes[:, None])
        self.log_tables.copy_(logs.masked_fill(~self._there().to(rows.device), -torch.inf))

    def log_prob(self, obs: Tensor) -> Float[Tensor, " B"]:
        """Return the log-probability in nats, of images that of their rounded pixels: a sum over features.

        Raises:
            ValueError: images of another size, or a value that a feature does not have.
        """
        return self.log_tables.gather(1, self._rows(obs).T).sum(0)

    def sample(self, n: int, sampling: CategorySampling, generator: torch.Generator) -> Tensor:
        """Return images (n C H W) or rows (n F), from log-probabilities over `temperature`; 0 gives the likeliest."""
        rows = _draw(self.log_tables, n, sampling.temperature, generator)
        return rows if self.config.categories else self._image(rows)

    def loss(self, obs: Tensor, generator: torch.Generator) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per item; has no gradient, `estimate` brings it down."""
        loss = -self.log_prob(obs).mean()
        return loss, {"bits_per_dim": loss / (math.log(2) * len(self.config.sizes))}

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Say what independence costs: figures of real images, of scrambled ones and of samples.

        Args:
            obs: different images; some hundred give steady figures.
            mean_frame: not used; here for the sake of the other models.

        Returns:
            `nll` of the images and `scrambled_nll` of images whose every pixel comes from another image, in nats
            per image; `neighbour_correlation` of pixels side by side, once their means are taken off, and
            `sampled_neighbour_correlation` of samples; `verdict` "independent" where neighbours correlate in
            images by 0.2 more than in samples, else "healthy"; `reason`.

        Raises:
            ValueError: the model is one of categories, or there are fewer than two images.
        """
        if self.config.categories or len(obs) < 2:
            raise ValueError("obs: give at least two images, to a model of images")
        generator = torch.Generator().manual_seed(0)
        order = torch.rand(len(obs), obs[0].numel(), generator=generator).argsort(0).to(obs.device)
        scrambled = obs.flatten(1).gather(0, order).reshape(obs.shape)
        real, drawn = _neighbours(obs), _neighbours(self.sample(len(obs), CategorySampling(), generator))
        found = {"nll": -self.log_prob(obs).mean().item(), "scrambled_nll": -self.log_prob(scrambled).mean().item()}
        reason = f"pixels correlate with their neighbours by {real:.2f} in images, by {drawn:.2f} in samples"
        if real > drawn + 0.2:
            reason += "; scrambled images are as likely as real ones: use a model in which pixels depend on each other"
        return {
            **found,
            "neighbour_correlation": real,
            "sampled_neighbour_correlation": drawn,
            "verdict": "independent" if real > drawn + 0.2 else "healthy",
            "reason": reason,
        }

    def _there(self) -> Tensor:
        """Return which entries of the tables belong to a feature (F K)."""
        sizes = torch.tensor(self.config.sizes)
        return torch.arange(int(sizes.max())) < sizes[:, None]

    def _rows(self, obs: Tensor) -> Int[Tensor, "B F"]:
        if self.config.categories:
            _check_rows(obs, self.config.categories)
            return obs.long()
        check_obs(obs, self.config)
        return (obs.float() * (self.config.levels - 1)).round().clamp(0, self.config.levels - 1).long().flatten(1)

    def _image(self, rows: Int[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        shape = (self.config.channels, self.config.image_size, self.config.image_size)
        return (rows.to(self.log_tables.dtype) / (self.config.levels - 1)).unflatten(1, shape)


def _check_counting(config: object, categories: tuple[int, ...]) -> None:
    check_sizes(config, "count")
    check_not_negative(config, "smoothing")
    if categories and min(categories) < 1:
        raise ValueError(f"categories={categories}: numbers of values; give 1 or more each")


def _check_rows(rows: Tensor, categories: tuple[int, ...]) -> None:
    if rows.is_floating_point() or rows.shape[1:] != (len(categories),):
        raise ValueError(
            f"rows of {rows.dtype} and shape {tuple(rows.shape)}: expected integers (B, {len(categories)}), "
            "one for each of `categories`"
        )
    if rows.numel() and (rows.amin() < 0 or (rows >= torch.tensor(categories, device=rows.device)).any()):
        raise ValueError(f"rows: a value below 0 or not below its feature's size; set categories, now {categories}")


def _log_share(counts: Tensor, smoothing: float, categories: int | Tensor) -> Tensor:
    return ((counts + smoothing) / (counts.sum(-1, keepdim=True) + smoothing * categories)).log()


def _draw(log_tables: Float[Tensor, "F K"], n: int, temperature: float, generator: torch.Generator) -> Tensor:
    """Return n choices (n F) from each table."""
    if temperature == 0:
        return log_tables.argmax(1).expand(n, -1)
    shares = (log_tables.float() / temperature).softmax(1).to(generator.device)
    return torch.multinomial(shares, n, replacement=True, generator=generator).T.to(log_tables.device)


def _neighbours(images: Float[Tensor, "B C H W"]) -> float:
    """Return the correlation of pixels side by side around their means over images."""
    apart = images - images.mean(0)
    left, right = apart[..., :-1].flatten(), apart[..., 1:].flatten()
    return float((left * right).sum() / (left.square().sum() * right.square().sum()).sqrt().clamp(min=1e-12))
