"""The metrics by name.

Packages of third parties can add theirs, see `generative.core.catalogue`:

    "metric.my-distance" = "my_package:MY_DISTANCE"        a `Metric`

What computes a metric is imported when it is first computed, so the names and what they say cost nothing.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from generative.core.catalogue import Catalogue
from generative.core.options import ComponentError

Needs = Literal[
    "sets", "pairs", "twins", "cycles", "latents", "factors", "paths", "critic", "answers", "replies", "texts", "rolls"
]
"""What a metric's function takes.

sets: features of real and of generated items (N F), (M F). pairs: images and their reconstructions (N C H W). twins:
known twins of images in another domain and what the images are translated to, likewise. cycles: images and what comes
back of them from there, likewise. latents: codes (N Z). factors: codes and true factors (N K). paths: a function from
latents to features, and where paths start and end, see `continuity`. critic: a module, and items to look for its
steepest gradient at. answers: what a judge answers of images, and of their reconstructions, as numbers (N Q). replies:
what a model replies and what is right, as lists of tokens. texts: lists of tokens. rolls: pieces of music.
"""
NEEDS = (
    "sets",
    "pairs",
    "twins",
    "cycles",
    "latents",
    "factors",
    "paths",
    "critic",
    "answers",
    "replies",
    "texts",
    "rolls",
)


@dataclass(frozen=True)
class Metric:
    """A function, what it takes and which way is good."""

    function: Callable[..., float] | str
    """Pure; returns a plain number. Or where it is to be found, "package.module:name"."""
    needs: Needs
    """What it takes."""
    better: Literal["lower", "higher", "near"]
    """Which way is good; near: as real data."""
    says: str
    """The question it answers."""
    share: bool = False
    """Whether it is a share of rows, of which one more or less is no difference."""
    usual: bool = True
    """Whether it is computed without being asked for."""

    def __call__(self, *arguments: Any, **options: Any) -> float:
        """Compute it."""
        return float(self.load()(*arguments, **options))

    def load(self) -> Callable[..., float]:
        """Return the function, imported now if need be."""
        if isinstance(self.function, str):
            return cast(Callable[..., float], importlib.metadata.EntryPoint("", self.function, "").load())
        return self.function


def _metric(found: object, name: str, place: str) -> Metric:
    if not isinstance(found, Metric) or found.needs not in NEEDS or found.better not in ("lower", "higher", "near"):
        raise ComponentError(f"{place}: must be a generative.metrics.registry.Metric that needs one of {NEEDS}")
    return found


_IMAGES, _SERIES = "generative.metrics.images", "generative.metrics.sequences"
METRICS = Catalogue[Metric](
    "metric",
    "metric",
    {
        "FD": Metric(
            f"{_IMAGES}.distance:frechet_distance", "sets", "lower", "Do mean and covariance of features agree?"
        ),
        "KD": Metric(f"{_IMAGES}.distance:kernel_distance", "sets", "lower", "Do the distributions of features agree?"),
        "precision": Metric(f"{_IMAGES}.neighbours:precision", "sets", "higher", "Do samples look real?", share=True),
        "recall": Metric(f"{_IMAGES}.neighbours:recall", "sets", "higher", "Is everything real also made?", share=True),
        "density": Metric(
            f"{_IMAGES}.neighbours:density", "sets", "higher", "Do samples lie where real images are many?"
        ),
        "coverage": Metric(
            f"{_IMAGES}.neighbours:coverage", "sets", "higher", "Has each real image a sample near it?", share=True
        ),
        "NDB": Metric(f"{_IMAGES}.modes:different_bins", "sets", "lower", "In how many bins do shares differ?"),
        "vendi": Metric(f"{_IMAGES}.modes:vendi_of_samples", "sets", "near", "How many different samples are there?"),
        "MSE": Metric(f"{_IMAGES}.fidelity:squared_error", "pairs", "lower", "How large is the error per value?"),
        "PSNR": Metric(f"{_IMAGES}.fidelity:psnr", "pairs", "higher", "How large is the error, in decibels?"),
        "attributes-kept": Metric(
            f"{_SERIES}.answers:kept_share", "answers", "higher", "Does a reconstruction keep what a judge sees?",
            share=True,
        ),
        "SSIM": Metric(f"{_IMAGES}.fidelity:ssim", "pairs", "higher", "Is local structure kept?"),
        "translation-error": Metric(
            f"{_IMAGES}.fidelity:absolute_error", "twins", "lower", "How far is a translation from the known twin?"
        ),
        "cycle-error": Metric(
            f"{_IMAGES}.fidelity:absolute_error", "cycles", "lower", "How far is an image, there and back, from itself?"
        ),
        "relative-path-length": Metric(
            f"{_IMAGES}.continuity:relative_path_length", "paths", "lower", "How straight is a path?"
        ),
        "path-length": Metric(
            f"{_IMAGES}.continuity:path_length", "paths", "lower", "How far does a path go?", usual=False
        ),
        "spike-ratio": Metric(f"{_IMAGES}.continuity:spike_ratio", "paths", "lower", "Does a path jump?"),
        "aggregate-posterior-gap": Metric(
            f"{_IMAGES}.continuity:aggregate_posterior_gap", "latents", "lower", "Do codes fill the prior?", usual=False
        ),
        "active-units": Metric(
            f"{_IMAGES}.representation:active_units", "latents", "higher", "How many units work?"
        ),
        "linear-probe": Metric(
            f"{_IMAGES}.representation:linear_probe", "factors", "higher", "Can a linear model read the factors?"
        ),
        "neighbour-probe": Metric(
            f"{_IMAGES}.representation:neighbour_probe", "factors", "higher", "Have near codes like factors?"
        ),
        "MIG": Metric(
            f"{_IMAGES}.representation:mutual_information_gap", "factors", "higher", "Is each factor in one dimension?"
        ),
        "DCI-disentanglement": Metric(
            f"{_IMAGES}.representation:disentanglement", "factors", "higher", "Does a dimension serve one factor?",
            usual=False,
        ),
        "DCI-completeness": Metric(
            f"{_IMAGES}.representation:completeness", "factors", "higher", "Is a factor held by one dimension?",
            usual=False,
        ),
        "DCI-informativeness": Metric(
            f"{_IMAGES}.representation:informativeness", "factors", "higher", "Can trees predict the factors?",
            usual=False,
        ),
        "lipschitz": Metric(
            f"{_IMAGES}.lipschitz:lipschitz_lower", "critic", "lower", "How steep is a critic?", usual=False
        ),
        "exact match": Metric(
            f"{_SERIES}.texts:exact_match", "replies", "higher", "Is the whole answer right?", share=True
        ),
        "BLEU": Metric(
            f"{_SERIES}.texts:bleu", "replies", "higher", "Do runs of words agree with the right answer?", usual=False
        ),
        "chrF": Metric(
            f"{_SERIES}.texts:chrf", "replies", "higher", "Do runs of characters agree with the right answer?",
            usual=False,
        ),
        "distinct-2": Metric(f"{_SERIES}.texts:distinct", "texts", "near", "How many pairs of tokens are different?"),
        "repetition": Metric(f"{_SERIES}.texts:repetition", "texts", "near", "How often does a text repeat itself?"),
        "pitch-class entropy": Metric(
            f"{_SERIES}.music:pitch_class_entropy", "rolls", "near", "How evenly are the 12 pitch classes used?"
        ),
        "scale consistency": Metric(
            f"{_SERIES}.music:scale_consistency", "rolls", "near", "How many notes are in one scale?"
        ),
        "groove": Metric(
            f"{_SERIES}.music:groove_consistency", "rolls", "near", "Have neighbouring bars the same rhythm?"
        ),
        "empty bars": Metric(f"{_SERIES}.music:empty_bars", "rolls", "near", "How many bars of a voice are silent?"),
        "polyphony": Metric(f"{_SERIES}.music:polyphony", "rolls", "near", "How many voices sound together?"),
        "notes per bar": Metric(
            f"{_SERIES}.music:notes_per_bar", "rolls", "near", "How many notes has a voice in a bar?"
        ),
        "tonal distance": Metric(f"{_SERIES}.music:tonal_distance", "rolls", "near", "Do the voices fit together?"),
        "motif recurrence": Metric(f"{_SERIES}.music:motif_recurrence", "rolls", "near", "Do motifs come again?"),
    },
    _metric,
)  # fmt: skip
"""The metrics that `generative evaluate` computes of a model by name."""


def metrics_that_need(needs: Needs, asked: tuple[str, ...] = ()) -> list[str]:
    """Return the names of the metrics that take something: the usual ones, or those of them that are asked for.

    Raises:
        ComponentError: there is no metric of a name.
    """
    chosen = asked or tuple(name for name in METRICS.names() if METRICS.find(name).usual)
    return [name for name in chosen if METRICS.find(name).needs == needs]
