"""From what a training left behind to what went wrong: verdicts with evidence and a remedy, none for a healthy run.

Each function looks for one known failure in rows of metrics or in samples, codes and features, and returns a
`Verdict` or None. `diagnose` runs those for which there is evidence. Limits are stated where they are used; they
are meant to be missed by healthy runs by far, so a close call is reported by the metrics and not here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from generative.diagnosis.codes import dead_codes, posterior_collapse, worse_than_components
from generative.diagnosis.failure import Failure, remedy
from generative.diagnosis.histories import (
    History,
    column,
    exploding_critic,
    oscillation,
    over_fitting,
    vanishing_critic,
)
from generative.diagnosis.images import blur, colour_shift, noise, wrong_shares
from generative.diagnosis.samples import memorised, mode_collapse, unreal
from generative.metrics.images.neighbours import memorisation


@dataclass(frozen=True)
class Evidence:
    """What there is to look at; whatever is missing is not judged."""

    history: History = ()
    """Rows of metrics: kl, critic_slope, critic_accuracy, generator_gradient, and `curve`."""
    curve: str = "loss"
    """The metric of the history that should settle down; a sample metric says more than an adversarial loss."""
    means: Tensor | None = None
    """Posterior means of held-out images (N Z)."""
    train: Tensor | None = None
    """Features of training data (N F)."""
    held_out: Tensor | None = None
    """Features of real data that training did not see (M F)."""
    samples: Tensor | None = None
    """Features of generated data (K F)."""
    real_images: Tensor | None = None
    """Real images in [0, 1] (N C H W)."""
    made_images: Tensor | None = None
    """Generated or reconstructed images in [0, 1] (M C H W)."""
    copies: tuple[float, float] | None = None
    """Shares of samples and of held-out data that copy something of the whole training set; by `train` otherwise."""
    real_answers: Mapping[str, Tensor] = field(default_factory=dict)
    """How common each answer of a judge is among real images, by question."""
    made_answers: Mapping[str, Tensor] = field(default_factory=dict)
    """The same of generated or reconstructed images."""
    judged: int = 0
    """How many images those shares are of, each."""
    error: float | None = None
    """Squared error of reconstructions of held-out images."""
    components_error: float | None = None
    """That of as many principal components as the model has latents."""
    dials: Collection[str] = frozenset()
    """Names of the model's options, which remedies may name."""
    codes: Tensor | None = None
    """Indices into a codebook, of held-out images (any shape)."""
    codebook: int = 0
    """How many entries that codebook has."""


def diagnose(evidence: Evidence) -> list[Failure]:
    """Return every failure that the evidence shows; an empty list for a healthy run.

    Raises:
        ComponentError: evidence that cannot be judged, such as too few rows or images outside [0, 1].
    """
    e, real, made = evidence, evidence.real_images, evidence.made_images
    found = [vanishing_critic(e.history), exploding_critic(e.history), over_fitting(e.history)]
    found.append(posterior_collapse(e.history, e.means))
    found.append(oscillation(column(e.history, e.curve)))
    if e.train is not None and e.held_out is not None and e.samples is not None:
        found += [mode_collapse(e.train, e.held_out, e.samples), unreal(e.train, e.held_out, e.samples)]
        if e.copies is None:
            found.append(memorised(memorisation(e.train, e.samples), memorisation(e.train, e.held_out)))
    if e.copies is not None:
        found.append(memorised(*e.copies))
    if real is not None and made is not None:
        found += [blur(real, made), noise(real, made), colour_shift(real, made)]
    if e.real_answers:
        found.append(wrong_shares(e.real_answers, e.made_answers, e.judged))
    if e.error is not None and e.components_error is not None:
        found.append(worse_than_components(e.error, e.components_error))
    if e.codes is not None:
        found.append(dead_codes(e.codes, e.codebook))
    return [replace(each, remedy=remedy(each.problem, e.dials)) for each in found if each is not None]
