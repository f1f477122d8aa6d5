"""Stage 6: film what the agent sees, what its vision keeps of it, and what its memory dreams of the same actions."""

from collections.abc import Iterator

import numpy as np

from generative.capabilities import refusal
from worldmodels.assembly import dreaming_memory, env_shape, load_bundle, load_vision
from worldmodels.film import Shot, film
from worldmodels.run import Progress, Run
from worldmodels.video import as_rgb, side_by_side, write_png, write_webm

STRIP = 12
"""Moments in the still picture."""


def dream(run: Run) -> Iterator[Progress]:
    """Write `dream/dream.webm` and `dream/strip.png` and yield the progress in steps."""
    run.require("train-vision", "train-memory", "evolve")
    config = run.config.film
    with run.working("dream"):
        bundle, parameters, _ = load_bundle(run)
        reason = refusal(bundle.load_vision(), "decode")
        if reason:
            run.finish("dream", {"steps": 0, "not_filmed": f"no film: {reason}"})
            yield Progress("dream", config.steps, config.steps, "steps")
            return
        run.reopen("dream")
        shots: list[Shot] = []
        yield Progress("dream", 0, config.steps, "steps")
        for shot in film(bundle, parameters, dreaming_memory(run, load_vision(run), bundle.spec), config):
            shots.append(shot)
            if len(shots) % 10 == 0:
                yield Progress("dream", len(shots), config.steps, "steps")
        folder = run.folder("dream")
        folder.mkdir(exist_ok=True)
        write_webm(folder / "dream.webm", (panels(shot) for shot in shots), env_shape(run.config.env).fps)
        write_png(folder / "strip.png", strip(shots))
        dreamt = [shot for shot in shots if shot.dreaming]
        run.finish(
            "dream",
            {
                "steps": len(shots),
                "dreamt_steps": len(dreamt),
                "real_reward": sum(shot.real_reward for shot in dreamt),
                "dream_reward": _known(sum(shot.dream_reward for shot in dreamt)),
                "temperature": config.temperature,
                "track": config.track,
            },
        )
        yield Progress("dream", len(shots), len(shots), "steps")


def _known(reward: float) -> float | None:
    """Return a reward, or None where the memory has no reward head."""
    return reward if np.isfinite(reward) else None


def panels(shot: Shot) -> np.ndarray:
    """Return one frame of the film: real, reconstruction, dream."""
    label = "dream" if shot.dreaming else "memory watches"
    frames = [as_rgb(frame) for frame in (shot.real, shot.reconstruction, shot.dream)]
    return side_by_side(frames, ["real", "reconstruction", label])


def strip(shots: list[Shot]) -> np.ndarray:
    """Return moments of the film in columns: real above reconstruction above dream."""
    picked = [shots[int(index)] for index in np.linspace(0, len(shots) - 1, min(STRIP, len(shots)))]
    rows = [
        np.concatenate([as_rgb(frame) for frame in frames], axis=1)
        for frames in zip(*((shot.real, shot.reconstruction, shot.dream) for shot in picked), strict=True)
    ]
    return np.concatenate(rows, axis=0).repeat(2, 0).repeat(2, 1)
