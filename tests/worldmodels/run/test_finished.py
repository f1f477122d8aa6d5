import json

import pytest

from tests.small import small_config
from tests.worldmodels.rollouts.test_episode import make_episode
from worldmodels import Run, RunError
from worldmodels.rollouts.dataset import episode_files, recorded_files
from worldmodels.rollouts.episode import encode_episode, write_episode
from worldmodels.run.finished import DONE, check, checked


@pytest.fixture
def run(tmp_path):
    """A run with three episodes, two recorded validations and an agent's files."""
    run = Run.create(tmp_path / "run", small_config())
    for number in range(3):
        path = run.folder("collect") / f"episode_{number:06d}.zip"
        write_episode(path, encode_episode(make_episode(steps=5, track=number)))
    for number in range(2):
        path = run.folder("evolve") / "recorded" / f"00001_{number:03d}.zip"
        write_episode(path, encode_episode(make_episode(steps=5, track=number)))
    (run.folder("evolve") / "agent.json").write_text('{"action_repeat": 1}')
    (run.folder("evolve") / "latents").mkdir()
    (run.folder("evolve") / "latents" / "x").write_text("not listed")
    for stage in ("collect", "evolve"):
        run.finish(stage, {"env_frames": 3})
    return run


def test_the_facts_of_a_stage_come_back(run):
    facts = run.done("collect")
    assert facts.pop("finished") and facts == {"env_frames": 3}
    assert run.done("evaluate") is None


def test_what_is_unchanged_is_read(run):
    run.require("collect", "evolve")
    assert len(episode_files(run.folder("collect"))) == 3 and len(recorded_files(run.folder("evolve"))) == 2


def test_an_edited_field_is_refused_with_the_remedy(run):
    path = run.folder("evolve") / "agent.json"
    path.write_text('{"action_repeat": 2}')
    with pytest.raises(RunError, match=r"agent\.json is not what `evolve` wrote.*restore it, or remove it and .*done"):
        run.require("evolve")
    path.unlink()
    with pytest.raises(RunError, match=r"agent\.json is missing.*worldmodels evolve"):
        run.require("evolve")


def test_an_episode_less_or_more_is_refused(run):
    first, second, _ = sorted(run.folder("collect").glob("*.zip"))
    content = first.read_bytes()
    first.unlink()
    with pytest.raises(RunError, match=r"episode_000000\.zip is missing.*worldmodels collect"):
        episode_files(run.folder("collect"))
    first.write_bytes(second.read_bytes())  # whole, but another one
    with pytest.raises(RunError, match=r"episode_000000\.zip is not what `collect` wrote"):
        episode_files(run.folder("collect"))
    first.write_bytes(content)
    (run.folder("collect") / "episode_000007.zip").write_bytes(content)
    with pytest.raises(RunError, match=r"episode_000007\.zip was not there.*take it out"):
        episode_files(run.folder("collect"))
    (run.folder("evolve") / "recorded" / "00001_001.zip").unlink()
    with pytest.raises(RunError, match=r"00001_001\.zip is missing"):
        recorded_files(run.folder("evolve"))


def test_an_agent_can_be_used_without_the_episodes_that_it_learnt_from(run):
    for path in run.path.rglob("*.zip"):
        path.unlink()
    run.require("collect", "evolve")


@pytest.mark.parametrize("damage", [
    lambda text: text.replace('"env_frames": 3', '"env_frames": 4'), lambda text: text[:40], lambda text: "",
    lambda text: "[]", lambda text: text.replace('"stage": "collect"', '"stage": "evolve"'),
    lambda text: "[" * 100_000, lambda text: "\udcff",
])  # fmt: skip
def test_damaged_facts_are_refused(run, damage):
    path = run.folder("collect") / DONE
    path.write_text(damage(path.read_text()), errors="surrogateescape")
    with pytest.raises(RunError, match=r"done\.json .*restore"):
        run.done("collect")


def test_the_facts_of_another_stage_are_refused(run):
    (run.folder("collect") / DONE).write_bytes((run.folder("evolve") / DONE).read_bytes())
    with pytest.raises(RunError, match="another stage's"):
        run.done("collect")


def test_facts_without_digests_are_taken_as_they_are(run):
    """What other programs and versions wrote before there were digests."""
    (run.folder("collect") / DONE).write_text(json.dumps({"env_frames": 3}))
    assert run.done("collect") == {"env_frames": 3}
    check(run.folder("collect"))
    assert len(checked(run.folder("collect"), "episode_*.zip")) == 3


def test_a_stage_that_is_done_again_is_not_finished_meanwhile(run):
    run.reopen("collect")
    run.reopen("collect")
    assert run.done("collect") is None
