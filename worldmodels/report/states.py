"""How far a run is: a line for each stage, with the figures that it left."""

from generative.core.facts import Facts
from worldmodels.evolution.generations import best_validated
from worldmodels.evolution.rounds import round_name
from worldmodels.files import read_lines
from worldmodels.run.folder import STAGES, Run


def stages(run: Run) -> list[str]:
    """Return the stages that a run goes through."""
    return [stage for stage in STAGES if stage != "loop" or run.config.loop.rounds]


def state(run: Run, stage: str) -> str:
    """Return how far a stage is, or what came of it."""
    done = run.done(stage)
    if done is None:
        return f"begun: {_partial(run, stage)}" if run.begun(stage) else "not run yet"
    said = {
        "loop": lambda: (
            f"{done['rounds']} rounds, round {round_name(done['chosen_round'])} chosen, "
            f"validation {done['validation']['mean']:.1f}, {done['env_frames']:,} real frames"
        ),
        "collect": lambda: (
            f"{done['episodes']} episodes, {done['env_frames']:,} frames, mean return {done['return_mean']:.1f}"
        ),
        "train-vision": lambda: vision_line(done),
        "train-memory": lambda: (
            f"NLL {done['nll']:.3f} (persistence {done['nll_persistence']:.3f}, "
            f"shuffled actions {done['nll_shuffled_action']:.3f})"
        ),
        "evolve": lambda: (
            f"{done['generations']} generations, validation {done['validation']['mean']:.1f} "
            f"at generation {done['chosen_generation']}, {done['env_frames']:,} frames"
        ),
        "evaluate": lambda: score_line(done),
        "dream": lambda: done.get("not_filmed") or dream_line(done),
        "accuracy": lambda: accuracy_line(done),
        "report": lambda: str(run.folder("report") / "index.html"),
    }
    return said[stage]()


def accuracy_line(done: Facts) -> str:
    """Return an accuracy card in a line."""
    line = (
        f"{done['verdict']} {done['set']} episodes: {done['gain_over_persistence']:.3f} nats better than persistence, "
        f"action sensitivity {done['action_sensitivity']:.3f}"
    )
    if done["beats_persistence"] is not None:
        line += f", beats persistence for {done['beats_persistence']} steps"
    return line if done["spearman"] is None else f"{line}, rank correlation of returns {done['spearman']:.2f}"


def dream_line(done: Facts) -> str:
    """Return how the agent drove in its dreams, in a line."""
    line = f"{done['dreams']} dreams of {done['mean_steps']:.0f} steps on average"
    if done["mean_return"] is not None:
        line += f", mean return {done['mean_return']:.1f}"
    return line if done["road_share"] is None else f"{line}, road in {100 * done['road_share']:.0f} % of dreamt frames"


def vision_line(done: Facts) -> str:
    """Return how well a vision sees; one that cannot decode has only a verdict."""
    if "squared_error" not in done:
        return f"{done['verdict']}: {done['reason']}"
    return f"squared error {done['squared_error']:.1f} (mean frame {done['baseline_squared_error']:.1f})"


def score_line(done: Facts) -> str:
    """Return an evaluation in a line: the mean with its interval, never a best episode."""
    summary = done["summary"]
    line = (
        f"{summary['mean']:.1f} +- {summary['std']:.1f} over {done['tracks']} test tracks "
        f"(95 % interval of the mean {summary['ci_low']:.1f} to {summary['ci_high']:.1f}, "
        f"median {summary['median']:.1f})"
    )
    if done["baseline"]:
        line += f"; random policy {done['baseline']['mean']:.1f}"
    return line


def _partial(run: Run, stage: str) -> str:
    folder = run.folder(stage)
    if stage == "loop":
        return f"{len(read_lines(folder / 'curve.jsonl'))} of {run.config.loop.rounds} rounds"
    if stage == "collect":
        return f"{len(list(folder.glob('episode_*.zip')))} of {run.config.collect.episodes} episodes"
    if stage in ("train-vision", "train-memory"):
        history = run.history(stage)
        steps = (run.config.vision if stage == "train-vision" else run.config.memory).fit.steps
        return f"step {history[-1]['step'] if history else 0} of {steps}"
    if stage == "evolve":
        log = read_lines(folder / "generations.jsonl")
        best = best_validated(log)
        said = f"{len(log)} of {run.config.evolve.generations} generations"
        return said + (f", best validation {best['validation']['mean']:.1f}" if best else "")
    return "unfinished"
