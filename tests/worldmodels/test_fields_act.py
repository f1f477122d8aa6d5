"""A field that is changed changes what its stage does, or is refused; one that does neither is a fault.

Every field of a configuration has a check here: a new field without one fails the test.
"""

import dataclasses
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import make_controller
from envs import make_env
from generative.strict_yaml import read_yaml, write_yaml
from scripts.cli import main
from scripts.collect import collect
from scripts.dream import dream
from scripts.evaluate import evaluate
from scripts.evolve import worker_setup
from scripts.stages import evolve, train_memory, train_vision
from tests.small import looped_config, small_config
from worldmodels import Run
from worldmodels.agent.build import assemble, env_shape, keep_starts
from worldmodels.config import RunConfig, check_acting, config_from, nested
from worldmodels.config_files import PRESETS, known_presets, preset, read_config
from worldmodels.errors import RunError
from worldmodels.evolution.drive import Cost
from worldmodels.evolution.generations import Trials, next_episodes
from worldmodels.evolution.rounds import exploited, keeps_vision, round_config
from worldmodels.evolution.tasks import TrialWorker
from worldmodels.files import link_tree, read_lines
from worldmodels.idle import TABLE
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
    "evaluate": {"tracks": 2, "baseline": False, "video": False},
    "film": {"steps": 4, "context": 3, "ahead": 3},
    "accuracy": {"episodes": 2, "max_frames": 16, "warmup": 4, "horizons": [1, 2], "controllers": 0},
}  # fmt: skip
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
            run = self.run(config_from({**TINY, "evolve": TINY["evolve"] | seed}, small_config()), *LEARNT)
            list(evolve(run))
            self.places[name] = str(run.path)
        return self.places[name]

    def files(self, config):
        """What a file that names a preset is read as."""
        path = self.folder / f"{next(self.numbers)}.yaml"
        path.write_text(f"preset: {config.preset}\n")
        return dataclasses.replace(read_config(path), preset="")

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
        """How vision trains; nothing it learns is good enough, so that all attempts are made."""
        with self.patch.context() as patch:
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
        run = self.run(config, *LEARNT)
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
        return each, kept, exploited(config.loop, [best, lost])

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

    def films(self, config):
        with self.patch.context() as patch:
            patch.setattr(sys.modules["scripts.dream"], "DREAMS", range(3))
            return self._shows(config, dream, "dream")

    def measures(self, config):
        """The card, of one set of episodes."""
        with self.patch.context() as patch:
            patch.setattr(accuracy_module, "SETS", ("on-policy",))
            return self._shows(config, accuracy_module.accuracy, "accuracy")

    def agrees(self, config):
        """What controllers make in both worlds."""
        run = self.run(config, *LEARNT, "evolve", source=Run(self.agent(AGENT)))
        return accuracy_module._agreement(run, accuracy_module.load_agent_of(run))

    def opens(self, config):
        """With what an executor begins; Ray is not started."""
        started = []

        class Ray:
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
            patch.setattr(ray_executor, "import_ray", lambda private: Ray())
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


FIT = {
    "steps": 6,
    "learning_rate": 0.01,
    "warmup": 3,
    "schedule": "constant",
    "gradient_clip": 0.001,
    "clip_value": 1e-6,
    "precision": "bfloat16",
}
FREE = {"vision.options.kl_floor": 0.0}
NO_REWARD = {"dream.no_reward_limit": 2}
TOP = {"evolve.generations": 2, "evolve.validation": {"every": 1, "top_k": 2, "top_k_tracks": 2}}
CONTROLLERS = {"accuracy.controllers": 3, "accuracy.controller_tracks": 2, "accuracy.controller_dreams": 2}
RAY = {"executor.type": "ray", "executor.workers": 1}


def driven(*policies):
    return {"collect.policies": list(policies), "collect.agent": AGENT}


CHECKS = {
    "preset": ("files", "quick", {}),
    "seed": ("seeds", 1, {}),
    "device": ("sees", "cuda:77", {"device": "cpu"}),
    "dtype": ("reads", "bfloat16", {}),
    "env.id": ("plays", "WorldModels/FastCarRacing-v3", {}),
    "env.wrappers": ("plays", ["envs:PickObservation {key: image}"], {}),
    "env.size": ("plays", 16, {}),
    "env.crop": ("plays", [0, 16], {}),
    "env.action_repeat": ("plays", 2, {}),
    "env.max_steps": ("plays", 5, {}),
    "env.no_reward_limit": ("plays", 4, {}),
    "env.options": ("plays", {"size": 32, "discrete": True}, {}),
    "collect.policies": ("collects", ["brownian"], {}),
    "collect.episodes": ("collects", 4, {}),
    "collect.max_frames": ("collects", 6, {}),
    "collect.agent": ("collects", OTHER, driven("agent")),
    "collect.noise": ("collects", 0.4, driven("agent")),
    "collect.correlation_time": ("collects", 2.0, driven("agent")),
    "collect.perturbation": ("collects", 0.5, driven("perturbed-agent")),
    "collect.bias": ("collects", [0.0, 0.5, -1.0], {"collect.policies": ["ornstein-uhlenbeck"]}),
    "collect.extends": ("collects", TRAINED, {}),
    "collect.early_stop": ("collects", True, {"env.no_reward_limit": 4, "collect.max_frames": 40}),
    "vision.type": ("sees", "autoencoder", {}),
    "vision.options.layout": ("sees", "fast-relu", {}),
    "vision.options.latent": ("sees", 4, {}),
    "vision.options.image_size": ("sees", 48, {}),
    "vision.options.channels": ("sees", 1, {}),
    "vision.options.width": ("sees", 16, {}),
    "vision.options.beta": ("sees", 0.1, FREE),
    "vision.options.kl_floor": ("sees", 0.0, {}),
    "vision.options.free_bits": ("sees", 0.5, FREE),
    "vision.options.beta_warmup": ("sees", 3, FREE),
    "vision.options.r_loss_factor": ("sees", 50.0, FREE),
    "vision.start": ("sees", TRAINED, {}),
    "vision.batch": ("sees", 4, {}),
    "vision.buffer": ("sees", 16, {}),
    "vision.attempts": ("sees", 2, {}),
    "memory.type": ("remembers", "feed-forward", {}),
    "memory.options.latent": ("remembers", 9, {}),
    "memory.options.action": ("remembers", 7, {}),
    "memory.options.reward": ("remembers", False, {}),
    "memory.options.reward_target": ("remembers", "event-rate", {}),
    "memory.options.termination": ("remembers", False, {}),
    "memory.options.input_noise": ("remembers", 0.5, {}),
    "memory.options.dropout": ("remembers", 0.5, {}),
    "memory.options.hidden": ("remembers", 16, {}),
    "memory.options.mixtures": ("remembers", 2, {}),
    "memory.start": ("remembers", TRAINED, {}),
    "memory.batch": ("remembers", 6, {}),
    "memory.sequence": ("remembers", 10, {}),
    "memory.latent": ("remembers", "mean", {}),
    "memory.reward.type": ("remembers", "raw", {}),
    "memory.reward.window": ("remembers", 2, {}),
    "memory.termination.type": ("remembers", "env", {}),
    "memory.termination.off_road_steps": ("remembers", 1, {}),
    "features.reads": ("reads", "vision", {}),
    "features.memory": ("reads", "untrained", {}),
    "features.latent": ("reads", "sample", {}),
    "features.stack": ("reads", 2, {"features.reads": "frame-stack"}),
    "controller.type": ("controls", "mlp", {}),
    "controller.layers": ("controls", [7], {"controller.type": "mlp"}),
    "controller.bias": ("controls", [0.0, 0.5, -1.0], {}),
    "evolve.world": ("evolves", "dream", {}),
    "evolve.start": ("evolves", AGENT, {}),
    "evolve.generations": ("evolves", 2, {}),
    "evolve.optimiser.type": ("evolves", "random-search", {}),
    "evolve.optimiser.population": ("evolves", 5, {}),
    "evolve.optimiser.sigma": ("evolves", 0.2, {}),
    "evolve.episodes": ("evolves", 3, {}),
    "evolve.agreement": ("doubles", 0.5, {"evolve.agreement": 0.3}),
    "evolve.action_cost": ("evolves", 0.5, {}),
    "evolve.validation.every": ("evolves", 1, {"evolve.generations": 2}),
    "evolve.validation.tracks": ("evolves", 3, {}),
    "evolve.validation.record": ("evolves", True, {}),
    "evolve.validation.top_k": ("evolves", 1, TOP),
    "evolve.validation.top_k_tracks": ("evolves", 3, TOP),
    "evolve.seed": ("evolves", 5, {}),
    "dream.horizon": ("dreams", 20, {}),
    "dream.temperature": ("dreams", 2.0, {}),
    "dream.noise": ("dreams", "residual", {}),
    "dream.initial_state_fraction": ("dreams", 1.0, {}),
    "dream.warmup": ("dreams", 3, {}),
    "dream.no_reward_limit": ("dreams", 2, {}),
    "dream.termination_penalty": ("dreams", 10.0, NO_REWARD),
    "dream.recent_episodes": ("dreams", 1, {}),
    "dream.min_steps_to_end": ("dreams", 8, {}),
    "dream.memory": ("dreams", "untrained", {}),
    "loop.rounds": ("loops", 4, {}),
    "loop.later": ("rounds", {"dream": {"horizon": 9}}, {}),
    "loop.final": ("rounds", {"dream": {"horizon": 9}}, {}),
    "loop.final_rounds": ("rounds", 2, {"loop.final": {"dream": {"horizon": 9}}}),
    "loop.vision_every": ("rounds", 3, {}),
    "loop.warm_start": ("rounds", False, {}),
    "loop.rollback": ("rounds", False, {}),
    "evaluate.tracks": ("evaluates", 3, {}),
    "evaluate.env": ("evaluates", "WorldModels/FastCarRacing-v3", {}),
    "evaluate.baseline": ("evaluates", True, {}),
    "evaluate.video": ("evaluates", True, {}),
    "film.steps": ("films", 24, {}),
    "film.context": ("films", 5, {}),
    "film.ahead": ("films", 5, {}),
    "film.track": ("films", 10_003, {}),
    "accuracy.episodes": ("measures", 3, {}),
    "accuracy.max_frames": ("measures", 14, {}),
    "accuracy.warmup": ("measures", 6, {}),
    "accuracy.horizons": ("measures", [1, 3], {}),
    "accuracy.controllers": ("agrees", 4, CONTROLLERS),
    "accuracy.histories": ("agrees", [OTHER], CONTROLLERS),
    "accuracy.candidates": ("agrees", 6, CONTROLLERS),
    "accuracy.controller_tracks": ("agrees", 3, CONTROLLERS),
    "accuracy.controller_dreams": ("agrees", 3, CONTROLLERS),
    "executor.type": ("opens", "serial", RAY),
    "executor.workers": ("opens", 2, RAY),
    "executor.address": ("opens", "10.0.0.1:6379", RAY),
    "executor.envs": ("begins", 2, {}),
    "executor.object_store_mb": ("opens", 100, RAY),
    "executor.item_timeout": ("waits", 7.0, RAY),
}
"""Of each field: what is compared, another value, and what else is set so that the field matters."""
CHECKS |= {f"vision.fit.{name}": ("sees", value, {"vision.fit.warmup": 1}) for name, value in FIT.items()}
CHECKS |= {
    f"memory.fit.{name}": ("remembers", "cosine" if name == "schedule" else value, {}) for name, value in FIT.items()
}
REFUSED = (
    "device", "env.wrappers", "vision.options.image_size", "vision.options.channels", "memory.options.latent",
    "memory.options.action", "memory.options.reward_target", "evaluate.env",
)  # fmt: skip
"""What is refused by name: it follows from other parts, or is not there."""


def names(config, where=""):
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            yield from names(value, f"{where}{item.name}.")
        else:
            yield f"{where}{item.name}"


def missing(config):
    """The fields without a check, and the checks without a field."""
    return set(names(config)) ^ set(CHECKS)


def test_every_field_has_a_check():
    assert missing(RunConfig()) == set()
    assert set(REFUSED) < set(CHECKS)


@pytest.mark.parametrize("section", ["loop", "dream", "executor"])
def test_a_field_without_a_check_is_found(section):
    kind = type(getattr(RunConfig(), section))
    planted = dataclasses.make_dataclass(kind.__name__, [("fake", int, 3)], bases=(kind,), frozen=True)
    assert missing(dataclasses.replace(RunConfig(), **{section: planted()})) == {f"{section}.fake"}


@pytest.fixture(scope="module")
def measured(_trained, tmp_path_factory):
    """What a probe finds, measured once for each configuration: `measured(probe, config)`."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        probes = Probes(_trained, tmp_path_factory.mktemp("fields"), patch)

        def of(probe, config):
            key = (probe, repr(config))
            if key not in found:
                found[key] = getattr(probes, probe)(config)
            return found[key]

        of.probes, of.known = probes, set()
        yield of


def placed(value, probes):
    """A value with the folders that it names."""
    if isinstance(value, dict):
        return {key: placed(inner, probes) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, probes) for inner in value]
    if value in (AGENT, OTHER):
        return probes.agent(value)
    return probes.places.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (check[0] == "measures")) for name, check in CHECKS.items()]
)
def test_a_changed_field_acts_or_is_refused(name, measured):
    probe, value, context = CHECKS[name]
    whole = looped_config if name.startswith("loop.") else small_config
    base = config_from(nested(placed(context, measured.probes)), config_from(TINY, whole()))
    before = measured(probe, base)
    if probe not in measured.known:  # what is compared does not vary by itself
        measured.known.add(probe)
        assert before == getattr(measured.probes, probe)(base)
    changed = nested({name: placed(value, measured.probes)})
    if name in REFUSED:
        with pytest.raises((RunError, ValueError), match=name.rpartition(".")[2]):
            measured(probe, config_from(changed, base))
    else:
        after = measured(probe, config_from(changed, base))
        assert after != before


IDLE = {
    "collect.noise": 0.3, "collect.correlation_time": 3.0, "collect.perturbation": 0.3, "collect.bias": [0.0, 0.0, 1.0],
    "collect.agent": "somewhere", "memory.reward.window": 3, "memory.termination.off_road_steps": 3,
    "features.stack": 7, "features.memory": "shuffled", "controller.layers": [5],
    "evolve.validation.top_k_tracks": 9, "loop.final": {"dream": {"horizon": 9}}, "loop.vision_every": 3,
    "loop.warm_start": False, "loop.rollback": False, "loop.final_rounds": 3, "accuracy.histories": ["somewhere"],
    "accuracy.candidates": 50, "accuracy.controller_tracks": 5, "accuracy.controller_dreams": 5,
    "executor.address": "auto", "executor.object_store_mb": 300, "executor.item_timeout": 9.0,
}  # fmt: skip
"""Values of fields that need another one."""
NOT_ACTING = {
    "memory.reward": {"memory.reward.type": "raw"},
    "memory.termination": {"memory.termination.type": "env"},
    "features": {"features.reads": "vision"},
    "accuracy": {"accuracy.controllers": 0},
    "executor": {"executor.type": "serial"},
}
"""What else is said, by the beginning of the field's name, so that it does nothing."""


def written(folder, fields):
    """A file that asks for fields by their dotted names."""
    path = folder / "asked.yaml"
    path.write_text(write_yaml({"preset": "toy", **nested(fields)}))
    return path


@pytest.mark.parametrize("name", IDLE)
def test_what_would_do_nothing_is_refused_in_a_file(name, tmp_path):
    around = next((fields for begin, fields in NOT_ACTING.items() if name.startswith(begin)), {})
    with pytest.raises(RunError, match=rf"{name}=.* does nothing here: it needs"):
        read_config(written(tmp_path, around | {name: IDLE[name]}))


def test_every_idle_field_is_tried():
    assert {field for idle in TABLE for field in idle.fields} == set(IDLE)


def test_what_would_do_nothing_is_refused_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "new", "--preset", "toy", "--controller.layers", "9", "--dry-run"]) == 1
    assert "controller.layers=(9,) does nothing here: it needs controller.type=mlp" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "new").exists()


def test_what_a_later_round_needs_is_accepted(tmp_path):
    asked = {"collect.noise": 0.3, "loop.rounds": 3, "loop.later": {"collect": {"policies": ["agent"]}}}
    assert read_config(written(tmp_path, asked)).collect.noise == 0.3


@pytest.mark.parametrize("name", known_presets())
def test_a_preset_sets_nothing_in_vain(name):
    mapping = read_yaml(PRESETS.joinpath(f"{name}.yaml").read_text(), name)
    given = [field for field in names(RunConfig()) if said(mapping, field.split("."))]
    assert given
    check_acting(preset(name), given)


def said(mapping, parts):
    for part in parts:
        if not isinstance(mapping, dict) or part not in mapping:
            return False
        mapping = mapping[part]
    return True
