"""`generative write`: a text that goes on from a prompt, printed token by token while it is written."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generative import ComponentError, require
from generative.capabilities import dials
from generative.core.run_folder import TrainingRun
from generative.data.identity import data_facts, fields_of
from scripts.generative.assembly import open_model


@dataclass(frozen=True)
class WriteOptions:
    """What to write."""

    prompt: str = ""
    """Beginning of the text; by default it begins where texts begin."""
    seed: int = 0
    """Determines the draws."""


def main(run: TrainingRun, options: WriteOptions, sampling: Any = None) -> Sequence[str]:
    """Print the prompt and what follows, under the model's dials.

    Raises:
        ComponentError: the model cannot write, or its tokens are no characters.
        ValueError: the prompt has a character that the model does not know.
    """
    module, fields = open_model(run), fields_of(data_facts(run))
    require(module, "stream")
    names = fields["tokens"].names if "tokens" in fields else ()
    if not names:
        raise ComponentError(f"{run.path}: its tokens have no names to print; use `stream` from Python")
    number = {name: place for place, name in enumerate(names)}
    unknown = sorted({each for each in options.prompt if each not in number})
    if unknown:
        raise ValueError(f"prompt: the model knows no {', '.join(map(repr, unknown))}; leave these characters out")
    model: Any = module
    sampling = dials(module)() if sampling is None else sampling
    prompt = torch.tensor([number[each] for each in options.prompt], dtype=torch.int64)
    print(options.prompt, end="", flush=True)
    stream = model.stream(prompt, sampling, torch.Generator().manual_seed(options.seed))
    for token in itertools.islice(stream, sampling.length):
        print(names[token], end="", flush=True)
    print()
    return []
