"""What an accuracy card is about, as a hash: a card of something else does not count."""

import hashlib
from pathlib import Path

from worldmodels.run.folder import STAGES, Run


def fingerprint(run: Run) -> str:
    """Return a hash of all that the card follows from: trained parts, agent, its history, options."""
    digest = hashlib.sha256(repr((run.config.seed, run.config.accuracy, run.learnt.dream)).encode())
    for path in (
        run.folder("train-vision") / "model.safetensors",
        run.folder("train-memory") / "model.safetensors",
        run.folder("evolve") / "agent.safetensors",
        run.folder("evolve") / "generations.jsonl",
        *(Path(path) / STAGES["evolve"] / "generations.jsonl" for path in run.config.accuracy.histories),
    ):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()
