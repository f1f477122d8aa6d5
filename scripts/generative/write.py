"""`generative write`: a text that goes on from a prompt, or is chosen word by word; or music, from an opening."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from generative import ComponentError, require
from generative.capabilities import dials as dials_of
from generative.data import Field
from generative.data.identity import data_facts, fields_of
from generative.data.music.midi import opening
from generative.data.text.padded import END
from generative.data.text.tokenisers import Tokeniser
from generative.report.media import MEDIA, medium_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.pictures import write_seen
from scripts.generative.runs.writing_together import AHEAD, written_together


@dataclass(frozen=True)
class WriteOptions:
    """What to write."""

    prompt: str = ""
    """Beginning of the text, or a MIDI file that the music goes on from; by default where texts and pieces begin."""
    stop: str = ""
    """Stop once this was written, such as a full stop; by default after as many tokens as `length` says."""
    choose: bool = False
    """Write a text together: choose each next word from those that are offered, or write words of your own."""
    offers: int = 8
    """With --choose: words that are offered, the commonest of 100 draws."""
    seed: int = 0
    """Determines the draws."""
    out: str = ""
    """Of music, the files whose endings follow what they are; samples/written in the run folder by default."""

    def __post_init__(self) -> None:
        if self.offers < 1:
            raise ValueError(f"offers={self.offers}: give 1 or more")


def main(run: TrainingRun, options: WriteOptions, dials: Any = None) -> Sequence[str]:
    """Print the prompt and what follows, under the model's dials; music is written as picture, sound and MIDI.

    Raises:
        ComponentError: the model cannot write, or its tokens have no names.
        ValueError: the prompt has a character, a pitch or a duration that the model does not know.
    """
    module, fields = open_model(run), fields_of(data_facts(run))
    item = next(iter(fields.values()))
    if medium_of(module, item) == "score":
        return _composed(run, module, item, options, dials)
    require(module, "stream")
    names = fields["tokens"].names if "tokens" in fields else ()
    if not names:
        raise ComponentError(f"{run.path}: its tokens have no names to print; use `stream` from Python")
    tokeniser = Tokeniser(run.config.data.options.get("tokens", "characters"), names)
    model: Any = module
    sampling = dials_of(module)() if dials is None else dials
    generator = torch.Generator().manual_seed(options.seed)
    if options.choose:
        ahead = replace(sampling, length=AHEAD)
        return [written_together(model, tokeniser, ahead, generator, options.prompt, options.stop, options.offers)]
    prompt = torch.from_numpy(tokeniser.encode(options.prompt))
    print(options.prompt, end="", flush=True)
    stream = model.stream(prompt, sampling, generator)
    written = ""
    for token in itertools.islice(stream, sampling.length):
        if names[token] == END or (options.stop and options.stop in written):
            break
        print(names[token], end="", flush=True)
        written += names[token]
    print()
    return []


@torch.no_grad()
def _composed(run: TrainingRun, module: nn.Module, item: Field, options: WriteOptions, dials: Any) -> Sequence[str]:
    """Write a piece that goes on from an opening, with the opening before it."""
    require(module, "generate")
    model: Any = module
    sampling = dials_of(module)() if dials is None else dials
    shape = (0, 2) if item.kind == "notes" else (0,)
    begun = opening(Path(options.prompt), item) if options.prompt else np.empty(shape, np.int64)
    prompt = torch.from_numpy(begun)[None]
    made = model.generate(prompt, sampling.length, sampling, torch.Generator().manual_seed(options.seed))
    files = MEDIA.find("score").files(torch.cat([prompt, made], 1).numpy(), item)
    return [", ".join(map(str, write_seen(Path(options.out or run.path / "samples" / "written"), files)))]
