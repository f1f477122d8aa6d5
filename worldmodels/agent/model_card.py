"""The model card of an exported agent: what it is, how it was trained, what it scores and where its limits are."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from generative.core.facts import FactsView
from generative.core.strict_yaml import write_yaml
from worldmodels.agent.trained import load_memory, load_vision
from worldmodels.evolution.rounds import round_name
from worldmodels.files import files_in, read_lines
from worldmodels.run.folder import Run
from worldmodels.seeds import TEST, TRAINING, VALIDATION

CARD = """---
{head}---

# An agent for {only}

A controller of {parameters:,} parameters that drives `{env.id}` on what a vision sees and a memory remembers (it reads
{reads}), after Ha and Schmidhuber, *World Models* (2018, arXiv:1803.10122). It was trained and exported with
`worldmodels`; this folder is a run folder without the rollouts, the curves and the optimiser's log.

## How it was trained

{training}

## Parts

{parts}

Weights stored in float16 become float32 when they are loaded.

## Result

{result}

## Use

```
worldmodels evaluate {name}
worldmodels dream {name}
```

```python
from worldmodels import load_agent, make_env

agent = load_agent("{name}")
env = make_env(agent.env_config)
obs, _ = env.reset(seed=0)
action = agent.act(obs)
```

{where} The agent inside the package goes by `pretrained` instead; commands unpack it into
`runs/pretrained`.

## Limits

- It drives {only} only, trained in `{env.id}` at action repeat {env.action_repeat}.
- It sees frames of {env.size} x {env.size} pixels, {rows}; `agent.act`
  scales larger ones.
- It is the agent of one run with one seed.
- Test tracks (seeds {test.start:,} to {last_test:,}) serve the final figure only. The controller was chosen on
  validation tracks (from seed {validation.start:,} on), after training on others (from {training_tracks.start:,} on).
- It cannot be trained further from these files.

## Files

{files}
"""

WHERE = {"FOLDER": "FOLDER is where this card lies."}
"""What a name means, unless it is one on the Hub."""


def model_card(
    run: Run, counts: Mapping[str, int], changed: bool, half: bool, folder: Path, name: str = "FOLDER"
) -> str:
    """Return the model card of an agent, Markdown with YAML front matter.

    Args:
        run: where the agent comes from.
        counts: parameters of vision, memory and controller.
        changed: whether a weight differs from the run's.
        half: whether networks are stored in float16.
        folder: the exported files, all but the card; `spent.jsonl` holds what training took.
        name: by which the agent can be used.
    """
    config = run.learnt
    only = "CarRacing-v3" if config.env.id.endswith("CarRacing-v3") else config.env.id
    vision = load_vision(run)  # what a loop's round had, which need not be what the loop was given
    memory = load_memory(run)
    types = {"vision": vision.type_name, "memory": memory.type_name, "controller": config.controller.type}
    tags = ["reinforcement-learning", "world-model", "gymnasium", only, types["vision"], types["memory"]]
    parts = [
        (part, kind, f"{counts[part]:,}", "float16" if half and part != "controller" else "float32")
        for part, kind in types.items()
    ]
    files = [
        (f"`{name}`", f"{path.stat().st_size:,}", f"`{hashlib.sha256(path.read_bytes()).hexdigest()}`")
        for name, path in files_in(folder).items()
    ]
    control = config.features.uses_memory and config.features.memory != "trained"
    return CARD.format(
        head=write_yaml({"license": "mit", "library_name": "worldmodels", "tags": tags}),
        only=only,
        name=name,
        where=WHERE.get(name, "Commands fetch it into `runs`."),
        env=config.env,
        rows="the drawn rows {} to {}".format(*config.env.crop) if config.env.crop[1] else "all that is drawn",
        parameters=counts["controller"],
        reads=f"{config.features.reads}, memory {config.features.memory}" if control else config.features.reads,
        training=_table(("", ""), _training(run, read_lines(folder / "spent.jsonl"))),
        parts=_table(("part", "type", "parameters", "stored as"), parts),
        result=_result(run, changed).replace("FOLDER", name),
        test=TEST,
        last_test=TEST[-1],
        validation=VALIDATION,
        training_tracks=TRAINING,
        files=_table(("file", "bytes", "sha256"), files),
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _training(run: Run, spent: Sequence[FactsView]) -> list[tuple[str, ...]]:
    """Return what the run says about how its agent came about; `spent` are the lines of its log of time."""
    config, versions = run.learnt, run.versions()
    collected, evolved = run.done("collect") or {}, run.done("evolve") or {}
    hours = sum(line["seconds"] * line["cores"] for line in spent) / 3600
    validation, looped = evolved["validation"], run.done("loop")
    generations = f"{evolved['generations']:,} generations in the {config.evolve.world} world"
    chosen = f"generation {evolved['chosen_generation']}"
    validated = run.config.evolve.validation
    again = validated.top_k > 1 or looped
    measured_on = f"{validated.top_k_tracks if again else validated.tracks} validation tracks"
    if validated.record and not again:
        measured_on = f"{validated.tracks} training tracks"
    if looped:
        generations = f"{looped['rounds']} rounds; in the chosen one {generations}"
        chosen = f"round {round_name(looped['chosen_round'])}, {chosen}"
    before = {name: evolved.get(f"start_{name}", 0) for name in ("frames", "core_hours")}
    if run.config.evolve.start:  # a round's own is the round before it
        generations += f", from what the agent of `{Path(run.config.evolve.start).name}` knew"
    names = ("worldmodels", "python", "torch", "numpy", "gymnasium", "box2d", "cma", "ray")
    return [
        ("preset", f"{config.preset}, seed {run.config.seed}"),
        ("commit", str(versions["commit"])),
        ("versions", ", ".join(f"{name} {versions[name]}" for name in names)),
        ("collection", f"{collected['episodes']:,} episodes, {collected['env_frames']:,} frames"),
        (
            "evolution",
            f"{generations}; {evolved['env_frames']:,} real frames"
            + ("" if looped else f", {evolved['validation_frames']:,} of them for validation"),
        ),
        ("real frames in all", f"{collected['env_frames'] + evolved['env_frames'] + before['frames']:,}"),
        ("core-hours", f"{hours + before['core_hours']:.2f}" if hours else "not recorded"),
        (
            "chosen",
            f"{chosen}, mean return {validation['mean']:.1f} on {measured_on}",
        ),
    ]


def _result(run: Run, changed: bool) -> str:
    """Say what the run's evaluation measured, and whether it was measured on these weights."""
    found = run.done("evaluate")
    if found is None or found.get("driver"):  # another agent's figures are not this one's
        return "Not evaluated yet: `worldmodels evaluate FOLDER` measures it on test tracks."
    summary, baseline = found["summary"], found["baseline"]
    said = (
        f"Mean return **{summary['mean']:.1f} ± {summary['std']:.1f}** over {found['tracks']} test tracks, 95 % "
        f"interval of the mean {summary['ci_low']:.1f} to {summary['ci_high']:.1f}"
        + (f"; the random policy makes {baseline['mean']:.1f}" if baseline else "")
        + f". Raw reward of whole episodes of `{found['env']}`, action repeat {found['action_repeat']}.\n\n"
    )
    if changed:
        return said + (
            "This was measured before the weights were rounded to half precision. What the rounded ones make is not "
            "known until they are evaluated again: `worldmodels evaluate FOLDER`."
        )
    return said + "This was measured with exactly these weights."
