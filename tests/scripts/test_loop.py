import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generative import component_bytes, load_component
from scripts.info import info
from scripts.stages import loop, stages_of
from tests.small import LOOP, looped_config, small_config
from worldmodels import Run, load_agent
from worldmodels.agent.build import new_memory
from worldmodels.agent.export import export_agent
from worldmodels.agent.trained import load_bundle
from worldmodels.errors import RunError
from worldmodels.evolution.rounds import LEARNT, best_round, exploited, keeps_vision, round_config
from worldmodels.files import read_lines
from worldmodels.memories.registry import MEMORIES
from worldmodels.report.gather import gather
from worldmodels.rollouts.dataset import episode_files, recorded_files


def carry_out(run):
    for _ in loop(run):
        pass
    return run


def hasty_config(**changes):
    """A loop of small networks and short episodes that learns next to nothing (`hasty_vision`)."""
    short = {"options": {"width": 4}, "fit": {"steps": 4}, "batch": 8}
    memory = {"options": {"hidden": 8}, "fit": {"steps": 4}, "sequence": 10, "batch": 4}
    return looped_config(**{"vision": short, "memory": memory, "env": {"max_steps": 20}, **changes})


@pytest.fixture
def looped(_looped):
    return _looped


def rounds(run):
    return [Run(run.folder("loop") / f"{number:02d}") for number in range(run.config.loop.rounds)]


def test_every_round_adds_its_episodes_to_those_before(looped):
    counts = [len(episode_files(this.folder("collect"))) for this in rounds(looped)]
    assert counts == [6, 10, 14]
    policies = [file.meta["policy"] for file in episode_files(rounds(looped)[2].folder("collect"))]
    assert policies[6:] == ["agent", "perturbed-agent", "action-hold", "agent"] * 2
    tracks = [file.meta["track"] for file in episode_files(rounds(looped)[2].folder("collect"))]
    assert len(set(tracks)) == 14


def check_rounds_count_as_the_curve(run):
    """A round is a run that goes on from another one, whose frames are partly among its own episodes."""
    for this, row in zip(rounds(run), read_lines(run.folder("loop") / "curve.jsonl"), strict=True):
        evolved = this.done("evolve")
        own = this.done("collect")["env_frames"] + evolved["env_frames"]
        assert own + evolved.get("start_frames", 0) == row["frames"]


def test_frames_are_all_counted(looped):
    check_rounds_count_as_the_curve(looped)
    curve = read_lines(looped.folder("loop") / "curve.jsonl")
    collected = sum(file.meta["env_frames"] for file in episode_files(rounds(looped)[2].folder("collect")))
    assert curve[-1]["frames"] == collected + sum(row["frames_validating"] for row in curve)
    finals = read_lines(looped.folder("loop") / "top_k.jsonl")
    whole = curve[-1]["frames"] + sum(row["final_frames"] for row in finals)
    done = {stage: looped.done(stage)["env_frames"] for stage in ("loop", "collect", "evolve")}
    assert done["loop"] == whole == done["collect"] + done["evolve"]


@pytest.mark.slow
def test_later_rounds_learn_from_recorded_validation_whose_frames_count_once(hasty_vision, tmp_path):
    evolve = {
        "world": "dream",
        "generations": 2,
        "validation": {"every": 1, "tracks": 2, "record": True, "top_k_tracks": 2},
    }
    run = carry_out(Run.create(tmp_path / "run", hasty_config(evolve=evolve)))
    files = [episode_files(this.folder("collect")) for this in rounds(run)]
    assert [len(each) for each in files] == [6, 6 + 4 + 4, 6 + 2 * (4 + 4)]
    check_rounds_count_as_the_curve(run)
    tried = [recorded_files(this.folder("evolve")) for this in rounds(run)]
    assert [file.path.read_bytes() for file in files[1][6:10]] == [file.path.read_bytes() for file in tried[0]]
    assert len({file.meta["track"] for each in tried for file in each}) == 3 * 2
    curve = read_lines(run.folder("loop") / "curve.jsonl")
    played = sum(file.meta["env_frames"] for file in [*files[2], *tried[2]])
    assert curve[-1]["frames"] == played and curve[-1]["frames_recorded"] == curve[-1]["frames_validating"] > 0
    facts = [run.done(stage)["env_frames"] for stage in ("loop", "collect", "evolve")]
    assert (
        facts[0]
        == facts[1] + facts[2]
        == played + sum(row["final_frames"] for row in read_lines(run.folder("loop") / "top_k.jsonl"))
    )


@pytest.mark.slow
def test_rounds_in_the_real_environment_take_the_controller_over(hasty_vision, tmp_path):
    """Parts of the second round are new ones, made of the first one's driving; evolution goes on from an imitation."""
    evolve = {"world": "real", "generations": 2, "validation": {"every": 1, "top_k": 2, "top_k_tracks": 2}}
    run = carry_out(Run.create(tmp_path / "run", hasty_config(loop=LOOP | {"rounds": 2}, evolve=evolve)))
    first, second = rounds(run)
    start = json.loads((second.folder("evolve") / "start.json").read_text())
    assert start["run"] == str(first.path) and 0 < start["explained"] <= 1
    curve = read_lines(run.folder("loop") / "curve.jsonl")
    assert [row["dream_reward"] for row in curve] == [None, None]
    spent = sum(each.done("evolve")["env_frames"] for each in (first, second))
    assert curve[-1]["frames"] == second.done("collect")["env_frames"] + spent
    check_rounds_count_as_the_curve(run)
    tried = sum(entry["frames"] for each in (first, second) for entry in read_lines(log_of(each)))
    assert 0 < tried < spent
    assert all("top_k" not in each.done("evolve") for each in (first, second))  # rounds are, not generations
    assert not exploited([row(0, 700, None), row(1, 10, None)])


@pytest.mark.slow
def test_the_run_reads_the_untrained_memory_that_its_controller_was_evolved_with(hasty_vision, tmp_path):
    """It is drawn from the round's seed, which is not the run's, and is in no file; an export's is the same."""
    evolve = {"world": "real", "generations": 2, "validation": {"every": 2, "top_k_tracks": 2}}
    features = {"reads": "vision+memory", "memory": "untrained"}
    config = hasty_config(loop=LOOP | {"rounds": 1}, evolve=evolve, features=features)
    run = carry_out(Run.create(tmp_path / "run", config))
    export_agent(run, tmp_path / "exported", half=False)
    known, *others = (load_bundle(each)[0].memory for each in (rounds(run)[0], run, Run(tmp_path / "exported")))
    assert all(other["weights"] == known["weights"] for other in others)
    other = new_memory(run.config, 8, load_bundle(run)[0].spec, run.config.seed + 1)
    assert component_bytes(other)["weights"] != known["weights"]


def log_of(run):
    return run.folder("evolve") / "generations.jsonl"


def test_vision_is_kept_and_trained_on_in_turn(looped):
    seen = [(this.folder("train-vision") / "model.safetensors").read_bytes() for this in rounds(looped)]
    assert seen[0] == seen[1] != seen[2]
    assert rounds(looped)[2].config.vision.start.endswith("01")


def test_memory_trains_on_from_the_round_before(looped, tmp_path):
    """Two rounds of 10 steps move weights that started at random less apart than two starts are."""

    def weights(run):
        memory = load_component(run.folder("train-memory"), MEMORIES)
        return memory.state_dict()["lstm.weight_hh_l0"].numpy()

    first, second, _ = rounds(looped)
    anew = replace(second.config, memory=replace(second.config.memory, start=""), collect=first.config.collect)
    from scripts.stages import collect, train_memory, train_vision

    other = Run.create(tmp_path / "anew", replace(anew, vision=first.config.vision))
    for stage in (collect, train_vision, train_memory):
        for _ in stage(other):
            pass
    near = np.abs(weights(first) - weights(second)).mean()
    assert near < 0.5 * np.abs(weights(first) - weights(other)).mean()


def test_the_chosen_round_becomes_the_run(looped):
    finals = read_lines(looped.folder("loop") / "top_k.jsonl")
    best = max(finals, key=lambda row: row["final"]["mean"])
    assert looped.done("loop")["chosen_round"] == best["round"]
    chosen = rounds(looped)[best["round"]]
    for name in ("controller/agent.safetensors", "vision/model.safetensors", "memory/model.safetensors"):
        assert (looped.path / name).read_bytes() == (chosen.path / name).read_bytes()
    assert looped.done("evolve")["validation"] == best["final"]
    assert chosen.done("evolve")["validation"] != best["final"]
    load_agent(looped)


def test_the_card_of_an_exported_agent_tells_of_the_rounds(looped, tmp_path):
    export_agent(looped, tmp_path / "agent")
    card, done = (tmp_path / "agent" / "README.md").read_text(), looped.done("loop")
    assert "| evolution | 3 rounds; in the chosen one 2 generations in the dream world; " in card
    assert f"| chosen | round {done['chosen_round']:02d}, generation 1, mean return " in card
    assert " on 2 validation tracks |" in card and "core-hours | not recorded" not in card
    load_agent(tmp_path / "agent")


@pytest.mark.slow
def test_an_interrupted_loop_goes_on_to_the_same_end(looped, tmp_path):
    run = Run.create(tmp_path / "run", looped_config(seed=looped.config.seed))
    stages = []
    for progress in loop(run):
        stages.append((progress.done, progress.inner and progress.inner.stage))
        if stages[-1] == (1, "train-memory"):
            break
    assert (tmp_path / "run" / "rounds" / "01").exists() and not run.done("loop")
    carry_out(Run(tmp_path / "run"))
    for ours, other in zip(rounds(run), rounds(looped), strict=True):
        one, two = (each.folder("evolve") / "agent.safetensors" for each in (ours, other))
        assert one.read_bytes() == two.read_bytes()


def test_a_loop_stands_for_the_stages_of_its_rounds():
    assert stages_of("run", looped_config()) == ["loop", "evaluate", "dream", "report"]
    assert stages_of("run", small_config())[0] == "collect"
    assert "loop" not in stages_of("run", small_config())


def test_a_run_without_rounds_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"loop\.rounds=0"):
        carry_out(Run.create(tmp_path / "run", small_config()))


def test_a_configuration_stays_while_the_loop_is_under_way(looped):
    collect = {"episodes": 8, "early_stop": True}
    with pytest.raises(RunError, match=r"collect\.episodes"):
        Run.create(looped.path, looped_config(seed=looped.config.seed, collect=collect))


def test_later_rounds_can_have_other_fields():
    later = {"vision": {"options": {"beta": 0.25}}, "evolve": {"world": "dream"}, "memory": {"latent": "mean"}}
    config = looped_config(loop=LOOP | {"later": later}, evolve={"world": "real"})
    first, later = round_config(config, 0, None, None), round_config(config, 1, Path("00"), Path("00"))
    assert (first.vision.options.beta, first.evolve.world, first.memory.latent) == (1.0, "real", "sample")
    assert (later.vision.options.beta, later.evolve.world, later.memory.latent) == (0.25, "dream", "mean")
    assert later.vision.options.width == first.vision.options.width and later.evolve.start == "00"


def test_rounds_can_have_other_fields_still_from_the_second_training_of_vision_on():
    final = {"evolve": {"start": ""}, "dream": {"horizon": 9}}
    own = {"later": {"dream": {"horizon": 3}}, "final": final, "vision_every": 2, "rounds": 4}
    config = looped_config(loop=LOOP | own, controller={"bias": [0.0, 0.0, -2.0]})
    later, last = (round_config(config, number, Path("00"), Path("00")) for number in (1, 2))
    assert round_config(config, 3, Path("00"), Path("00")).dream.horizon == 9
    assert (later.evolve.start, later.controller.bias, later.dream.horizon) == ("00", (), 3)
    assert (last.evolve.start, last.controller.bias, last.dream.horizon) == ("", (0.0, 0.0, -2.0), 9)
    assert last.collect.extends == "00" and last.memory.start == "00"


@pytest.mark.slow
def test_later_rounds_can_have_another_vision(hasty_vision, tmp_path):
    """It is trained in the first of them, whenever that comes, from nothing; then it is kept."""
    own = {"later": {"vision": {"type": "pca", "options": {"latent": 8}}}, "vision_every": 9}
    config = hasty_config(loop=LOOP | own)
    assert [keeps_vision(config, number) for number in range(3)] == [False, False, True]
    run = carry_out(Run.create(tmp_path / "run", config))
    first, second, third = rounds(run)
    assert [this.config.vision.type for this in (first, second, third)] == ["vae", "pca", "pca"]
    assert [this.config.vision.start for this in (second, third)] == ["", ""]
    seen = [(this.folder("train-vision") / "model.safetensors").read_bytes() for this in (first, second, third)]
    assert seen[0] != seen[1] == seen[2]
    assert load_bundle(third)[0].load_vision().type_name == "pca"
    chosen = Run(run.chosen_round()).config.vision.type
    assert run.config.vision.type == "vae" and run.learnt.vision.type == chosen
    assert gather(run, "").facts["vision, memory"].startswith(chosen)


def test_a_bias_is_where_an_evolution_from_scratch_begins_and_no_later_controller():
    config = looped_config(controller={"bias": [0.0, 0.0, -2.0]})
    first, later = round_config(config, 0, None, None), round_config(config, 1, Path("00"), Path("00"))
    assert first.controller.bias == (0.0, 0.0, -2.0) and later.controller.bias == ()


@pytest.mark.parametrize("field", ["later", "final"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision": {"options": {"betta": 1}}}, r"loop\.{}\.vision\.options\.betta"),
        ({"vison": {}}, r"unknown field `loop\.{}\.vison`; did you mean `loop\.{}\.vision`"),
        ({"vision": 1}, r"`loop\.{}\.vision` must be a mapping"),
        ({"collect": {"episodes": "x"}}, r"loop\.{}\.collect\.episodes='x': expected int"),
        ({"collect": {"episodes": 1}}, r"loop\.{}\.collect\.episodes=1: must be at least 2"),
        ({"vision": {"type": "vea"}}, r"loop\.{}\.vision\.type='vea'"),
        ({"seed": 3}, r"`loop\.{}\.seed` cannot differ"),
        ({"env": {"size": 32}}, r"`loop\.{}\.env` cannot differ"),
        ({"loop": {"rounds": 2}}, r"`loop\.{}\.loop` cannot differ"),
        ({"collect": {"agent": "pretrained"}}, r"`loop\.{}\.collect\.agent` follows from the loop"),
        ({"evolve": {"validation": {"top_k": 2}}}, r"`loop\.{}\.evolve\.validation\.top_k` is of the whole loop"),
        ({"controller": {"bias": [0.0, 1.0, 0.0]}}, r"loop\.{}\.controller\.bias.*has its own"),
        ({"evolve": {"tryouts": 8}}, r"`evolve\.tryouts` is now `evolve\.validation\.record"),
    ],
)
def test_what_rounds_cannot_have_is_refused_when_it_is_read(field, change, message):
    with pytest.raises(RunError, match=message.replace("{}", field)):
        looped_config(loop=LOOP | {field: change})


def row(number, validation, dream):
    return {"round": number, "validation": {"mean": validation}, "dream_reward": dream}


@pytest.mark.parametrize(
    ("last", "found"),
    [((100, 3.0), True), ((100, 1.0), False), ((600, 3.0), False)],
    ids=["promises more and pays less", "promises less too", "pays nearly as much"],
)
def test_a_dream_that_promises_more_than_the_world_pays_is_exploited(last, found):
    curve = [row(0, 50, 1.0), row(1, 700, 2.0), row(2, *last)]
    assert exploited(curve) is found
    assert best_round(curve)["round"] == 1


def test_nothing_earned_is_nothing_to_lose():
    assert not exploited([row(0, -60, 1.0), row(1, -65, 3.0)])


def test_a_rollback_begins_at_the_best_round(looped, monkeypatch):
    module = importlib.import_module("scripts.loop")  # `scripts.loop` is also the function of that name
    asked = []

    def stop(config, number, before, start):
        asked.append((number, before.name, start.name))
        raise RunError("seen enough")

    monkeypatch.setattr(module, "round_config", stop)
    curve = [row(0, 500, 1.0), row(1, 20, 2.0)]
    with pytest.raises(RunError, match="seen enough"):
        list(module._round(looped, curve))
    assert asked == [(2, "01", "00")]


def test_rounds_differ_in_seed_and_later_ones_go_on(tmp_path):
    config = looped_config()
    first, second = round_config(config, 0, None, None), round_config(config, 1, Path("r/00"), Path("r/00"))
    assert first.seed != second.seed and first.loop.rounds == 0
    assert first.evolve.start == "" and second.evolve.start == second.memory.start == "r/00"
    anew = looped_config(loop={**LOOP, "warm_start": False})
    assert round_config(anew, 1, Path("r/00"), Path("r/00")).memory.start == ""
    given = looped_config(evolve={"seed": 7})
    seeds = [round_config(given, number, Path("r/00"), Path("r/00")).evolve.seed for number in range(3)]
    assert len(set(seeds)) == 3
    assert [keeps_vision(config, number) for number in range(5)] == [False, True, False, True, False]


def test_what_stands_still_records_no_more(looped):
    """The toy's early stop: recorded rewards are the environment's own."""
    file = episode_files(rounds(looped)[1].folder("collect"))[-1]
    assert json.dumps(file.meta["policy"])
    assert np.abs(file.steps()[1]).max() < 10


def test_the_size_of_a_run_counts_a_file_once_whatever_its_names(looped):
    """Rounds share episodes, latents and visions as links; the chosen round's results are links too."""
    every = [path.stat() for path in looped.path.rglob("*") if path.is_file()]
    assert max(file.st_nlink for file in every) > 1
    once = sum({file.st_ino: file.st_size for file in every}.values())
    assert once < 0.8 * sum(file.st_size for file in every)
    assert f"{once / 2**20:.0f} MiB on disk" in info(looped)


@pytest.mark.slow
def test_a_loop_tells_the_stage_of_the_round_it_is_in(hasty_vision, tmp_path):
    run = Run.create(tmp_path / "run", hasty_config(loop=LOOP | {"rounds": 2}))
    told = [(progress.done, progress.inner.stage) for progress in loop(run) if progress.inner]
    order = [*((number, stage) for number in (0, 1) for stage in LEARNT), (2, "loop")]
    assert list(dict.fromkeys(told)) == order
