"""What a run has trained: its vision and memories, and the bundle of its agent."""

from typing import cast

import numpy as np

from agents import ActionSpec
from generative import component_bytes, load_component
from generative.core.facts import Facts
from worldmodels.agent.build import check_parts, env_shape, new_memory
from worldmodels.agent.bundle import Bundle, bundle_parts, read_agent
from worldmodels.agent.config import FeaturesConfig
from worldmodels.agent.shuffled_states import shuffled_bank
from worldmodels.errors import RunError
from worldmodels.memories import MemoryModule, agent_memory
from worldmodels.memories.fit import set_codes
from worldmodels.memories.registry import MEMORIES
from worldmodels.run.finished import check
from worldmodels.run.folder import Run
from worldmodels.vision.contract import Vision, VisionModule
from worldmodels.vision.latent_files import LatentFile
from worldmodels.vision.registry import VISIONS


def start_from(part: VisionModule | MemoryModule, stage: str, start: str) -> None:
    """Give a new vision or memory the weights that a stage of another run ended with.

    Raises:
        RunError: that run has not finished the stage, or its component is of another kind or size.
    """
    run = Run(start)
    known: VisionModule | MemoryModule = load_vision(run) if stage == "train-vision" else load_memory(run)
    if (known.type_name, known.config) != (part.type_name, part.config):
        raise RunError(
            f"{stage}: the {known.type_name} of {start} has other options ({known.config}) than this run's "
            f"{part.type_name} ({part.config}); give both runs the same, or start from random weights"
        )
    part.load_state_dict(known.state_dict())


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
    untrained = new_memory(run.learnt, vision.latent_spec.size, spec, seed=drawn_from(run) + 1)
    set_codes(vision, untrained)
    return agent_memory(untrained).eval()


def drawn_from(run: Run) -> int:
    """Return the seed from which untrained memories are drawn: the run's own, until it has a controller.

    From then on it is the controller's: in a loop the chosen one was evolved in a round, which has another seed.
    """
    folder = run.folder("evolve")
    if not (folder / "agent.json").exists():
        return run.learnt.seed
    seed = read_agent(folder).seed
    return run.learnt.seed if seed is None else seed


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
        assert memory is not None
        bank = shuffled_bank(latents, memory, config.seed)
        memory = None
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


def load_bundle(run: Run) -> tuple[Bundle, np.ndarray, Facts]:
    """Return the bundle, the parameters (N) and the facts of a run's evolved controller."""
    check(run.folder("evolve"))
    saved = read_agent(run.folder("evolve"))
    vision = load_vision(run)
    memory = read_memory(run, vision, saved.spec)
    if shuffles(saved.features):
        memory = None
        if saved.bank is None:
            raise RunError(f"the controller in {run.folder('evolve')} lacks its bank of features: evolve anew")
    bundle = Bundle(
        env=saved.env,
        spec=saved.spec,
        features=saved.features,
        controller=saved.controller,
        bank=saved.bank,
        seed=drawn_from(run),
        dtype=saved.dtype,
        **bundle_parts(vision, memory),
    )
    if bundle.build_controller().parameters_size != len(saved.parameters):
        raise RunError(
            f"the controller in {run.folder('evolve')} has {len(saved.parameters)} parameters, its parts ask for "
            f"{bundle.build_controller().parameters_size}: vision or memory were replaced; evolve anew"
        )
    return bundle, saved.parameters, saved.facts
