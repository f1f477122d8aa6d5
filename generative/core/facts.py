"""Names for plain data: what JSON and YAML hold, and what figures, facts and options are written as."""

from collections.abc import Mapping
from typing import Any

Facts = dict[str, Any]
"""Values by name: numbers, strings, lists, and further facts."""

FactsView = Mapping[str, Any]
"""The same, only to be read."""
