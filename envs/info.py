"""The name for what gymnasium hands over beside observations and rewards."""

from typing import Any

Info = dict[str, Any]
"""Values by name, whatever an environment tells: `info`, `options` and `metadata`."""
