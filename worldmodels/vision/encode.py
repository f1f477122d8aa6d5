"""A run's latents: `vision/latents` holds every episode that was encoded, and is filled where one is missing.

Memory training encodes what it reads; so does whoever comes later, such as a dream, which reads the same files.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from generative import resolve_device
from worldmodels.rollouts.episode import EpisodeFile
from worldmodels.run.finished import digest
from worldmodels.run.folder import Run
from worldmodels.vision.contract import VisionModule
from worldmodels.vision.latent_files import LatentFile, encode_episode_latents


def encode_rollouts(run: Run, files: Sequence[EpisodeFile], vision: VisionModule) -> Iterator[int]:
    """Encode the episodes that are not encoded yet, on the training device, and yield how many are, from the start."""
    device = resolve_device(run.config.device)
    vision.to(device)
    missing = [file for file in files if not latent_path(run, file).exists()]
    encoded = len(files) - len(missing)
    yield encoded
    for number, file in enumerate(missing, encoded + 1):
        encode_episode_latents(file, vision, latent_path(run, file), str(device), _weights(run))
        yield number
    vision.cpu()


def latent_path(run: Run, file: EpisodeFile) -> Path:
    """Return where an episode's latents are kept."""
    return latents_folder(run) / f"{file.path.stem}.safetensors"


def latents_folder(run: Run) -> Path:
    """Return the folder of a run's latents."""
    return run.folder("train-vision") / "latents"


def latent_file(run: Run, file: EpisodeFile) -> LatentFile:
    """Return an episode's latents.

    Raises:
        RunError: they are missing, damaged, or of another episode or vision.
    """
    return LatentFile(latent_path(run, file)).check_of(file.path.stem, _weights(run))


def _weights(run: Run) -> str:
    return digest(run.folder("train-vision") / "model.safetensors")
