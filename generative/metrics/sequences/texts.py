"""Figures of texts and of answers, as sequences of tokens; none of them needs a model that reads.

Distinct-n (Li et al. 2016, arXiv 1510.03055) is the number of different runs of n tokens by that of all runs.
Repetition is the share of tokens that end a run of `RUN` which stood in the same text before (as seq-rep-n, Welleck et
al. 2020, arXiv 1908.04319). BLEU (Papineni et al. 2002) and chrF (Popovic 2015) are those of sacrebleu.
"""

from collections.abc import Sequence
from typing import Any

from generative.core.options import ComponentError

Texts = Sequence[Sequence[str]]
RUN = 4
"""Tokens of a run that counts as repeated."""


def exact_match(answers: Texts, targets: Texts) -> float:
    """Return the share of answers that are right to the last token; raise ComponentError for unequal numbers."""
    _alike(answers, targets)
    return sum(list(answer) == list(target) for answer, target in zip(answers, targets, strict=True)) / len(targets)


def bleu(answers: Texts, targets: Texts) -> float:
    """Return BLEU from 0 to 100, of tokens; raise ComponentError without sacrebleu."""
    _alike(answers, targets)
    said, right = ([" ".join(each.strip() for each in text) for text in texts] for texts in (answers, targets))
    score = _sacrebleu().BLEU(tokenize="none", smooth_method="exp", effective_order=True)
    return float(score.corpus_score(said, [right]).score)


def chrf(answers: Texts, targets: Texts) -> float:
    """Return chrF from 0 to 100, of characters; raise ComponentError without sacrebleu."""
    _alike(answers, targets)
    said, right = (["".join(text).strip() for text in texts] for texts in (answers, targets))
    return float(_sacrebleu().CHRF().corpus_score(said, [right]).score)


def distinct(texts: Texts, length: int = 2) -> float:
    """Return how many of all runs of so many tokens are different; 0 where there are none."""
    runs = [run for text in texts for run in _runs(text, length)]
    return len(set(runs)) / max(1, len(runs))


def repetition(texts: Texts) -> float:
    """Return the share of runs that stood in their own text before; 0 where there are none."""
    again = whole = 0
    for text in texts:
        runs = _runs(text, RUN)
        again, whole = again + len(runs) - len(set(runs)), whole + len(runs)
    return again / max(1, whole)


def _runs(text: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(text[place : place + length]) for place in range(len(text) - length + 1)]


def _alike(answers: Texts, targets: Texts) -> None:
    if len(answers) != len(targets) or not targets:
        raise ComponentError(f"answers: {len(answers)} for {len(targets)} targets; give one for each")


def _sacrebleu() -> Any:
    try:
        import sacrebleu
    except ImportError as error:
        raise ComponentError("BLEU and chrF need sacrebleu; pip install 'worldmodels-dream[text]'") from error
    return sacrebleu.metrics
