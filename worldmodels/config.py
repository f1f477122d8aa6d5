"""The configuration of a run: one section a stage, each defined beside the code it configures.

It comes from a preset or a YAML file and is saved, resolved in full, in the run folder. Parts that can be swapped
(`vision`, `memory`) name a type; their `options` are that type's own dataclass.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agents import ControllerConfig
from envs import EnvConfig, same_world
from generative import ComponentError, Registry, config_from_mapping, config_to_mapping
from generative.core.facts import Facts, FactsView
from generative.core.options import check_numbers, differences
from worldmodels.accuracy.config import AccuracyConfig
from worldmodels.agent.config import FeaturesConfig
from worldmodels.dream.config import DreamConfig
from worldmodels.errors import RunError
from worldmodels.evolution.config import EvaluateConfig, EvolveConfig, LoopConfig
from worldmodels.idle import refuse_idle
from worldmodels.memories.config import MemoryConfig
from worldmodels.memories.registry import MEMORIES
from worldmodels.memories.targets import RewardTargetConfig
from worldmodels.parallel.config import ExecutorConfig
from worldmodels.renamed import refuse_old
from worldmodels.rollouts.config import CollectConfig
from worldmodels.vision.config import VisionConfig
from worldmodels.vision.registry import VISIONS

SWAPPABLE: dict[str, Registry] = {"vision": VISIONS, "memory": MEMORIES}
"""The sections whose `type` names a component and whose `options` are that component's config."""
SAME = ("preset", "seed", "tracker", "device", "dtype", "env", "loop", "evaluate", "accuracy", "executor")
"""What is the same in all rounds of a loop."""
SET_BY_LOOP = ("collect.agent", "collect.extends", "vision.start", "memory.start", "evolve.start", "evolve.seed")
"""Fields of later rounds that follow from the rounds before them."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run."""

    preset: str = "default"
    """The preset this configuration builds on."""
    seed: int = 0
    """Every random stream of the run derives from it."""
    tracker: str = "tensorboard"
    """Where figures go besides metrics.jsonl: tensorboard, trackio, wandb or none."""
    device: str = "auto"
    """Where networks train: cpu, cuda, or auto for a GPU where there is one; playing stays on the processor."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type in which frames are encoded while playing and in which the memory dreams; auto is settled once, when
    evolution begins: bfloat16 where the processor has it and latents and states hardly change."""
    env: EnvConfig = field(default_factory=EnvConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    controller: ControllerConfig = field(default_factory=ControllerConfig)
    evolve: EvolveConfig = field(default_factory=EvolveConfig)
    dream: DreamConfig = field(default_factory=DreamConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    accuracy: AccuracyConfig = field(default_factory=AccuracyConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise ValueError(f"device={self.device!r}: unknown; use auto, cpu, cuda, cuda:<index> or mps")
        check_numbers(self)
        if self.controller.bias and self.evolve.start:
            raise ValueError(
                f"controller.bias={self.controller.bias}: evolve.start={self.evolve.start} has its own; set one of them"
            )


def config_from(mapping: FactsView, base: RunConfig | None = None) -> RunConfig:
    """Build a configuration from nested plain types, over `base` or the defaults.

    Where `env.id` names another world than the base's, what was set for that one is left out (`for_environment`).

    Raises:
        RunError: for an old name, an unknown field or component (with the nearest known name), or a value of the wrong
            type or range, here or in `loop.later` and `loop.final`.
    """
    refuse_old(mapping)
    config = _built(mapping, base or RunConfig(), "")
    if config.loop.later or config.loop.final:
        # The first round to which both apply.
        later_config(config, config.loop.vision_every, "the round before", "the round before")
    return config


def _built(mapping: FactsView, base: RunConfig, where: str) -> RunConfig:
    """Lay a mapping over a configuration; `where` stands before its fields' names in messages."""
    env = mapping.get("env")
    if isinstance(env, Mapping) and isinstance(env.get("id"), str):
        base = for_environment(base, env["id"])
    base = _for_components(mapping, base)
    merged = _merge(config_mapping(base), mapping, where)
    merged |= {name: getattr(base, name) for name in merged if name not in mapping}  # as they are
    try:
        for section, registry in SWAPPABLE.items():
            if section not in mapping:
                continue
            chosen = merged[section]["type"]
            given = merged[section].get("options", {})
            if chosen != getattr(base, section).type:  # the options of another component do not carry over
                given = dict((mapping.get(section) or {}).get("options") or {})
            merged[section]["options"] = _options(registry, section, chosen, given)
        return config_from_mapping(RunConfig, merged)
    except (ComponentError, ValueError) as error:
        raise RunError(f"configuration: {where}{error}") from error


def _for_components(mapping: FactsView, base: RunConfig) -> RunConfig:
    """Return the base without the options of later rounds that were given to components which the mapping replaces."""
    rounds = mapping.get("loop")
    for section in SWAPPABLE:
        first: str = getattr(base, section).type
        loop = base.loop
        if _type_in(mapping, section, first) != first:
            loop = loop.without_options(section)
        names: tuple[Literal["later", "final"], ...] = ("later", "final")
        for name in names:
            given = rounds.get(name) if isinstance(rounds, Mapping) else None
            before = _type_in(getattr(loop, name), section, first)
            if _type_in(given, section, before) != before:
                loop = loop.without_options(section, name)
        base = replace(base, loop=loop)
    return base


def _type_in(changes: object, section: str, otherwise: object) -> object:
    """Return the type that changes name in a section."""
    inner = changes.get(section) if isinstance(changes, Mapping) else None
    return inner.get("type", otherwise) if isinstance(inner, Mapping) else otherwise


def _options(registry: Registry, section: str, chosen: str, given: FactsView) -> object:
    """Return the options of a section's component; a ValueError names the section's field."""
    try:
        config_class = registry.config_class(chosen)
    except ComponentError as error:
        raise ValueError(f"{section}.type={error}") from error
    return config_from_mapping(config_class, given, f"{section}.options")


def later_config(config: RunConfig, number: int, before: str, start: str) -> RunConfig:
    """Return the configuration of a round after the first one, but for its seed; `number` counts from 0.

    Args:
        config: the loop's.
        number: of the round.
        before: folder of the round before, whose episodes are taken over and, if so configured, whose weights.
        start: folder of the round whose controller drives and evolves on.

    Raises:
        RunError: `loop.later` or `loop.final` has an unknown field, a wrong value, or a field that cannot differ.
    """
    begun = before if config.loop.warm_start else ""
    later = replace(
        config,
        loop=LoopConfig(),
        collect=replace(config.collect, agent=start, extends=before),
        vision=replace(config.vision, start=begun),
        memory=replace(config.memory, start=begun),
        controller=replace(config.controller, bias=()),
        evolve=replace(config.evolve, start=start),
    )
    for where, changes in config.loop.changes(number):
        _check_differs(changes, where)
        if isinstance(changes.get("evolve"), Mapping) and changes["evolve"].get("start") == "":
            later = replace(later, evolve=replace(later.evolve, start=""), controller=config.controller)
        later = _built(changes, later, f"{where}.")
    if not later.collect.needs_agent:
        later = replace(later, collect=replace(later.collect, agent=""))
    if later.vision.type != config.vision.type:  # another type has nothing to go on from
        later = replace(later, vision=replace(later.vision, start=""))
    return later


def check_acting(config: RunConfig, given: Iterable[str]) -> None:
    """Refuse fields among those that a user has given that do nothing, in a loop in no round.

    What `loop.later` and `loop.final` give has to act in a round that they are for.

    Raises:
        RunError: names the field and what it needs.
    """
    names, last = tuple(given), config.loop.rounds - 1
    before = "the round before"
    later = [later_config(config, number, before, before) for number in (1, last) if last > 0]
    refuse_idle(names, [config, *later], RunConfig())
    for where, rounds in (
        ("loop.later.", later),
        ("loop.final.", later[1:] if last >= config.loop.vision_every else []),
    ):
        if rounds:
            inner = [name.removeprefix(where) for name in names if name.startswith(where)]
            refuse_idle(inner, rounds, RunConfig(), where)


def _check_differs(changes: FactsView, where: str) -> None:
    """Refuse fields that are the same in all rounds, or that the loop itself sets."""
    for section, given in changes.items():
        if section in SAME and section in RunConfig.__dataclass_fields__:
            raise RunError(f"configuration: `{where}.{section}` cannot differ between rounds; set `{section}` itself")
        for name, value in given.items() if isinstance(given, Mapping) else ():
            if f"{section}.{name}" in SET_BY_LOOP and (section, name, value) != ("evolve", "start", ""):
                raise RunError(f"configuration: `{where}.{section}.{name}` follows from the loop; leave it out")
            if (section, name) == ("evolve", "validation") and isinstance(value, Mapping):
                for inner in {"top_k", "top_k_tracks"} & set(value):
                    field = f"evolve.validation.{inner}"
                    raise RunError(f"configuration: `{where}.{field}` is of the whole loop; set `{field}` itself")


def for_environment(config: RunConfig, env_id: str) -> RunConfig:
    """Return a configuration for an environment; of another world without what was set for the one before.

    That is everything in `env` but the size of the model's frames, and elsewhere what is in another world's units:
    biases of its actions, targets that only its simulator tells, earnings at which a dream is over.
    """
    if same_world(config.env.id, env_id):
        return config
    reward, termination = config.memory.reward, config.memory.termination
    if reward.type == "progress":
        reward = RewardTargetConfig()
    if termination.type == "off-road":
        termination = replace(termination, type="env")
    return replace(
        config,
        env=EnvConfig(id=env_id, size=config.env.size),
        collect=replace(config.collect, bias=()),
        controller=replace(config.controller, bias=()),
        memory=replace(config.memory, reward=reward, termination=termination),
    )


def config_mapping(config: RunConfig) -> Facts:
    """Return a configuration as nested plain types."""
    return config_to_mapping(config)


def nested(fields: FactsView) -> Facts:
    """Return dotted fields as nested ones; the opposite of `flat`.

    Raises:
        RunError: a field is given as a value and as a section.
    """
    found: Facts = {}
    for name, value in fields.items():
        *sections, last = name.split(".")
        inner = found
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise RunError(f"{name}: `{section}` has a value of its own already; leave one of them out")
        inner[last] = value
    return found


def field_names(fields: FactsView, where: str = "") -> Iterator[str]:
    """Yield the dotted names of nested fields."""
    for key, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from field_names(value, f"{where}{key}.")
        else:
            yield f"{where}{key}"


def changed_fields(old: RunConfig, new: RunConfig) -> Iterator[str]:
    """Yield the dotted names of the fields in which two configurations differ, inside `loop.later` and `final` too."""
    for name, before, now in differences(old, new):
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _changed(before, now, f"{name}.")
        else:
            yield name


def _changed(old: FactsView, new: FactsView, where: str) -> Iterator[str]:
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            yield from _changed(before, value, f"{where}{key}.")
        elif before != value:
            yield from field_names({key: value}, where)


def _merge(base: Facts, over: object, where: str) -> Facts:
    """Lay `over` over `base`; every key must exist there, except inside `options`."""
    if not isinstance(over, Mapping):
        raise RunError(f"configuration: `{where.rstrip('.')}` must be a mapping of fields, got {over!r}")
    merged = dict(base)
    for key, value in over.items():
        if key not in base and not where.endswith("options."):
            near = difflib.get_close_matches(str(key), list(base), 1, 0.5)
            hint = f"did you mean `{where}{near[0]}`?" if near else f"known: {', '.join(base)}"
            raise RunError(f"configuration: unknown field `{where}{key}`; {hint}")
        inner = base.get(key)
        if f"{where}{key}" in ("loop.later", "loop.final") and isinstance(value, Mapping):
            merged[key] = _laid(inner or {}, value)  # checked with the rounds: `later_config`
        else:
            merged[key] = _merge(inner, value, f"{where}{key}.") if isinstance(inner, dict) else value
    return merged


def _laid(base: FactsView, over: FactsView) -> Facts:
    """Return nested fields with those of `over` laid over them."""
    laid = dict(base)
    for key, value in over.items():
        inner = base.get(key)
        laid[key] = _laid(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return laid
