"""What a data set knows of its images, as questions with numbered answers: classes, attributes, factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int64, Shaped, UInt8

CLASSES = "classes"
"""The question of the class."""
QUARTERS = 4
"""A continuous factor is asked by quarters; its upper half begins at the third."""
MOST_NUMBERS = 20
"""A factor of at most so many whole numbers is asked by them."""


@dataclass(frozen=True)
class Questions:
    """Questions and how their answers are found from what is known."""

    answers: Mapping[str, int]
    """How many answers each question has, by name."""
    borders: Mapping[str, tuple[float, ...]]
    """Where the range of each factor is cut."""

    def table(
        self,
        labels: Int[np.ndarray, " N"] | None,
        attributes: Mapping[str, UInt8[np.ndarray, " N"]],
        factors: Mapping[str, Float[np.ndarray, " N"]],
        count: int,
    ) -> Int64[np.ndarray, "N Q"]:
        """Return the numbers of the true answers, a column for each question."""
        columns: list[Shaped[np.ndarray, " N"]] = []
        for name in self.answers:
            if name == CLASSES and labels is not None:
                columns.append(labels)
            elif name in attributes:
                columns.append(attributes[name])
            else:
                columns.append(np.searchsorted(np.array(self.borders[name]), factors[name]))
        return np.stack(columns, 1).astype(np.int64) if columns else np.zeros((count, 0), np.int64)


def questions_of(
    classes: Sequence[str],
    attributes: Sequence[str],
    factors: Mapping[str, Float[np.ndarray, " N"]],
) -> Questions:
    """Return what can be asked.

    Args:
        classes: names of the classes.
        attributes: names of the yes-or-no attributes.
        factors: values of the true factors over some images, which say where they are cut; constant ones are left out.
    """
    answers = {CLASSES: len(classes)} if len(classes) > 1 else {}
    answers |= {name: 2 for name in attributes}
    borders: dict[str, tuple[float, ...]] = {}
    for name, values in factors.items():
        found = np.unique(values)
        if name in answers or len(found) < 2:
            continue
        if len(found) <= MOST_NUMBERS:
            cuts = (found[1:] + found[:-1]) / 2
        else:
            cuts = np.unique(np.quantile(values, np.arange(1, QUARTERS) / QUARTERS))
        borders[name] = tuple(cuts.tolist())
        answers[name] = len(cuts) + 1
    return Questions(answers, borders)
