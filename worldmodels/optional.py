"""Packages that only some need: imported where they are used, with an error that says how to install them."""

import importlib
from typing import Any

from worldmodels.errors import RunError


def optional_package(*modules: str, install: str) -> Any:
    """Return the first of these modules; all of them are imported, as a package does not import all that is in it.

    Args:
        *modules: their full names.
        install: what pip is asked for.

    Raises:
        RunError: one cannot be imported.
    """
    try:
        package, *_ = [importlib.import_module(name) for name in modules]
    except ImportError as error:
        raise RunError(f"{modules[0]} is missing ({error}); `pip install '{install}'` brings it") from error
    return package
