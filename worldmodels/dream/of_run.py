"""A run's dream: where its dreams begin, and the dream as an environment."""

from pathlib import Path

from generative.core.facts import Facts
from worldmodels.agent.build import env_shape
from worldmodels.agent.precision import torch_dtype
from worldmodels.agent.trained import dreaming_memory, load_memory, load_vision
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.starts import Starts, gather_starts, read_starts, save_starts, settings
from worldmodels.errors import RunError
from worldmodels.memories.sequences import latent_targets
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.run.finished import check
from worldmodels.run.folder import Run
from worldmodels.vision.encode import encode_rollouts, latent_file


def build_dream(run: Run, observe: str = "frames") -> DreamEnv:
    """Return a run's dream as a gymnasium environment; `observe` is "frames" or "latents"."""
    learnt = run.learnt
    shape, vision = env_shape(learnt.env), load_vision(run)
    memory = dreaming_memory(run, vision, shape.spec)
    parts = vision, memory, load_starts(run), shape.spaces, shape.spec
    return DreamEnv(*parts, learnt.dream, observe, shape.fps, torch_dtype(learnt.dtype))


def load_starts(run: Run) -> Starts:
    """Return where a run's dreams begin: as evolution kept it, or drawn from the run's latents.

    Raises:
        RunError: the kept starts were made with other settings, and the latents that others come from are gone.
    """
    folder, dream = run.folder("evolve"), run.learnt.dream
    path = starts_path(run)
    kept: Facts = {}
    if path.exists():
        check(folder)
        starts, kept = read_starts(path)
        if kept == settings(dream):
            return starts
    if not any(run.folder("collect").glob("episode_*.zip")):
        changed = ", ".join(
            f"dream.{name}={value!r} (kept: {kept[name]!r})" if name in kept else f"dream.{name}={value!r}"
            for name, value in settings(dream).items()
            if kept.get(name) != value
        )
        raise RunError(
            f"{run.path} has no starts for dreams with {changed}, and no rollouts to draw them from, as an exported "
            "agent has none: take the run it was exported from"
        )
    return draw_starts(run)


def keep_starts(run: Run) -> Starts:
    """Return where a run's dreams begin, and keep it for whoever dreams later."""
    starts = load_starts(run)
    save_starts(starts_path(run), starts, run.learnt.dream)
    return starts


def starts_path(run: Run) -> Path:
    """Return where a run's starts are kept."""
    return run.folder("evolve") / "starts.safetensors"


def draw_starts(run: Run) -> Starts:
    """Draw where a run's dreams begin from its training episodes, which are encoded where they are not yet."""
    config = run.learnt
    training = split(episode_files(run.folder("collect")))[0]
    for _ in encode_rollouts(run, training, load_vision(run)):
        pass
    files, memory = [latent_file(run, file) for file in training], config.memory
    ended = [latent_targets(file, memory.reward, memory.termination)["termination"] for file in files]
    return gather_starts(files, config.dream, config.seed, ended, memory.latent, load_memory(run))
