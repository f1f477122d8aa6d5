"""What the stages make of a configuration: probes that compare one with another in which a field is changed."""

import dataclasses
import itertools
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from agents import make_controller
from envs import make_env
from scripts.collect import collect
from scripts.evaluate import evaluate
from scripts.evolve import worker_setup
from scripts.stages import evolve, train_memory, train_vision
from tests.small import small_config
from worldmodels import Run
from worldmodels.agent.build import env_shape
from worldmodels.agent.trained import assemble
from worldmodels.config import config_from
from worldmodels.config_files import read_config
from worldmodels.dream.of_run import keep_starts
from worldmodels.errors import RunError
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import Trials, next_episodes
from worldmodels.evolution.rounds import exploited, keeps_vision, round_config
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.files import link_tree, read_lines
from worldmodels.parallel import ray_executor, ray_session
from worldmodels.parallel.open import open_executor
from worldmodels.parallel.ray_slots import Slots
from worldmodels.parallel.serial import SerialExecutor
from worldmodels.rollouts.dataset import episode_files
from worldmodels.rollouts.episode import EpisodeFile
from worldmodels.run.preflight import check_plan
from worldmodels.vision.encode import latent_file

accuracy_module, loop_module = sys.modules["scripts.accuracy"], sys.modules["scripts.loop"]
LEARNT = ("collect", "train-vision", "train-memory")
TIMES = (
    "finished", "files", "seconds", "timings", "crc", "samples_per_second", "subject", "core_hours_before",
    "track", "tracks", "env",
)  # fmt: skip
"""Facts that tell the time, or repeat what was asked for."""
TINY = {
    "dtype": "float32",
    "collect": {"episodes": 3, "max_frames": 8},
    "vision": {"batch": 8, "fit": {"steps": 4}},
    "memory": {"batch": 4, "fit": {"steps": 4}},
    "evolve": {"generations": 1, "optimiser": {"population": 4}, "validation": {"tracks": 2}},
    "dream": {"horizon": 10},
    "evaluate": {"tracks": 2, "baseline": False},
    "accuracy": {"controllers": 0},
}  # fmt: skip
BRIEF = {"env": {"max_steps": 15}}
"""Episodes in which a controller evolves."""
TRAINED, AGENT, OTHER = "<trained>", "<agent>", "<other>"
"""Stand for folders: of a run with vision and memory, and of two that have controllers too."""


def bare(facts):
    """Return facts without what differs from time to time, and without what was asked for."""
    return {name: value for name, value in facts.items() if name not in TIMES}


class Probes:
    """What the stages make of a configuration, each in a folder of its own."""

    def __init__(self, trained, folder, monkeypatch):
        self.trained, self.folder, self.patch = trained, folder, monkeypatch
        self.numbers = itertools.count()
        self.places = {TRAINED: str(trained.path)}

    def run(self, config, *stages, source=None):
        """A new run that has taken over finished stages."""
        run = Run.create(self.folder / str(next(self.numbers)), config)
        for stage in stages:
            link_tree((source or self.trained).folder(stage), run.folder(stage))
        return run

    def agent(self, name):
        """The folder of a run with a controller."""
        if name not in self.places:
            seed = {"seed": 2} if name == OTHER else {}
            given = {**TINY, **BRIEF, "evolve": TINY["evolve"] | seed}
            run = self.run(config_from(given, small_config()), *LEARNT)
            list(evolve(run))
            self.places[name] = str(run.path)
        return self.places[name]

    def files(self, config):
        """What a file that names a preset is read as."""
        path = self.folder / f"{next(self.numbers)}.yaml"
        path.write_text(f"preset: {config.preset}\n")
        return dataclasses.replace(read_config(path), preset="")

    def tracks(self, config):
        """The folders that figures make."""
        run = self.run(config)
        run.log("evolve", 0, {"mean": 1.0})
        run.curves.close()
        return [path.name for path in run.path.iterdir() if path.is_dir()]

    def plays(self, config):
        """What an environment shows and pays in training along one action, and what it takes."""
        env = make_env(config.env, training=True)
        try:
            seen = [env.reset(seed=3)[0].tobytes(), str(env.action_space)]
            action = env.action_space.high if env.action_space.shape else np.int64(1)
            for _ in range(60):
                obs, reward, terminated, truncated, _ = env.step(action)
                seen.append((obs.tobytes(), reward, terminated, truncated))
                if terminated or truncated:
                    break
            return seen
        finally:
            env.close()

    def collects(self, config):
        """The recorded episodes."""
        run = self.run(config)
        list(collect(run))
        files = [EpisodeFile(path) for path in sorted(run.folder("collect").glob("episode_*.zip"))]
        return [(file.read().action.tobytes(), file.read().obs.tobytes()) for file in files]

    def begins(self, config):
        """The widths with which a collecting executor begins."""
        setups = []

        def noted(_, factory, setup):
            setups.append(len(factory(setup).env.envs))
            return SerialExecutor(factory, setup)

        with self.patch.context() as patch:
            patch.setattr("scripts.collect.open_executor", noted)
            list(collect(self.run(config)))
        return setups

    def _trains(self, run, stage, name):
        """What a stage says of its training, with the checkpoints that are there each time."""
        seen, failed = [], ""
        try:
            for progress in stage(run):
                kept = sorted(path.name for path in (run.folder(name) / "checkpoints").glob("*"))
                seen.append((progress.done, progress.total, progress.unit, bare(progress.metrics or {}), kept))
        except RunError as error:
            failed = str(error)
            if "so it was told" not in failed:
                raise
        return seen, failed

    def sees(self, config):
        """How vision trains; nothing it learns is good enough."""
        with self.patch.context() as patch:
            patch.setattr(sys.modules["scripts.train_vision"], "ATTEMPTS", 1)
            patch.setattr(sys.modules["scripts.train_vision"], "HELD_OUT_FRAMES", 16)
            patch.setattr("scripts.train_vision.examine", lambda *_: {"verdict": "bad", "reason": "so it was told"})
            return self._trains(self.run(config, "collect"), train_vision, "train-vision")

    def remembers(self, config):
        """How memory trains, and what it has come to."""
        run = self.run(config, "collect", "train-vision")
        return self._trains(run, train_memory, "train-memory"), bare(run.done("train-memory") or {})

    def _assembled(self, config):
        run = self.run(config, *LEARNT)
        latents = [latent_file(run, file) for file in episode_files(run.folder("collect"))]
        return run, assemble(run, latents)

    def reads(self, config):
        """What a controller reads of an episode's first frames; on a processor that has bfloat16."""
        run, bundle = self._assembled(config)
        obs = episode_files(run.folder("collect"))[0].read().obs
        with self.patch.context() as patch:
            patch.setattr("worldmodels.agent.precision.native_bfloat16", lambda *_: True)
            perception = bundle.perception(1)
        perception.begin(0, 3)
        seen = []
        for frame in obs[:3]:
            seen.append(perception.observe(frame[None]).numpy().tobytes())
            perception.advance(torch.full((1, bundle.spec.size), 0.5))
        return seen

    def dreams(self, config):
        """What candidates get in dreams."""
        self.patch.setattr("worldmodels.dream.starts.STARTS", 40)
        run, bundle = self._assembled(config_from({"evolve": {"world": "dream"}}, config))
        keep_starts(run)
        size = bundle.build_controller().parameters_size
        parameters = np.random.default_rng(0).normal(size=(3, size))
        trials = Trials(SerialExecutor(TrialWorker, worker_setup(run, bundle)), 4, 16)
        return trials.dream_scores(parameters, list(range(8)), Cost()).tolist()

    def controls(self, config):
        """The controller's size and where an evolution from scratch begins."""
        controller = make_controller(config.controller, 5, env_shape(config.env).spec)
        return controller.parameters_size, list(controller.resting(config.controller.bias or (0.0, 0.0, 0.0)))

    def evolves(self, config):
        """The log and the facts of an evolution."""
        run = self.run(config_from(BRIEF, config), *LEARNT)
        list(evolve(run))
        log = read_lines(run.folder("evolve") / "generations.jsonl")
        return [bare(entry) for entry in log], bare(run.done("evolve"))

    def doubles(self, config):
        return next_episodes(config.evolve, config.evolve.episodes, [0.4, 0.4, 0.4])

    def rounds(self, config):
        """What a loop's rounds differ in, and where they begin."""
        place, best = Path("r"), {"validation": {"mean": 500.0}, "dream_reward": 1.0}
        each = [round_config(config, number, place, place) for number in range(1, 4)]
        kept = [keeps_vision(config, number) for number in range(1, 4)]
        lost = {"validation": {"mean": 1.0}, "dream_reward": 2.0}
        return each, kept, exploited([best, lost])

    def loops(self, config):
        """How many rounds are carried out; there is nothing in them."""
        run = self.run(config)

        def enough(*_):
            raise RunError("enough")

        with self.patch.context() as patch:
            patch.setattr(loop_module, "_round", lambda *_: iter(()))
            patch.setattr(loop_module, "_row", lambda _, curve: {"round": len(curve)})
            patch.setattr(loop_module, "_shown", lambda _: {})
            patch.setattr(loop_module, "_measure", enough)
            with pytest.raises(RunError, match="enough"):
                list(loop_module.loop(run))
        return len(read_lines(run.folder("loop") / "curve.jsonl"))

    def _shows(self, config, stage, name):
        """What a stage leaves of an agent that has been evolved: facts, and files by name and size."""
        run = self.run(config, *LEARNT, "evolve", source=Run(self.agent(AGENT)))
        check_plan(config, run.path, (name,))
        list(stage(run))
        files = [path for path in sorted(run.folder(name).rglob("*")) if path.is_file() and path.name != "done.json"]
        shown = {path.name: path.read_bytes() for path in files if path.suffix in (".png", ".zip")}
        return bare(run.done(name)), [path.name for path in files], shown

    def evaluates(self, config):
        return self._shows(config, evaluate, "evaluate")

    def agrees(self, config):
        """What controllers make in both worlds."""
        run = self.run(config, *LEARNT, "evolve", source=Run(self.agent(AGENT)))
        return accuracy_module._agreement(run, accuracy_module.load_agent_of(run))

    def opens(self, config):
        """With what an executor begins; Ray is not started."""
        started = []

        class Ray(ModuleType):
            __version__ = "9"

            def is_initialized(self):
                return False

            def init(self, **options):
                started.append({name: options.get(name) for name in ("num_cpus", "object_store_memory")})
                raise RuntimeError("not in this test")

            def __getattr__(self, name):
                return lambda *_, **__: None

        def found(address):
            raise RunError(f"address={address}: nobody is there")

        with self.patch.context() as patch:
            patch.setattr(ray_executor, "import_ray", lambda private: Ray("ray"))
            patch.setattr(ray_session, "find_head", found)
            try:
                open_executor(config.executor, dict, {}).close()
            except RunError as error:
                started.append(str(error).partition("\n")[0])
        return started

    def waits(self, config):
        return vars(Slots(config.executor, 0))["_item_limit"]

    def seeds(self, config):
        """The first episodes, and the weights that vision begins with."""
        return self.collects(config), self.sees(config)


def names(config, where=""):
    """The dotted names of all fields."""
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from names(value, f"{where}{item.name}.")
        else:
            yield f"{where}{item.name}"
