"""`generative play`: a trained model in the browser, its dials as sliders."""

import asyncio
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import tyro
from torch import nn

from generative import offers
from generative.capabilities import dials as sampling_of
from generative.core.views import Slider, Slides
from generative.data.identity import data_facts, fields_of
from generative.latent.views import views_of
from generative.play.controls import Control, dials_of
from generative.play.server import ModelServer, ShownModel
from generative.report.media import Files, medium_of
from generative.runs.run_folder import TrainingRun
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.making import music_of, samples_of, text_of, tokeniser_of
from scripts.generative.runs.pictures import view_files
from scripts.generative.runs.source import RunSource
from scripts.terminal.short_help import notes


@dataclass(frozen=True)
class PlayOptions:
    """Where the page is."""

    port: int = 8766
    """Port on this machine; 0 takes a free one."""
    browser: tyro.conf.FlagConversionOff[bool] = True
    """Open the page in the browser."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port={self.port}: must be from 0 to 65535")


@dataclass(frozen=True)
class Draw:
    """New samples, drawn from the model."""

    count: int = 16
    """How many."""
    columns: int = 8
    """Images in a row."""

    def __post_init__(self) -> None:
        for name, most in (("count", 1024), ("columns", 64)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)}: give 1 to {most}")


@dataclass(frozen=True)
class Classes:
    """Which classes are drawn."""

    labels: tuple[str, ...] = ()
    """Classes to draw, in turn; all of them where none is chosen."""


@dataclass(frozen=True)
class Prompt:
    """A text that goes on from a prompt, token by token."""

    prompt: str = ""
    """Beginning of the text; by default where texts begin."""
    stop: str = ""
    """Stop once this was written."""


@dataclass(frozen=True)
class Opening:
    """A piece of music, from its beginning."""


def main(run: TrainingRun, options: PlayOptions) -> Sequence[str]:
    """Serve the run's page until Ctrl-C.

    Raises:
        ComponentError: the model can be asked for nothing, or the port is taken.
    """
    module = open_model(run)
    config = run.config
    controls = controls_of(run, module)
    played = ShownModel(run.path.resolve().name, f"{config.model.type}, trained on {config.data.type}", controls)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(played, options))
    return ["play: ended"]


async def _serve(played: ShownModel, options: PlayOptions) -> None:
    server = ModelServer(played)
    address = await server.open(options.port)
    print(f"play: {played.title} at {address} (Ctrl-C ends it)", flush=True)
    try:
        if options.browser:
            await asyncio.to_thread(webbrowser.open, address)
        await asyncio.Event().wait()
    finally:
        await server.close()


def controls_of(run: TrainingRun, module: nn.Module) -> Mapping[str, Control]:
    """Return what a run's model can be asked for: samples, a text or a piece of music, and its views."""
    source, item = RunSource(run, module), next(iter(fields_of(data_facts(run)).values()))
    found: dict[str, Control] = {}
    if offers(module, "sample"):

        def samples(dials: Sequence[Any], seed: int) -> Files:
            draw, *told, sampling = dials
            labels = told[0].labels if told else ()
            return samples_of(run, module, draw.count, draw.columns, labels, sampling, seed)

        kinds = (Draw, *([Classes] if source.classes else []), sampling_of(module))
        found["sample"] = _control(kinds, choices={"labels": source.classes}, make=samples)
    if offers(module, "stream") and item.kind == "tokens" and medium_of(module, item) == "text":
        tokeniser = tokeniser_of(run, module)

        def written(dials: Sequence[Any], seed: int) -> Iterator[str]:
            begun, sampling = dials
            yield begun.prompt
            yield from text_of(module, tokeniser, begun.prompt, begun.stop, sampling, seed)

        found["write"] = _control((Prompt, sampling_of(module)), stream=written)
    elif offers(module, "generate") and medium_of(module, item) == "score":

        def composed(dials: Sequence[Any], seed: int) -> Files:
            return music_of(module, item, "", dials[1], seed)

        found["compose"] = _control((Opening, sampling_of(module)), make=composed)
    for name, kind in views_of(module).items():
        sliders: Mapping[str, Sequence[Slider]] = kind.sliders(module, source) if isinstance(kind, Slides) else {}
        found[name] = _control((kind,), sliders=sliders, make=partial(_seen, module, source))
    return found


def _seen(module: nn.Module, source: RunSource, dials: Sequence[Any], seed: int) -> Files:
    return view_files(dials[0].show(module, source, seed))


def _control(
    kinds: tuple[type, ...],
    sliders: Mapping[str, Sequence[Slider]] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
    **makes: Any,
) -> Control:
    says = (kinds[0].__doc__ or "").strip().splitlines()[0]
    dials = [dial for kind in kinds for dial in dials_of(kind, notes(kind), sliders, choices)]
    return Control(says, kinds, tuple(dials), **makes)
