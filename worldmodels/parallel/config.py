"""Where and how widely work runs, as a section of the configuration."""

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from generative.core.options import check_numbers


@dataclass(frozen=True)
class ExecutorConfig:
    """Where and how widely work runs."""

    type: Literal["ray", "serial"] = "ray"
    """ray: worker processes that are replaced when they die; serial: in this process, for debugging."""
    workers: int = 0
    """Ray's worker processes; 0: one per CPU core this process may use, or per CPU of the cluster."""
    address: str = ""
    """Empty: a private Ray on this machine. `auto` or HOST:PORT: the cluster that already runs there."""
    envs: int = 16
    """Environments that a worker steps together, and the batch width of its networks."""
    item_timeout: float = 0.0
    """Seconds after which a worker counts as hung; 0: 600, or 20 times the median item if that is more."""
    object_store_mb: ClassVar[int] = 200
    """Shared memory of a private Ray, in MiB; twice the size of all models is plenty."""
    ready_timeout: ClassVar[float] = 120.0
    """Seconds a worker may take to start and build its models."""
    max_failures: ClassVar[int] = 10
    """Workers replaced during one `run` before giving up; a machine that is lost counts as one."""

    def __post_init__(self) -> None:
        if self.type not in ("ray", "serial"):
            raise ValueError(f"type={self.type!r}: unknown; choose ray or serial")
        least = {"workers": 0, "envs": 1, "item_timeout": 0}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise ValueError(f"{name}={getattr(self, name)}: too small; use at least {bound}")
        check_numbers(self, "executor")
        port = re.fullmatch(r"[^\s/]+:(\d{1,5})", self.address)
        if self.address not in ("", "auto") and not (port and 0 < int(port[1]) < 2**16):
            raise ValueError(
                f"address={self.address!r}: not an address; use HOST:PORT, auto for the cluster this"
                " machine belongs to, or leave it empty for a private Ray"
            )
