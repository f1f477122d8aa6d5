"""Names of the configuration that are no longer: each with its new name, or with the reason why it is gone."""

FIELDS: dict[str, str] = {
    "dream.standstill": "is now `dream.initial_state_fraction`",
    "dream.patience": "is now `dream.no_reward_limit`",
    "dream.lost": "is now `dream.termination_penalty`, in the same unit",
    "dream.forfeit": "is gone: an end costs `dream.termination_penalty`, wherever in the dream it comes",
    "dream.termination_charge": "is gone: an end costs `dream.termination_penalty`, wherever in the dream it comes",
    "dream.newest": "is now `dream.recent_episodes`",
    "dream.survives": "is now `dream.min_steps_to_end`",
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
    "vision.gate": "is gone: a vision that failed its diagnosis in every attempt always stops the run",
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
    "dream.noise": {"drawn": "mixture", "real": "residual"},
}
"""Old values of fields that still exist, each with its new name."""
