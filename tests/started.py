"""Commands in processes of their own, to be stopped or killed: forks of one that has imported what they need."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.started", "scripts.cli", "scripts.stages", "torch.utils.tensorboard"])


def started(words: Sequence[str], said: Path) -> multiprocessing.context.ForkServerProcess:
    """Return a `worldmodels` command that was started; what it says of errors is in the file `said` when it ends."""
    process = FORKS.Process(target=_carry_out, args=(list(words), said), daemon=True)
    process.start()
    return process


def _carry_out(words: list[str], said: Path) -> None:
    from scripts.cli import entry

    for number, path in ((1, os.devnull), (2, said)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["worldmodels", *words]
    entry()
