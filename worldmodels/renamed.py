"""Names of the configuration that are no longer: each with its new name, or with the reason why it is gone.

A configuration of an old name is refused with what is said here, never translated in silence.
"""

from collections.abc import Mapping, Sequence

from generative.core.facts import FactsView
from worldmodels.errors import RunError

FIELDS: dict[str, str] = {
    "env.early_stop.patience": "is now `env.no_reward_limit`",
    "env.early_stop.charge": "is gone: no preset charged for the frames after an early stop",
    "collect.forget": "is now `collect.correlation_time`",
    "collect.envs": "is now `executor.envs`, one number for all stages",
    "controller.hidden": "is now `controller.layers`, for example [40]",
    "evolve.bias": "is now `controller.bias`",
    "evolve.max_episodes": "is gone: the number of episodes may double once; `evolve.agreement: 0` keeps it",
    "evolve.validation_every": "is now `evolve.validation.every`",
    "evolve.validation_tracks": "is now `evolve.validation.tracks`",
    "evolve.tryouts": "is now `evolve.validation.record: true` with `evolve.validation.tracks`",
    "evolve.finalists": "is now `evolve.validation.top_k`",
    "evolve.final_tracks": "is now `evolve.validation.top_k_tracks`",
    "evolve.temperatures": "is gone: a study compares temperatures, `grid: {dream.temperature: [1.0, 1.3]}`",
    "evolve.trial_generations": "is gone with `evolve.temperatures`",
    "evolve.worst": "is gone: no preset and no result used it; a score is the mean over all episodes",
    "evolve.alarm": "is gone: a loop goes back to its best round, and evolution keeps its best validated generation",
    "evolve.alarm_share": "is gone: it is always 0.7",
    "evolve.envs": "is now `executor.envs`, one number for all stages",
    "evolve.optimiser.step_size": "is gone: the step size is always adapted by the length of the path (csa)",
    "evolve.optimiser.weight_decay": "is gone: it is always 0.01, as in the paper's code",
    "loop.policies": "is now `loop.later.collect.policies`",
    "loop.episodes": "is now `loop.later.collect.episodes`",
    "loop.max_frames": "is now `loop.later.collect.max_frames`",
    "loop.vision_steps": "is now `loop.later.vision.fit.steps`",
    "loop.memory_steps": "is now `loop.later.memory.fit.steps`",
    "loop.generations": "is now `loop.later.evolve.generations`",
    "loop.sigma": "is now `loop.later.evolve.optimiser.sigma`",
    "loop.changes": "is now `loop.later`, a mapping of fields such as {memory: {latent: mean}}",
    "loop.final_changes": "is now `loop.final`, a mapping of fields such as {dream: {horizon: 100}}",
    "loop.controller": "is gone: a round goes on from the last one; `loop.later.evolve.start: ''` begins from scratch",
    "loop.alarm": "is gone: a loop goes back to its best round, and nothing stops it early",
    "loop.alarm_share": "is gone: it is always 0.7",
    "loop.final_rounds": "is gone: `loop.final` acts from round `loop.vision_every` on, counted from 0",
    "loop.rollback": "is gone: a round whose dream was exploited is always followed by one from the best round",
    "loop.finalists": "is now `evolve.validation.top_k`",
    "loop.final_tracks": "is now `evolve.validation.top_k_tracks`",
    "evaluate.video": "is gone: an episode of median return is always filmed",
    "film.dreams": "is gone: the mean return is always noted of 16 dreams",
    "film.steps": "is gone: the film always shows 250 steps of dreams at least",
    "film.context": "is gone: the memory always watches four ninths of the 180 frames of its prediction",
    "film.ahead": "is gone with `film.context`",
    "film.track": "is gone: the real drive is always that of the first validation track",
    "film.seed": "is gone: the first dream always has seed 0",
    "accuracy.noise": "is gone: the agent of the mixed episodes always has a noise of 0.1",
    "accuracy.episodes": "is gone: there are always 10 of each policy",
    "accuracy.max_frames": "is gone: 500 frames, or the length of the environment's episodes",
    "accuracy.warmup": "is gone: 50 steps, or a fifth of short episodes",
    "accuracy.horizons": "is gone: from 1 to 100 steps, as far as episodes go",
    "accuracy.candidates": "is gone: of controllers of `accuracy.histories` twice as many always drive first",
    "accuracy.samples": "is gone: there are always 16 dreams from each starting point",
    "accuracy.starts": "is gone: each episode always has 8 starting points",
    "executor.ray_address": "is now `executor.address`",
    "executor.object_store_mb": "is gone: a private Ray always has 200 MiB of shared memory",
    "executor.ready_timeout": "is gone: a worker always has 120 seconds to start",
    "executor.max_failures": "is gone: a run always gives up after 10 lost workers",
    "dream.standstill": "is now `dream.initial_state_fraction`",
    "dream.patience": "is now `dream.no_reward_limit`",
    "dream.lost": "is now `dream.termination_penalty`, in the same unit",
    "dream.forfeit": "is gone: an end costs `dream.termination_penalty`, wherever in the dream it comes",
    "dream.termination_charge": "is gone: an end costs `dream.termination_penalty`, wherever in the dream it comes",
    "dream.newest": "is now `dream.recent_episodes`",
    "dream.survives": "is now `dream.min_steps_to_end`",
    "dream.goal": "is gone: it had no effect that could be shown; a dream ends at its horizon",
    "dream.starts": "is gone: there are always 1,000 starting points",
    "dream.among": "is gone: a residual is always the most similar one's of at least 1,000 recorded steps",
    "dream.block": "is gone: 16 candidates are always imagined in one batch",
    "dream.terminates": "is gone: dreams always end; `memory.options.termination: false` predicts no end",
    "dream.dtype": "is now `dtype`, one number type for encoding and for dreams",
    "dream.penalty": "is gone: no result charged for the disagreement of an ensemble's members",
    "dream.dropout": "is gone: no result shows an effect; `memory.options.dropout` acts while the memory learns",
    "features.dtype": "is now `dtype`, one number type for encoding and for dreams",
    "features.scaling": "is gone: no result used it",
    "features.components": "is gone with `features.scaling`",
    "vision.fit.weight_decay": "is gone: no preset and no result used it",
    "vision.fit.log_every": "is gone: metrics are averaged over 100 steps, or over a tenth of a short training",
    "vision.fit.checkpoint_every": "is gone: there is a checkpoint every 1,000 steps, or every tenth of a training",
    "vision.attempts": "is gone: vision is always trained three times at most",
    "vision.options.free_bits": "is gone: no result used it; `vision.options.kl_floor` leaves some KL free",
    "vision.options.beta_warmup": "is gone: no preset and no result used it",
    "vision.gate": "is gone: a vision that failed its diagnosis in every attempt always stops the run",
    "memory.fit.weight_decay": "is gone: no preset and no result used it",
    "memory.fit.log_every": "is gone: metrics are averaged over 100 steps, or over a tenth of a short training",
    "memory.fit.checkpoint_every": "is gone: there is a checkpoint every 1,000 steps, or every tenth of a training",
    "memory.options.predict": "is gone: no result used differences; the next latent is predicted",
    "memory.options.joint": "is gone: one choice for all latents was not better than one for each",
    "memory.options.rollout": "is gone: no result shows that a loss over several steps helps",
    "memory.options.rollout_weight": "is gone with `memory.options.rollout`",
    "memory.options.std_floor": "is gone: it is always 0.01",
    "memory.options.reward_weight": "is gone: it is always 1",
    "memory.options.termination_weight": "is gone: it is always 1",
    "memory.options.termination_positive_weight": "is gone: it is always 10",
}
"""Old fields, dotted."""

VALUES: dict[str, dict[str, str]] = {
    "collect.policies": {"held-uniform": "action-hold", "wander": "ornstein-uhlenbeck"},
    "controller.type": {"hidden": "mlp"},
    "dream.noise": {"drawn": "mixture", "real": "residual"},
}
"""Old values of fields that still are, each with the new one."""


def refuse_old(mapping: FactsView, where: str = "") -> None:
    """Refuse nested fields of which one has an old name or an old value.

    Raises:
        RunError: with the new name, or the reason why there is none.
    """
    for key, value in mapping.items():
        name = f"{where}{key}"
        if name in FIELDS:
            raise RunError(f"configuration: `{name}` {FIELDS[name]}")
        if isinstance(value, Mapping):
            refuse_old(value, "" if name in ("loop.later", "loop.final") else f"{name}.")
        else:
            for each in value if isinstance(value, Sequence) and not isinstance(value, str) else (value,):
                if isinstance(each, str) and each in VALUES.get(name, {}):
                    raise RunError(f"configuration: `{name}: {each}` is now `{VALUES[name][each]}`")


def refuse_old_words(words: Sequence[str]) -> None:
    """Refuse the words of a command line of which one is an old field, or an old value after its field.

    Raises:
        RunError: as `refuse_old`.
    """
    field = ""
    for word in words:
        value = word
        if word.startswith("--"):
            name, _, value = word.removeprefix("--").partition("=")
            field = name.replace("-", "_")
            for prefix in ("loop.later.", "loop.final."):
                field = field.removeprefix(prefix)
            if field in FIELDS:
                raise RunError(f"configuration: `{field}` {FIELDS[field]}")
        if value in VALUES.get(field, {}):
            raise RunError(f"configuration: `{field}: {value}` is now `{VALUES[field][value]}`")
