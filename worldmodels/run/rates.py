"""How fast this machine does what a run is made of, measured for some seconds with the run's own parts and sizes.

Every rate comes from the code that the stages run: a collecting worker records short episodes, training loops train on
them, networks look and dream at the run's batch widths and number types. What workers do is measured on one thread,
as theirs, and slowed down by how much busy cores slow one another down. First calls are not counted.

The rates are those of a quiet machine, whatever else runs on it now: what one thread does is timed by the processor's
clock, which stands still while another process has the core. So is what all threads do together where others take the
cores (`OtherWork`): threads that wait for one another take many times as long there, and one of them tells more.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from generative import FitConfig, component_bytes, fit, resolve_device, to_float
from worldmodels.agent.build import EnvShape, env_shape, new_memory, new_vision
from worldmodels.agent.bundle import Bundle, bundle_parts
from worldmodels.agent.features import Perception
from worldmodels.agent.precision import torch_dtype
from worldmodels.config import RunConfig
from worldmodels.dream.imagine import BLOCK
from worldmodels.dream.residuals import PART, Residuals
from worldmodels.dream.starts import Starts
from worldmodels.evolution.dreamer import Dreamer
from worldmodels.evolution.trial_setup import TrialSetup
from worldmodels.machine import available_cores
from worldmodels.memories import Ensemble, MemoryModule, agent_memory
from worldmodels.memories.sequences import SequenceBatches
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order, PolicyName
from worldmodels.rollouts.dataset import FrameBatches
from worldmodels.rollouts.episode import EpisodeFile, write_episode
from worldmodels.run.folder import Progress
from worldmodels.run.other_work import OtherWork, busy
from worldmodels.seeds import EVOLVE, training_tracks
from worldmodels.vision.contract import Vision, VisionModule
from worldmodels.vision.latent_files import LatentFile, encode_episode_latents

BUDGET = 0.5
"""Seconds spent on measuring each rate, first calls aside."""
LEAST = 2
"""Calls that are measured, whatever they take."""
SERIAL = 0.25
"""Share of a training step that more threads do not make faster; as two cores show it."""
TOGETHER = 20
"""Training steps that are timed together on a GPU, whose figures are read after them."""
STEPS = 8, 48
"""Steps of the episodes that are recorded: what the shorter ones take is mostly their reset."""
NETWORK_DRIVERS = ("random-agent", "agent", "perturbed-agent", "random-controller")


class Rates:
    """Seconds of each kind of work on this machine; `measure` fills them in."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.cores = min(config.executor.workers or available_cores(), available_cores())
        if config.executor.type == "serial":
            self.cores = 1
        self.reset = 0.0
        """Of an environment."""
        self.frame = 0.0
        """Of an environment, its frames drawn, recorded and compressed."""
        self.frame_bytes = 0.0
        """Size of a recorded observation on disk."""
        self.perceive = 0.0
        """For vision and memory to take in a step of all of a worker's environments (`executor.envs`)."""
        self.vision_step = 0.0
        """Of training, its batch read from disk."""
        self.memory_step = 0.0
        """Likewise."""
        self.encode = 0.0
        """To encode a recorded frame, reading and writing included."""
        self.dream_batch = BLOCK
        """Candidates that dream in one batch."""
        self.dreamers = self.cores
        """Batches that are dreamt side by side."""
        self.dream_begin = 0.0
        """To begin a batch of dreams."""
        self.dream_step = 0.0
        """Of a batch of dreams."""
        self.crowding = 1.0
        """How much slower a core is while the others work too."""
        self.others = 0.0
        """Cores that other processes took while this was measured; the rates are those without them."""
        self._beside = OtherWork()

    def measure(self) -> Iterator[Progress]:
        """Measure everything, and yield the progress in rates."""
        self._beside = OtherWork()
        shape = env_shape(self.config.env)
        vision = new_vision(self.config, shape, 0).eval()
        memory = new_memory(self.config, vision.latent_spec.size, shape.spec, 0).eval()
        with tempfile.TemporaryDirectory() as folder:
            files: list[EpisodeFile] = []
            latents: list[LatentFile] = []
            steps: list[Callable[[], None]] = [
                lambda: files.extend(self._record(shape, Path(folder))),
                lambda: latents.extend(self._encode(files, vision, Path(folder))),
                lambda: self._train_vision(files, shape),
                lambda: self._train_memory(latents, vision, shape),
                lambda: self._perceive(memory, shape),
                lambda: self._dream(vision, memory, shape),
                self._crowd,
            ]
            for number, step in enumerate(steps):
                yield Progress("measuring this machine", number, len(steps), "rates")
                step()
        self.others = self._beside.cores()
        yield Progress("measuring this machine", len(steps), len(steps), "rates")

    def _record(self, shape: EnvShape, folder: Path) -> list[EpisodeFile]:
        """Record short episodes and longer ones with a driver that needs no networks."""
        config = self.config
        free: list[PolicyName] = [name for name in config.collect.policies if name not in NETWORK_DRIVERS]
        collect = replace(config.collect, policies=tuple(free[:1]) or ("action-hold",), early_stop=False, agent="")
        tracks = training_tracks(0, EVOLVE, 0, config.executor.envs)
        orders = [Order(number, collect.policies[0], track, number) for number, track in enumerate(tracks)]
        facts = {"simulator_state_names": list(shape.state_names), "action_repeat": config.env.action_repeat}
        limit = config.env.limit
        times: list[float] = []
        frames: list[int] = []
        for steps in STEPS:
            if times and times[0] * STEPS[1] / STEPS[0] > 5 * BUDGET:
                break  # frames are slow, and resets matter little
            env = replace(config.env, max_steps=min(limit, steps * config.env.action_repeat))
            worker = CollectWorker(CollectSetup(env, collect, None, None, facts, config.executor.envs))
            with one_thread():
                begun = time.process_time()
                recordings = worker(orders)
                times.append(time.process_time() - begun)
            worker.close()
            frames.append(sum(recording.frames for recording in recordings))
        files = []
        for recording in recordings:
            path = folder / f"episode_{recording.number:06d}.zip"
            write_episode(path, recording.content)
            files.append(EpisodeFile(path))
        if frames[-1] > frames[0] and times[-1] > times[0]:
            self.frame = (times[1] - times[0]) / (frames[1] - frames[0])
            self.reset = max(0.0, times[0] - frames[0] * self.frame) / len(orders)
        else:
            self.frame = times[-1] / frames[-1]
        self.frame_bytes = sum(file.path.stat().st_size for file in files) / sum(file.frames for file in files)
        return files

    def _encode(self, files: list[EpisodeFile], vision: VisionModule, folder: Path) -> list[LatentFile]:
        device = resolve_device(self.config.device)
        vision.to(device)
        latents = [folder / f"{file.path.stem}.safetensors" for file in files]
        for file, path in zip(files, latents, strict=True):
            encode_episode_latents(file, vision, path, str(device))
        each = self._quiet(lambda: encode_episode_latents(files[0], vision, latents[0], str(device)))
        self.encode = each / files[0].frames
        vision.cpu()
        return [LatentFile(path) for path in latents]

    def _train_vision(self, files: list[EpisodeFile], shape: EnvShape) -> None:
        config = self.config.vision
        module = new_vision(self.config, shape, 0)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            return
        several = files * (1 + config.batch // sum(file.frames for file in files))
        batches = FrameBatches(several, config.batch, config.buffer, 0, resolve_device(self.config.device))
        self.vision_step = self._training(module, batches, config.fit, to_float)

    def _train_memory(self, latents: list[LatentFile], vision: Vision, shape: EnvShape) -> None:
        config = self.config.memory
        module = new_memory(self.config, vision.latent_spec.size, shape.spec, 0)
        batches = SequenceBatches(
            latents,
            config.batch,
            config.sequence,
            0,
            config.reward,
            config.termination,
            config.latent,
            resolve_device(self.config.device),
        )
        self.memory_step = self._training(module, batches, config.fit)

    def _training(
        self,
        module: torch.nn.Module,
        batches: Callable[[int], Iterator[object]],
        config: FitConfig,
        prepare: Callable[[Tensor], Tensor] | None = None,
    ) -> float:
        """Return the seconds of an optimiser step of the run's own training loop."""
        gpu = resolve_device(self.config.device).type == "cuda"
        together = TOGETHER if gpu else 1
        many = replace(config, steps=1_000_000)
        rows = fit(module, batches, many, seed=0, device=self.config.device, log_every=together, prepare=prepare)
        return self._quiet(lambda: next(rows)) / together

    def _quiet(self, step: Callable[[], object]) -> float:
        """Return the seconds of a call that works on all threads, or waits for a GPU, on a quiet machine."""
        if resolve_device(self.config.device).type == "cuda" or not busy(self._beside.cores()):
            return seconds_of(step)
        threads = torch.get_num_threads()
        with one_thread():
            return seconds_of(step, time.process_time) * (SERIAL + (1 - SERIAL) / threads)

    def _perceive(self, memory: MemoryModule, shape: EnvShape) -> None:
        features = self.config.features
        dtype, rows = torch_dtype(_dtype(self.config)), self.config.executor.envs
        encoder = new_vision(self.config, shape, 0).to(dtype).eval()
        perception = Perception(encoder, agent_memory(memory), features, rows, dtype)
        obs, action = np.zeros((rows, *shape.spaces[0].shape), dtype=np.uint8), torch.zeros(rows, shape.spec.size)

        def step() -> None:
            perception.observe(obs)
            perception.advance(action)

        with one_thread():
            self.perceive = seconds_of(step, time.process_time)

    def _dream(self, vision: VisionModule, memory: MemoryModule, shape: EnvShape) -> None:
        if not _dreams(self.config):
            return
        evolve, features, device = self.config.evolve, self.config.features, resolve_device(self.config.device)
        gpu = device.type == "cuda"
        if gpu:
            self.dream_batch, self.dreamers = evolve.optimiser.population, 1
        bundle = Bundle(
            env=self.config.env,
            spec=shape.spec,
            features=features,
            controller=self.config.controller,
            generator=component_bytes(memory),
            dtype=_dtype(self.config),
            **bundle_parts(vision, memory if features.uses_memory else None),
        )
        members = len(memory.members) if isinstance(memory, Ensemble) else 1
        starts = random_starts(self.config, vision.latent_spec.size, shape.spec.size, members)
        parameters = np.zeros((self.dream_batch, bundle.build_controller().parameters_size), dtype=np.float32)

        def batch(horizon: int) -> float:
            short = replace(self.config.dream, horizon=horizon)
            setup = TrialSetup(bundle, self.config.executor.envs, short, starts, evolve.action_cost)
            dreamer = Dreamer(setup, device if gpu else "cpu")
            clock = time.perf_counter if gpu else time.process_time
            return seconds_of(lambda: dreamer(parameters, range(evolve.episodes)), clock)

        few, more = 2, min(max(3, self.config.dream.horizon), 14)
        with one_thread():
            first, second = batch(few), batch(more)
        self.dream_step = max(second - first, 0.1 * second) / (more - few)
        self.dream_begin = max(0.0, first - few * self.dream_step)

    def _crowd(self) -> None:
        """Compare products on one core with products on all of them at once, by what each thread takes of a core."""
        matrix = torch.ones(256, 256)

        def multiply() -> None:
            for _ in range(100):
                torch.mm(matrix, matrix)

        def together() -> None:
            threads = [threading.Thread(target=multiply) for _ in range(self.cores)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        with one_thread():
            each = seconds_of(together, time.process_time) / self.cores
            self.crowding = min(max(1.0, each / seconds_of(multiply, time.process_time)), float(self.cores))


def _dtype(config: RunConfig) -> str:
    """Return the number type that a run will play and dream in, as far as it is known before vision is trained."""
    return "bfloat16" if config.dtype == "auto" else config.dtype


def _dreams(config: RunConfig) -> bool:
    later = [config.loop.later, config.loop.final] if config.loop.rounds else []
    worlds = [config.evolve.world, *(changes.get("evolve", {}).get("world") for changes in later)]
    return "dream" in worlds


def random_starts(config: RunConfig, latent: int, action: int, members: int) -> Starts:
    """Return places where dreams begin, and as many recorded steps as a run has."""
    rng = np.random.default_rng(0)
    dream, collect = config.dream, config.collect
    recorded = (dream.recent_episodes or collect.episodes) * collect.max_frames // config.env.action_repeat
    steps = max(PART, min(recorded, 20 * PART))
    return Starts(
        rng.standard_normal((8, latent), dtype=np.float32),
        rng.standard_normal((8, dream.warmup + 1, latent), dtype=np.float32),
        rng.random((8, dream.warmup, action), dtype=np.float32),
        residuals=Residuals(
            rng.standard_normal((steps, latent), dtype=np.float32),
            rng.random((steps, action), dtype=np.float32),
            np.zeros((members, steps, latent), dtype=np.float32),
        )
        if dream.noise == "residual"
        else None,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch and BLAS work on one thread, as they do in workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)


def seconds_of(step: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median seconds of a call, without the first ones and what the machine does now and then.

    Args:
        step: what is called.
        clock: that the calls are timed by; how many there are follows from the real time.
    """
    for _ in range(2):
        step()
    begun, calls = time.perf_counter(), [clock()]
    while len(calls) <= LEAST or time.perf_counter() - begun < BUDGET:
        step()
        calls.append(clock())
    return float(np.median(np.diff(calls)))
