"""Putting parts together for a run: sizes follow the environment and the vision; what cannot go together fails here."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from torch import nn

from agents import ActionSpec
from envs import EnvConfig, frame_rate, make_env
from generative import component_bytes, load_component
from generative.facts import Facts
from worldmodels.agent.bundle import Bundle, bundle_parts, read_agent
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.features import feature_size
from worldmodels.agent.precision import torch_dtype
from worldmodels.agent.shuffled_states import shuffled_bank
from worldmodels.config import RunConfig
from worldmodels.dream.env import DreamEnv
from worldmodels.dream.starts import Starts, gather_starts, read_starts, save_starts, settings
from worldmodels.errors import RunError
from worldmodels.memories import MemoryModule, agent_memory
from worldmodels.memories.fit import check_dream, check_latents, check_memory
from worldmodels.memories.registry import MEMORIES
from worldmodels.memories.sequences import latent_targets
from worldmodels.rollouts.dataset import episode_files, split
from worldmodels.run.finished import check
from worldmodels.run.folder import Run
from worldmodels.vision.contract import Vision, VisionModule, check_vision
from worldmodels.vision.encode import encode_rollouts, latent_file
from worldmodels.vision.latent_files import LatentFile
from worldmodels.vision.registry import VISIONS


class EnvShape(NamedTuple):
    """What the parts have to know of an environment."""

    spaces: tuple[Any, Any]
    """Observation and action space, at the model's size."""
    spec: ActionSpec
    state_names: tuple[str, ...]
    """Names of the simulator's state; empty where there is none."""
    fps: float = 50.0
    """Steps that make a second: the environment's frames, after action repeat."""


def env_shape(config: EnvConfig) -> EnvShape:
    """Make the environment once and look."""
    try:
        env = make_env(config)
        base: Any = env.unwrapped
        spec = ActionSpec.from_space(env.action_space, getattr(base, "action_squash", None))
    except ValueError as error:
        raise RunError(f"env: {error}") from error
    except MemoryError as error:
        raise RunError(f"env: {config.id} with options={config.options} does not fit into memory: {error}") from error
    names = tuple(getattr(base, "simulator_state_names", ()))
    shape = EnvShape((env.observation_space, env.action_space), spec, names, frame_rate(env) / config.action_repeat)
    env.close()
    return shape


def new_vision(config: RunConfig, shape: EnvShape, seed: int) -> VisionModule:
    """Return an untrained vision whose sizes fit the environment.

    Raises:
        RunError: it cannot have these sizes.
    """
    height, _, channels = shape.spaces[0].shape
    try:
        options = _fill("vision", config.vision.options, image_size=height, channels=channels)
        return cast(VisionModule, VISIONS.create(config.vision.type, options, seed=seed))
    except ValueError as error:
        raise RunError(f"vision, at env.size={config.env.size}: {error}") from error


def new_memory(config: RunConfig, latent: int, spec: ActionSpec, seed: int) -> MemoryModule:
    """Return an untrained memory whose sizes fit vision and environment.

    Raises:
        RunError: it cannot have these sizes.
    """
    reward = config.memory.reward.type
    try:
        options = _fill("memory", config.memory.options, latent=latent, action=spec.size, reward_target=reward)
        return cast(MemoryModule, MEMORIES.create(config.memory.type, options, seed=seed))
    except ValueError as error:
        raise RunError(f"memory: {error}") from error


def check_parts(config: RunConfig, vision: VisionModule, memory: MemoryModule, spec: ActionSpec) -> None:
    """Refuse parts that cannot go together, trained or not.

    Args:
        config: of the run.
        vision: of its type and sizes.
        memory: likewise.
        spec: of the environment's actions.

    Raises:
        RunError: says which two do not fit, why, and what to choose instead.
    """
    latent = vision.latent_spec.size
    try:
        check_latents(vision.latent_spec, memory)
        check_memory(memory, latent, spec.size)
        feature_size(config.features, latent, agent_memory(memory).feature_size)
        if config.evolve.world == "dream":
            check_dream(memory, latent, spec.size)
    except ValueError as error:
        raise RunError(f"vision.type={config.vision.type}, memory.type={config.memory.type}: {error}") from error


def check_config(config: RunConfig) -> None:
    """Refuse a configuration whose parts cannot go together, before anything is trained; see `check_parts`."""
    shape = env_shape(config.env)
    check_targets(config, shape.state_names)
    for name, bias in (("collect.bias", config.collect.bias), ("controller.bias", config.controller.bias)):
        if bias and len(bias) != shape.spec.size:
            raise RunError(f"{name}={bias}: {config.env.id} has {shape.spec.size} outputs; give a number for each")
    vision = new_vision(config, shape, config.seed)
    try:
        check_vision(vision)
    except ValueError as error:
        raise RunError(f"vision.type={config.vision.type}: {error}") from None
    check_parts(config, vision, new_memory(config, vision.latent_spec.size, shape.spec, config.seed), shape.spec)


def check_targets(config: RunConfig, state_names: tuple[str, ...]) -> None:
    """Refuse targets of the memory's heads that the environment's simulator does not tell.

    Raises:
        RunError: says which one, and what to choose instead.
    """
    told = f"the simulator's state of {config.env.id}" if state_names else f"{config.env.id} tells no simulator's state"
    if config.memory.termination.type == "off-road" and state_names[-1:] != ("on_road",):
        lacks = f"{told} does not end with `on_road`" if state_names else told
        raise RunError(f"memory.termination.type=off-road: {lacks}; choose --memory.termination.type env")
    if config.memory.reward.type == "progress" and "reward_rate" not in state_names:
        lacks = f"{told} has no `reward_rate`" if state_names else told
        raise RunError(f"memory.reward.type=progress: {lacks}; choose --memory.reward.type smoothed")


def _fill(section: str, options: Any, **values: Any) -> Any:
    """Set the fields of a component's options that follow from other parts; those it lacks are not asked for.

    Raises:
        RunError: one of them was set to something else.
    """
    found = {}
    for item in fields(options):
        if item.name not in values:
            continue
        given, value = getattr(options, item.name), values[item.name]
        if given not in (item.default, value):
            raise RunError(
                f"{section}.options.{item.name}={given!r}: cannot be set, it follows from the other parts and is "
                f"{value!r} here; leave it out"
            )
        found[item.name] = value
    return replace(options, **found)


def start_from(module: nn.Module, stage: str, start: str) -> None:
    """Give a new vision or memory the weights that a stage of another run ended with.

    Raises:
        RunError: that run has not finished the stage, or its component is of another kind or size.
    """
    before = load_vision(Run(start)) if stage == "train-vision" else load_memory(Run(start))
    known: Any = before
    asked: Any = module
    if (known.type_name, known.config) != (asked.type_name, asked.config):
        raise RunError(
            f"{stage}: the {known.type_name} of {start} has other options ({known.config}) than this run's "
            f"{asked.type_name} ({asked.config}); give both runs the same, or start from random weights"
        )
    module.load_state_dict(before.state_dict())


def load_vision(run: Run) -> VisionModule:
    """Load a run's finished vision, ready to encode."""
    run.require("train-vision")
    return cast(VisionModule, load_component(run.folder("train-vision"), VISIONS).eval())


def load_memory(run: Run) -> MemoryModule:
    """Load a run's finished memory, ready to step."""
    run.require("train-memory")
    return cast(MemoryModule, load_component(run.folder("train-memory"), MEMORIES).eval())


def read_memory(run: Run, vision: Vision, spec: ActionSpec) -> MemoryModule | None:
    """Return the memory whose state the controller reads: trained (an ensemble's member 0) or random, or none.

    For a shuffled memory it is the trained one, from whose features the bank is made.
    """
    features = run.learnt.features
    if not features.uses_memory:
        return None
    if features.memory != "untrained":
        return agent_memory(load_memory(run))
    return agent_memory(new_memory(run.learnt, vision.latent_spec.size, spec, seed=drawn_from(run) + 1)).eval()


def drawn_from(run: Run) -> int:
    """Return the seed from which untrained memories are drawn: the run's own, until it has a controller.

    From then on it is the controller's: in a loop the chosen one was evolved in a round, which has another seed.
    """
    folder = run.folder("evolve")
    if not (folder / "agent.json").exists():
        return run.learnt.seed
    return int(read_agent(folder)[0].get("seed", run.learnt.seed))


def dreaming_memory(run: Run, vision: Vision, spec: ActionSpec) -> MemoryModule:
    """Return the memory that dreams: the trained one, or a random one with the trained one's scales as a control."""
    trained = load_memory(run)
    if run.learnt.dream.memory == "trained":
        return trained
    untrained = new_memory(run.learnt, vision.latent_spec.size, spec, seed=drawn_from(run) + 2).eval()
    for name, scale in trained.named_buffers():
        untrained.get_buffer(name).copy_(scale)
    return untrained


def assemble(run: Run, latents: list[LatentFile]) -> Bundle:
    """Return everything but the parameters of the run's controller; a shuffled memory draws from these latents."""
    config = run.config
    shape = env_shape(config.env)
    vision = load_vision(run)
    check_parts(config, vision, load_memory(run), shape.spec)
    memory = read_memory(run, vision, shape.spec)
    bank = None
    if shuffles(config.features):
        memory, bank = None, shuffled_bank(latents, memory, config.seed)
    dreams = config.evolve.world == "dream"
    generator = component_bytes(dreaming_memory(run, vision, shape.spec)) if dreams else None
    return Bundle(
        env=config.env,
        spec=shape.spec,
        features=config.features,
        controller=config.controller,
        generator=generator,
        bank=bank,
        seed=drawn_from(run),
        dtype=config.dtype,
        **bundle_parts(vision, memory),
    )


def shuffles(features: FeaturesConfig) -> bool:
    """Return whether the controller reads a shuffled memory."""
    return features.uses_memory and features.memory == "shuffled"


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


def load_bundle(run: Run) -> tuple[Bundle, np.ndarray, Facts]:
    """Return the bundle, the parameters (N) and the facts of a run's evolved controller."""
    check(run.folder("evolve"))
    description, arrays = read_agent(run.folder("evolve"))
    vision = load_vision(run)
    memory, bank = read_memory(run, vision, description["spec"]), arrays.get("bank")
    if shuffles(description["features"]):
        memory = None
        if bank is None:
            raise RunError(f"the controller in {run.folder('evolve')} lacks its bank of features: evolve anew")
    bundle = Bundle(
        env=description["env"],
        spec=description["spec"],
        features=description["features"],
        controller=description["controller"],
        bank=bank,
        seed=drawn_from(run),
        dtype=description["dtype"],
        **bundle_parts(vision, memory),
    )
    if bundle.build_controller().parameters_size != len(arrays["parameters"]):
        raise RunError(
            f"the controller in {run.folder('evolve')} has {len(arrays['parameters'])} parameters, its parts ask for "
            f"{bundle.build_controller().parameters_size}: vision or memory were replaced; evolve anew"
        )
    return bundle, arrays["parameters"], description["facts"]
