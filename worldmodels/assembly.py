"""Putting parts together for a run: sizes follow the environment and the vision; what cannot go together fails here."""

from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from agents import ActionSpec
from envs import EnvConfig, make_env
from generative import component_bytes, load_component
from worldmodels.bundle import Bundle, bundle_parts, read_agent
from worldmodels.config import RunConfig
from worldmodels.dream import Starts
from worldmodels.dream_env import DreamEnv
from worldmodels.errors import RunError
from worldmodels.latents import LatentFile, feature_samples
from worldmodels.parts import MEMORIES, VISIONS
from worldmodels.run import Run


class EnvShape(NamedTuple):
    """What the parts have to know of an environment."""

    spaces: tuple[Any, Any]
    """Observation and action space, at the model's size."""
    spec: ActionSpec
    state_names: tuple[str, ...]
    """Names of the simulator's state; empty where there is none."""


def env_shape(config: EnvConfig) -> EnvShape:
    """Make the environment once and look."""
    try:
        env = make_env(config)
    except ValueError as error:
        raise RunError(f"env: {error}") from error
    base: Any = env.unwrapped
    spec = ActionSpec.from_space(env.action_space, getattr(base, "action_squash", None))
    shape = EnvShape((env.observation_space, env.action_space), spec, tuple(getattr(base, "simulator_state_names", ())))
    env.close()
    return shape


def new_vision(config: RunConfig, shape: EnvShape, seed: int) -> nn.Module:
    """Return an untrained vision whose sizes fit the environment."""
    height, _, channels = shape.spaces[0].shape
    options = _fill(config.vision.options, image_size=height, channels=channels)
    return VISIONS.create(config.vision.type, options, seed=seed)


def new_memory(config: RunConfig, latent: int, spec: ActionSpec, seed: int) -> nn.Module:
    """Return an untrained memory whose sizes fit vision and environment."""
    options = _fill(config.memory.options, latent=latent, action=spec.size, reward_target=config.memory.reward.type)
    return MEMORIES.create(config.memory.type, options, seed=seed)


def _fill(options: Any, **values: Any) -> Any:
    """Set the fields of a component's options that it has; what is not there is not asked for."""
    names = {item.name for item in fields(options)}
    return replace(options, **{name: value for name, value in values.items() if name in names})


def load_vision(run: Run) -> nn.Module:
    """Load a run's finished vision, ready to encode."""
    run.require("train-vision")
    return load_component(run.folder("train-vision"), VISIONS).eval()


def load_memory(run: Run) -> nn.Module:
    """Load a run's finished memory, ready to step."""
    run.require("train-memory")
    return load_component(run.folder("train-memory"), MEMORIES).eval()


def read_memory(run: Run, vision: nn.Module, spec: ActionSpec) -> nn.Module | None:
    """Return the memory whose state the controller reads: the trained one, a random one, or none."""
    features = run.config.features
    if not features.uses_memory:
        return None
    if features.memory == "trained":
        return load_memory(run)
    latent: Any = vision
    return new_memory(run.config, latent.latent_spec.size, spec, seed=run.config.seed + 1).eval()


def assemble(run: Run, latents: list[LatentFile]) -> Bundle:
    """Return everything but the parameters of the run's controller; features are scaled over these latents."""
    config = run.config
    shape = env_shape(config.env)
    vision = load_vision(run)
    memory = read_memory(run, vision, shape.spec)
    shift, scale = None, None
    if config.features.scaling != "none":
        samples = feature_samples(latents, config.features, memory, config.seed)
        shift, scale = feature_scaling(config.features.scaling, config.features.components, samples)
    generator = component_bytes(load_memory(run)) if config.evolve.world == "dream" else None
    return Bundle(
        env=config.env,
        spec=shape.spec,
        features=config.features,
        controller=config.controller,
        shift=shift,
        scale=scale,
        generator=generator,
        **bundle_parts(vision, memory),
    )


def feature_scaling(kind: str, components: int, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shift (F), and scale (F) or (F K), that bring features or their principal components to unit spread.

    What hardly moves would be blown up to noise, so spreads count as at least a share of the usual one, a twentieth
    of the median over features or a tenth of the largest component's.

    Args:
        kind: "standard" or "principal".
        components: K.
        samples: (S F).
    """
    mean = samples.mean(0)
    if kind == "standard":
        std = samples.std(0)
        scale = 1 / np.maximum(std, max(0.05 * float(np.median(std)), 1e-6))
        return mean.astype(np.float32), scale.astype(np.float32)
    variances, axes = np.linalg.eigh(np.cov((samples - mean).T.astype(np.float64)))  # ascending
    spreads = np.sqrt(np.maximum(variances[::-1][:components], 0.0))
    scale = axes[:, ::-1][:, :components] / np.maximum(spreads, max(0.1 * spreads[0], 1e-6))
    return mean.astype(np.float32), np.ascontiguousarray(scale, dtype=np.float32)


def load_dream(run: Run, observe: str = "frames") -> DreamEnv:
    """Return a run's dream as a gymnasium environment; `observe` is "frames" or "latents"."""
    shape = env_shape(run.config.env)
    memory = load_memory(run)
    return DreamEnv(load_vision(run), memory, load_starts(run), shape.spaces, shape.spec, run.config.dream, observe)


def load_starts(run: Run) -> Starts:
    """Load where a run's dreams begin, as float32; an exported run stores float16."""
    starts = Starts.load(run.folder("train-memory") / "starts.safetensors")
    return Starts(*(array.astype(np.float32) for array in (starts.still, starts.z, starts.action)))


def load_bundle(run: Run) -> tuple[Bundle, np.ndarray, dict[str, Any]]:
    """Return the bundle, the parameters (N) and the facts of a run's evolved controller."""
    description, arrays = read_agent(run.folder("evolve"))
    vision = load_vision(run)
    memory = read_memory(run, vision, description["spec"])
    bundle = Bundle(
        env=description["env"],
        spec=description["spec"],
        features=description["features"],
        controller=description["controller"],
        shift=arrays.get("shift"),
        scale=arrays.get("scale"),
        **bundle_parts(vision, memory),
    )
    if bundle.build_controller().parameters_size != len(arrays["parameters"]):
        raise RunError(
            f"the controller in {run.folder('evolve')} has {len(arrays['parameters'])} parameters, its parts ask for "
            f"{bundle.build_controller().parameters_size}: vision or memory were replaced; evolve anew"
        )
    return bundle, arrays["parameters"], description["facts"]
