"""What a trained model makes when it is asked for samples, for a text or for a piece of music."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from generative import ComponentError, require
from generative.capabilities import dials as dials_of
from generative.core.options import did_you_mean
from generative.data import Field
from generative.data.identity import data_facts, fields_of
from generative.data.music.midi import opening
from generative.data.text.padded import END
from generative.data.text.tokenisers import Tokeniser
from generative.report.media import MEDIA, Files
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_data
from scripts.generative.runs.items import inputs
from scripts.generative.runs.pictures import drawn, seen


@torch.no_grad()
def samples_of(
    run: TrainingRun, module: nn.Module, count: int, columns: int, labels: tuple[str, ...], sampling: Any, seed: int
) -> Files:
    """Return samples of a model as there is to see or hear of them.

    Args:
        run: where it was trained.
        module: the model.
        count: how many.
        columns: images in a row.
        labels: classes to draw, by name or number, in turn; the model's own choice where there are none.
        sampling: its dials; None for those by default.
        seed: of the draws.

    Raises:
        ComponentError: the model cannot sample or is told no labels, or its data have no pictures; says why.
        ValueError: there is no such label.
    """
    require(module, "sample")
    model: Any = module
    facts = data_facts(run)
    condition = (told(module, labels, count, fields_of(facts)),) if labels else ()
    sampling = dials_of(module)() if sampling is None else sampling
    samples = model.sample(count, sampling, torch.Generator().manual_seed(seed), *condition)
    item = next(iter(fields_of(facts).values()))
    found = seen(module, samples, item, columns)
    if found is None:  # rows need the data's pictures, and points the data's own beside them
        found = drawn(module, samples, open_data(run), columns)
    if found is None:
        raise ComponentError(
            f"{facts['name']}: has no pictures of its {item.kind}s; draw them in Python with model.sample()"
        )
    return found


def told(module: nn.Module, labels: tuple[str, ...], count: int, fields: Mapping[str, Field]) -> Int[Tensor, " n"]:
    """Return the label of each sample, the given ones in turn; errors as of `samples_of`."""
    if "label" not in inputs(module):
        raise ComponentError(f"labels: {module.type_name} is told no labels; leave them out, or train conditional-vae")
    classes, numbers = fields["label"].names, []
    for label in labels:
        if label in classes:
            numbers.append(list(classes).index(label))
        elif label.isdecimal() and int(label) < len(classes):
            numbers.append(int(label))
        else:
            raise ValueError(f"labels={label}: no such class;{did_you_mean(label, classes)}")
    return torch.tensor([numbers[place % len(numbers)] for place in range(count)])


def tokeniser_of(run: TrainingRun, module: nn.Module) -> Tokeniser:
    """Return what turns a text into the tokens of a model that writes, and back.

    Raises:
        ComponentError: the model cannot write, or its tokens have no names.
    """
    require(module, "stream")
    fields = fields_of(data_facts(run))
    names = fields["tokens"].names if "tokens" in fields else ()
    if not names:
        raise ComponentError(f"{run.path}: its tokens have no names to print; use `stream` from Python")
    plain = "words" if any(len(name) > 1 for name in names if name != END) else "characters"
    return Tokeniser(run.config.data.options.get("tokens", plain), names)


def text_of(module: nn.Module, tokeniser: Tokeniser, prompt: str, stop: str, sampling: Any, seed: int) -> Iterator[str]:
    """Yield what follows on a prompt, token by token, until the end, what stops it, or the dials' length.

    Beams look for texts that end with a token in which `stop` stands. Where it takes several tokens, what they find is
    cut behind it.

    Raises:
        ValueError: the prompt has a character that the model does not know.
    """
    model: Any = module
    begun, written = torch.from_numpy(tokeniser.encode(prompt)), ""
    ends = [number for number, name in enumerate(tokeniser.names) if name == END or (stop and stop in name)]
    stream = model.stream(begun, sampling, torch.Generator().manual_seed(seed), ends)
    for token in itertools.islice(stream, sampling.length):
        if tokeniser.names[token] == END:
            return
        yield tokeniser.names[token]
        written += tokeniser.names[token]
        if stop and stop in written:
            return


@torch.no_grad()
def music_of(module: nn.Module, item: Field, prompt: str, sampling: Any, seed: int) -> Files:
    """Return a piece that goes on from an opening, the MIDI file `prompt` if there is one, with the opening before it.

    Raises:
        ComponentError: the model cannot write.
        ValueError: the opening has a pitch or a duration that the model does not know.
    """
    require(module, "generate")
    model: Any = module
    shape = (0, 2) if item.kind == "notes" else (0,)
    begun = torch.from_numpy(opening(Path(prompt), item) if prompt else np.empty(shape, np.int64))[None]
    made = model.generate(begun, sampling.length, sampling, torch.Generator().manual_seed(seed))
    return MEDIA.find("score").files(torch.cat([begun, made], 1).numpy(), item)
