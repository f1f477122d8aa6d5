"""Generative models in a notebook: train one, look at what it makes and at its views.

    from scripts.generative.notebook import samples, trained, view

    vae = trained("vae", steps=500)
    samples(vae, temperature=0.8)
    view(vae, "traversal", most=5)

What these return a notebook shows below the cell. `media` of it has the files, as bytes by name.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from generative.capabilities import dials as dials_of
from generative.latent.views import view_named
from generative.report.glance import Glance
from generative.report.media import Files
from generative.runs.run_folder import Choice, TrainingRun, preset
from scripts.generative.data.data_sets import load
from scripts.generative.runs.assembly import begin, open_data, open_model, resolve
from scripts.generative.runs.folders import run_path
from scripts.generative.runs.items import take
from scripts.generative.runs.making import samples_of, text_of, tokeniser_of
from scripts.generative.runs.pictures import picture, reconstructions, view_files
from scripts.generative.runs.source import RunSource
from scripts.generative.train import train
from scripts.terminal.progress import show

NOTHING: Mapping[str, Any] = {}


def trained(
    model: str,
    preset_name: str = "fast",
    out: str = "",
    steps: int | None = None,
    data: Mapping[str, Any] = NOTHING,
    options: Mapping[str, Any] = NOTHING,
    seed: int = 0,
) -> TrainingRun:
    """Return the run of a model, trained to its end; a finished one is only opened.

    Args:
        model: its name; `generative list` shows all.
        preset_name: a preset of it.
        out: the run's folder, or its name under runs/generative; the model's name by default.
        steps: of the optimiser; the preset's by default.
        data: options of the data that differ from the preset's; `type` takes other data.
        options: options of the model that differ from the preset's.
        seed: of everything that is drawn.

    Raises:
        ComponentError: an unknown name, or the folder has a run with another configuration.
        ValueError: an option has a wrong value.
    """
    config = preset(model, preset_name)
    changed = {**(config.data.options if data.get("type", config.data.type) == config.data.type else {}), **data}
    kind = changed.pop("type", config.data.type)
    config = resolve(
        replace(
            config,
            data=Choice(kind, changed),
            model=Choice(model, {**config.model.options, **options}),
            fit=config.fit if steps is None else replace(config.fit, steps=steps),
            seed=seed,
        )
    )
    loaded = load(config.data)
    run = begin(run_path(out or model), config, loaded)
    show(train(run, loaded))
    return run


def samples(
    run: TrainingRun, count: int = 32, columns: int = 8, labels: tuple[str, ...] = (), seed: int = 0, **dials: Any
) -> Glance:
    """Return samples as there is to see or hear of them; further arguments are the model's dials.

    Raises:
        ComponentError: the model does not sample, or its training has not ended.
        TypeError: the model has no such dial.
    """
    module = open_model(run)
    return _shown("samples", samples_of(run, module, count, columns, labels, dials_of(module)(**dials), seed))


def view(run: TrainingRun, name: str, seed: int = 0, **dials: Any) -> Glance:
    """Return one of the views of `generative show`; further arguments are its dials.

    Raises:
        ComponentError: the model has no such view, or its training has not ended.
        TypeError: the view has no such dial.
    """
    module = open_model(run)
    shown = view_named(name, module)(**dials)
    return _shown(name, view_files(shown.show(module, RunSource(run, module), seed)))


def kept(run: TrainingRun, count: int = 16) -> Glance:
    """Return held-out images over what comes back of them."""
    module = open_model(run)
    items = take(module, open_data(run).held_out(), count)
    return _shown("reconstructions", picture(reconstructions(module, items)))


def written(run: TrainingRun, prompt: str, seed: int = 0, **dials: Any) -> Glance:
    """Return a prompt and what the model writes after it; further arguments are the model's dials.

    Raises:
        ComponentError: the model does not write, or its training has not ended.
        ValueError: the prompt has a character that the model does not know.
    """
    module = open_model(run)
    pieces = text_of(module, tokeniser_of(run, module), prompt, "", dials_of(module)(**dials), seed)
    return Glance(text=prompt + "".join(pieces))


def _shown(name: str, files: Files) -> Glance:
    """Return files as a notebook shows them; a text stands there as it is."""
    media = {f"{name}{ending}": content for ending, content in files.items() if ending != ".txt"}
    return Glance(media=media, text=files.get(".txt", b"").decode())
