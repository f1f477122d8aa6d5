"""The stages of a run, one file each. Every stage is a generator over an open run that yields its progress.

    from scripts import collect, train_vision, train_memory, evolve, evaluate

The console command `worldmodels STAGE` drives the same functions.
"""

from scripts.collect import collect
from scripts.dream import dream
from scripts.evaluate import evaluate
from scripts.evolve import evolve
from scripts.loop import loop
from scripts.report import report
from scripts.train_memory import train_memory
from scripts.train_vision import train_vision

__all__ = ["collect", "dream", "evaluate", "evolve", "loop", "report", "train_memory", "train_vision"]
