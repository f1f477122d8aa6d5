"""`generative write`: a text that goes on from a prompt, printed token by token while it is written."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generative import ComponentError, require
from generative.capabilities import dials as dials_of
from generative.data.identity import data_facts, fields_of
from generative.data.text.padded import END
from generative.data.text.tokenisers import Tokeniser
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model


@dataclass(frozen=True)
class WriteOptions:
    """What to write."""

    prompt: str = ""
    """Beginning of the text; by default it begins where texts begin."""
    stop: str = ""
    """Stop once this was written, such as a full stop; by default after as many tokens as `length` says."""
    seed: int = 0
    """Determines the draws."""


def main(run: TrainingRun, options: WriteOptions, dials: Any = None) -> Sequence[str]:
    """Print the prompt and what follows, under the model's dials.

    Raises:
        ComponentError: the model cannot write, or its tokens have no names.
        ValueError: the prompt has a character that the model does not know.
    """
    module, fields = open_model(run), fields_of(data_facts(run))
    require(module, "stream")
    names = fields["tokens"].names if "tokens" in fields else ()
    if not names:
        raise ComponentError(f"{run.path}: its tokens have no names to print; use `stream` from Python")
    tokeniser = Tokeniser(run.config.data.options.get("tokens", "characters"), names)
    model: Any = module
    sampling = dials_of(module)() if dials is None else dials
    prompt = torch.from_numpy(tokeniser.encode(options.prompt))
    print(options.prompt, end="", flush=True)
    stream = model.stream(prompt, sampling, torch.Generator().manual_seed(options.seed))
    written = ""
    for token in itertools.islice(stream, sampling.length):
        if names[token] == END or (options.stop and options.stop in written):
            break
        print(names[token], end="", flush=True)
        written += names[token]
    print()
    return []
