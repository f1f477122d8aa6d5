"""`generative write`: a text that goes on from a prompt, or is chosen word by word; or music, from an opening."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from generative import ComponentError
from generative.capabilities import dials as dials_of
from generative.data.identity import data_facts, fields_of
from generative.report.media import medium_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.making import music_of, text_of, tokeniser_of
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
        ComponentError: the model cannot write, its tokens have no names, or an option means nothing for what it writes.
        ValueError: the prompt has a character, a pitch or a duration that the model does not know.
    """
    module, item = open_model(run), next(iter(fields_of(data_facts(run)).values()))
    if medium_of(module, item) == "score":
        for name in ("stop", "choose"):
            if getattr(options, name):
                raise ComponentError(f"{name}={getattr(options, name)}: a text has words, music has none; leave it out")
        sampling = dials_of(module)() if dials is None else dials
        found = music_of(module, item, options.prompt, sampling, options.seed)
        return [", ".join(map(str, write_seen(Path(options.out or run.path / "samples" / "written"), found)))]
    tokeniser = tokeniser_of(run, module)
    sampling = dials_of(module)() if dials is None else dials
    if options.choose:
        if sampling.beams > 1:
            raise ComponentError(f"beams={sampling.beams}: words to choose from are drawn; leave out beams or choose")
        ahead, generator = replace(sampling, length=AHEAD), torch.Generator().manual_seed(options.seed)
        return [written_together(module, tokeniser, ahead, generator, options.prompt, options.stop, options.offers)]
    pieces = text_of(module, tokeniser, options.prompt, options.stop, sampling, options.seed)
    for piece in itertools.chain([options.prompt], pieces):
        print(piece, end="", flush=True)
    print()
    return []
