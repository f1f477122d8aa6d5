"""A bar for each stage, with an ETA from what this session measured."""

import sys
from collections.abc import Iterator

from tqdm import tqdm

from worldmodels.run import Progress


def show(progress: Iterator[Progress]) -> None:
    """Drive a stage's generator to its end and show how far it is."""
    bar: tqdm | None = None
    unit = ""
    try:
        for state in progress:
            if bar is None or state.unit != unit:
                if bar is not None:
                    bar.close()
                unit = state.unit
                bar = tqdm(
                    desc=state.stage,
                    total=state.total,
                    initial=state.done,  # what an earlier session did says nothing about the rate of this one
                    unit=f" {unit}",
                    smoothing=0.05,
                    mininterval=0.5 if sys.stderr.isatty() else 15.0,
                    dynamic_ncols=True,
                )
            bar.update(state.done - bar.n)
            bar.set_postfix(
                {name: f"{value:.4g}" for name, value in state.metrics.items() if isinstance(value, int | float)},
                refresh=False,
            )
    finally:
        if bar is not None:
            bar.close()
