"""The data as a part of a run's identity: what was read when it began, and that it is the same ever after.

`data.json` in the run folder says in words what was used and left out, and holds what a model needs to know of its
data (its fields and counts), so that commands that only draw from it ask for no data.
"""

import dataclasses

from generative.core.facts import Facts
from generative.core.files import read_json, write_json
from generative.core.options import ComponentError, config_from_mapping
from generative.data.fields import Data, Field
from generative.data.origin import differences
from generative.runs.run_folder import TrainingRun

FILE = "data.json"


def keep_data(run: TrainingRun, data: Data) -> None:
    """Write what a run is begun on; of one that was begun before, looks whether it is still the same.

    Raises:
        ComponentError: it is not; says which files were added, removed and changed.
    """
    if (run.path / FILE).is_file() or run.facts() is not None or run.history():
        compare_data(run, data)
    else:
        write_json(run.path / FILE, _facts(data))


def compare_data(run: TrainingRun, data: Data) -> None:
    """Raise ComponentError where data are not those that a run was begun on."""
    changes = differences(data_facts(run)["files"], data.origin.files)
    if changes:
        raise ComponentError(
            f"{data.origin.root} is not what {run.path} was begun on: {changes}; "
            "restore the files, or start a new run with --out"
        )


def data_facts(run: TrainingRun) -> Facts:
    """Return what a run was begun on: name, fields, counts, lines in words, files with digests.

    Raises:
        ComponentError: the run has no such record, or it is damaged.
    """
    path = run.path / FILE
    if not path.is_file():
        raise ComponentError(
            f"{run.path}: no {FILE}, so nothing says which data it was trained on; train anew with --out"
        )
    remedy = "restore it or train anew with --out"
    facts = read_json(path, remedy)
    if "kind" in facts and "fields" not in facts:
        raise ComponentError(f"{path} was written by an older version, without the fields of the data: train anew")
    if not ({"name", "fields", "training", "held_out", "lines", "files"} <= facts.keys()):
        raise ComponentError(f"{path} is damaged (fields are missing): {remedy}")
    return facts


def fields_of(facts: Facts) -> dict[str, Field]:
    """Return the fields that `data_facts` says the items had."""
    return {name: config_from_mapping(Field, each, f"fields.{name}") for name, each in facts["fields"].items()}


def _facts(data: Data) -> Facts:
    return {
        "name": data.name,
        "fields": {name: dataclasses.asdict(each) for name, each in data.fields.items()},
        "training": len(data),
        "held_out": len(data.held_out()),
        "lines": data.origin.lines(),
        "root": data.origin.root,
        "files": dict(data.origin.files),
    }
