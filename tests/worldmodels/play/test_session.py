import dataclasses

import numpy as np
import pytest

from agents import ActionSpec
from tests.worldmodels.play.conftest import make
from worldmodels.agent.agent import Agent
from worldmodels.dream.dials import Dials
from worldmodels.dream.film import dream_drives
from worldmodels.play import recording
from worldmodels.play.session import DriverSession, Restart
from worldmodels.play.wheel import Wheel
from worldmodels.seeds import VALIDATION

WHEEL = Wheel(-0.4, 0.7)


def test_the_dream_is_that_of_the_environment(parts):
    session, env = DriverSession(parts, Restart(seed=4)), parts.new_dream()
    env.reset(seed=4, options={"start": "initial"})
    gained = 0.0
    for _ in range(3):
        seen = session.step(WHEEL)
        _, reward, *_ = env.step(WHEEL.action(parts.shape.spec))
        gained += reward
        np.testing.assert_array_equal(seen.frames["dream"], env.render())
        assert seen.facts["dream"]["reward"] == reward
    assert seen.facts["dream"]["return"] == gained and seen.facts["dream"]["step"] == 3


def test_the_agent_drives_as_in_evolution(parts):
    dream = dataclasses.replace(parts.dream, horizon=10, initial_state_fraction=0.0)
    parts = dataclasses.replace(parts, dream=dream)
    session = DriverSession(parts, Restart(start="recorded", seed=6))
    for _ in range(10):
        seen = session.step(None)
    agent = parts.agent
    filmed = dream_drives(agent.bundle, agent.parameters, parts.memory, parts.starts, dream, [6])[0]
    assert seen.facts["dream"]["over"] == "time is up" and seen.facts["agent"] is True
    assert seen.facts["dream"]["return"] == pytest.approx(filmed.gained, rel=1e-4)
    np.testing.assert_allclose(seen.facts["latent"], filmed.z[-1], atol=1e-3)


def test_the_real_drive_is_that_of_the_environment_and_of_the_agent(parts):
    session, env = DriverSession(parts, Restart("real", seed=2)), parts.new_env()
    agent = Agent(parts.agent.bundle, parts.agent.parameters)
    agent.reset(2)
    obs, _ = env.reset(seed=VALIDATION[2])
    for _ in range(4):
        obs, *_ = env.step(agent.act(obs))
        np.testing.assert_array_equal(session.step(None).frames["real"], obs)


def test_both_worlds_begin_at_one_frame_and_take_the_same_actions(parts):
    session = DriverSession(parts, Restart("both", seed=1))
    z, _ = session._real.path()
    np.testing.assert_array_equal(session.look().facts["latent"], z[-1])
    for _ in range(3):
        seen = session.step(WHEEL)
    assert set(seen.frames) == {"dream", "dream_expected", "real", "real_expected"}
    np.testing.assert_array_equal(session._real.path()[1], np.array(session._dream._actions))
    session.expectation = False
    assert set(session.look().frames) == {"dream", "real"}


def test_the_agent_sees_the_world_it_is_told_to(parts):
    taken = {}
    for sees in ("real", "dream"):
        session = DriverSession(parts, Restart("both", seed=1))
        session.agent_sees = sees
        for _ in range(3):
            session.step(None)
        taken[sees] = np.array(session._dream._actions)
    assert (taken["real"][-1] != taken["dream"][-1]).any()


def test_a_dream_begins_where_the_real_drive_is(parts):
    session = DriverSession(parts, Restart("real"))
    for _ in range(3):
        session.step(WHEEL)
    z, action = session._real.path()
    assert z.shape == (4, 4) and action.shape == (3, 3)
    seen = session.restart(Restart("both", "here"))
    np.testing.assert_array_equal(seen.facts["latent"], z[-1])
    assert seen.facts["real"]["step"] == 3 and seen.facts["dream"]["step"] == 0
    np.testing.assert_array_equal(session._dream.env.warmup[0], z)
    with pytest.raises(ValueError, match="no real drive"):
        DriverSession(parts, Restart()).restart(Restart("dream", "here"))


def test_dials_change_the_frame_at_once_and_stay_for_the_next_drive(parts):
    session = DriverSession(parts)
    before = session.look().frames["dream"]
    held = session.turn(Dials(held={0: 3.0}))
    assert (held.frames["dream"] != before).any()
    assert session.step(WHEEL).facts["latent"][0] == 3.0
    assert session.restart(Restart(seed=9)).facts["latent"][0] == 3.0
    with pytest.raises(ValueError, match="there are 4"):
        session.turn(Dials(held={4: 1.0}))
    assert session.step(WHEEL).facts["latent"][0] == 3.0


def test_a_world_that_is_over_waits_and_the_other_goes_on(parts):
    short = dataclasses.replace(parts, dream=dataclasses.replace(parts.dream, horizon=2))
    session = DriverSession(short, Restart("both"))
    for _ in range(4):
        seen = session.step(WHEEL)
    assert (seen.facts["dream"]["step"], seen.facts["real"]["step"]) == (2, 4)
    assert seen.facts["dream"]["over"] == "time is up" and not seen.facts["real"]["over"]


def test_another_memory_has_seen_the_drive_so_far(parts):
    session = DriverSession(parts, Restart("both"))
    for _ in range(3):
        session.step(WHEEL)
    before = session.look()
    other = make()
    other.memory.lstm.weight_hh_l0.data.mul_(-1)
    seen = session.swap("memory", other)
    assert seen.facts["dream"] == before.facts["dream"]
    np.testing.assert_array_equal(seen.frames["dream"], before.frames["dream"])
    z, action = session._dream.env.warmup
    assert len(z) == 4 and len(action) == 3 and session._dream.env.memory is other.memory
    assert session.step(WHEEL).facts["dream"]["step"] == 4


def test_a_film_holds_what_was_seen_while_it_was_recorded(parts, monkeypatch):
    session = DriverSession(parts)
    session.step(WHEEL)
    with pytest.raises(ValueError, match="nothing is recorded"):
        session.film.content("gif", 25)
    session.film.start()
    for _ in range(2):
        session.step(WHEEL)
    session.film.stop()
    session.step(WHEEL)
    assert len(session.film) == 2
    assert session.film.content("gif", 25)[:6] == b"GIF89a" and session.film.content("webm", 25)[:4] == b"\x1aE\xdf\xa3"
    assert session.film.content("mp4", 25)[4:8] == b"ftyp"
    with pytest.raises(ValueError, match="format='avi'"):
        session.film.content("avi", 25)
    monkeypatch.setattr(recording, "can_write", lambda kind: kind == "webm")
    with pytest.raises(ValueError, match="format='mp4': choose webm or gif"):
        session.film.content("mp4", 25)


def test_without_an_agent_the_driver_is_told(parts):
    session = DriverSession(dataclasses.replace(parts, agent=None))
    with pytest.raises(ValueError, match="no agent"):
        session.step(None)
    assert session.look().facts["has_agent"] is False
    assert session.swap("agent", parts).facts["has_agent"] is True
    assert session.step(None).facts["dream"]["step"] == 1


def test_the_wheel_is_an_action_of_any_space(parts):
    assert parts.shape.spec.size == 3
    np.testing.assert_allclose(Wheel(-0.5, 1.0).action(parts.shape.spec), [-0.5, 1, 0])
    np.testing.assert_allclose(Wheel(0.5, -0.25).action(parts.shape.spec), [0.5, 0, 0.25])
    wide = ActionSpec(2, (-2.0, -1.0), (4.0, 1.0), ("tanh", "tanh"), False)
    np.testing.assert_allclose(Wheel(-1.0, 0.5).action(wide), [-2, 0.5])
    np.testing.assert_allclose(Wheel(1.0).action(wide), [4, 0])
    choices = ActionSpec(3, (0.0,) * 3, (1.0,) * 3, (), True)
    np.testing.assert_array_equal(Wheel(choice=2).action(choices), [0, 0, 1])
    with pytest.raises(ValueError, match="choice=3"):
        Wheel(choice=3).action(choices)
    with pytest.raises(ValueError, match="x=2"):
        Wheel(x=2)
