"""The remaining time, under a fake clock: a plan that is wrong in several ways, against what then really happens."""

import numpy as np
import pytest

from worldmodels.run.folder import Progress
from worldmodels.run.plan import Pace, Plan, StagePart

ROUNDS = 7
EVERY = 10.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def parts():
    """A plan like that of seven rounds: seconds of each unit."""
    found = []
    for number in range(ROUNDS):
        found.append(StagePart("collect", "workers", np.array([5.0]), 0.0, number))
        episodes = 250 if number == 0 else 8
        found.append(StagePart("collect", "episodes", np.full(episodes, 0.5 if number else 0.05), 1.0, number))
        if number in (0, 4):
            found.append(StagePart("train-vision", "steps", np.full(2000 if number == 0 else 800, 0.055), 1.0, number))
        found.append(StagePart("train-memory", "steps", np.full(1000, 0.055), 4.0, number))
        found.append(StagePart("evolve", "workers", np.array([5.0]), 0.0, number))
        generations = np.full(30 if number == 0 else 20, 1.5)
        generations[9::10] += 2.0
        found.append(StagePart("evolve", "generations", generations, 0.0, number))
    found.append(StagePart("loop", "top k", np.full(3, 14.0), 1.0))
    found += [
        StagePart("evaluate", "workers", np.array([5.0])),
        StagePart("evaluate", "episodes", np.full(40, 0.8), 10.0),
    ]
    return [*found, StagePart("dream", "steps", np.full(200, 0.05), 3.0), StagePart("report", "pages", np.array([3.0]))]


def progress(part, done):
    leaf = Progress(part.stage, done, len(part.costs), part.unit)
    if part.round is not None:
        return Progress("loop", part.round, ROUNDS, "rounds", inner=leaf)
    return Progress("loop", ROUNDS, ROUNDS, "rounds", inner=leaf) if part.stage == "loop" else leaf


def steps_of(part):
    """How many units a stage is through when it yields."""
    each = 100 if part.unit == "steps" and len(part.costs) > 200 else 1
    return [*range(0, len(part.costs), each), len(part.costs)]


def live(plan, clock, real, done_before=lambda part: 0):
    """Let real seconds pass, and return `(seconds since the start, shown, true remaining)` every ten seconds."""
    events = []
    for part, true in zip(plan.parts, real, strict=True):
        first, last = done_before(part), 0
        for done in steps_of(part):
            if done >= first:
                events.append((sum(true.costs[max(first, last) : done]), progress(part, done)))
                last = done
        events.append((true.tail if first < len(part.costs) else 0.0, None))
    whole = sum(seconds for seconds, _ in events)
    shown, begun, looks = [], clock.now, clock.now + EVERY
    for seconds, event in events:
        then = clock.now + seconds
        while looks <= then:
            clock.now, looks = looks, looks + EVERY
            shown.append((clock.now - begun, plan.remaining(), whole - (clock.now - begun)))
        clock.now = then
        if event is not None:
            plan.observe(event)
            plan.observe(event)  # the outer stage may repeat itself
    return shown


def worst(shown, since=120.0, until=20.0):
    """The largest factor between shown and true remaining time."""
    factors = [max(said / left, left / max(said, 1e-9)) for now, said, left in shown if now >= since and left >= until]
    assert len(factors) > 20
    return max(factors)


def really(planned, factor):
    return [StagePart(p.stage, p.unit, factor(p) * p.costs, factor(p) * p.tail, p.round) for p in planned]


def test_a_right_plan_counts_down_with_the_clock():
    clock, planned = Clock(), parts()
    shown = live(Plan(planned, clock), clock, planned)
    assert worst(shown, since=1.0, until=1.0) < 1.05


@pytest.mark.parametrize("slower", [1 / 3, 2.0, 3.0])
def test_a_machine_that_is_slower_than_planned_is_told(slower):
    clock, planned = Clock(), parts()
    assert worst(live(Plan(planned, clock), clock, really(planned, lambda part: slower))) < 1.5


@pytest.mark.parametrize("kind", ["collect", "train-vision", "train-memory", "evolve"])
@pytest.mark.parametrize("slower", [0.5, 2.0])
def test_one_kind_that_was_planned_wrongly_spoils_no_other(kind, slower):
    """What has not been met by the second minute cannot be known: it is wrong by no more than its own part."""
    clock, planned = Clock(), parts()
    shown = live(Plan(planned, clock), clock, really(planned, lambda part: slower if part.stage == kind else 1.0))
    assert worst(shown) < 1.5


def test_without_correction_the_same_plan_is_wrong():
    clock, planned = Clock(), parts()
    plan = Plan(planned, clock)
    plan._learn = lambda *given: None
    assert worst(live(plan, clock, really(planned, lambda part: 3.0))) > 2.5


def test_a_run_taken_up_again_counts_only_what_is_left():
    clock, planned = Clock(), parts()
    plan = Plan(planned, clock)

    def done_before(part):
        if part.stage in ("evaluate", "dream", "report", "loop") or part.round > 3:
            return 0
        if part.round == 3 and part.stage == "evolve":
            return 12 if part.unit == "generations" else 0
        return len(part.costs)

    real = really(planned, lambda part: 2.0)
    shown = live(plan, clock, real, done_before)
    left = shown[0][2]
    assert left < 0.55 * sum(part.seconds for part in real)
    assert worst(shown) < 1.5 and plan.ratio("collect episodes") == pytest.approx(2.0, rel=0.3)


def test_what_was_finished_before_says_nothing_about_the_rate():
    clock, planned = Clock(), parts()
    plan = Plan(planned, clock)
    for part in planned[:6]:
        plan.observe(progress(part, len(part.costs)))  # all at once, as stages do that are finished
    assert [plan.ratio(part.kind) for part in planned[:6]] == [1.0] * 6
    assert plan.remaining() == pytest.approx(sum(part.seconds for part in planned[6:]))


def test_time_goes_down_between_two_units_and_never_below_what_comes_later():
    clock = Clock()
    plan = Plan([StagePart("a", "steps", np.array([10.0, 10.0])), StagePart("b", "steps", np.array([5.0]))], clock)
    plan.observe(Progress("a", 0, 2, "steps"))
    clock.now += 4
    assert plan.remaining() == pytest.approx(21.0)
    clock.now += 100
    assert plan.remaining() == pytest.approx(15.0)


def test_a_second_attempt_begins_again():
    clock = Clock()
    plan = Plan([StagePart("train-vision", "steps", np.full(10, 1.0))], clock)
    plan.observe(Progress("train-vision", 0, 10, "steps"))
    clock.now += 8
    plan.observe(Progress("train-vision", 8, 10, "steps"))
    plan.observe(Progress("train-vision", 0, 10, "steps"))
    assert plan.remaining() == pytest.approx(10.0)


def test_a_stage_that_counts_otherwise_than_planned_keeps_its_share():
    clock = Clock()
    plan = Plan([StagePart("train-memory", "episodes encoded", np.full(10, 1.0))], clock)
    plan.observe(Progress("train-memory", 10, 20, "episodes encoded"))
    assert plan.remaining() == pytest.approx(5.0)


def test_the_share_of_what_is_done_never_falls():
    clock, planned = Clock(), parts()
    plan = Plan(planned, clock)
    shares = []
    for part in planned:
        for done in (0, len(part.costs)):
            clock.now += 7.0
            plan.observe(progress(part, done))
            shares.append(plan.share())
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0, abs=0.01)


def test_the_pace_of_a_stage_counts_this_session_only():
    clock = Clock()
    pace = Pace(clock)
    pace.observe(Progress("evolve", 12, 20, "generations"))
    assert pace.remaining() is None
    clock.now += 6
    pace.observe(Progress("evolve", 14, 20, "generations"))
    assert pace.remaining() == pytest.approx(18.0) and pace.share() == 0.7
    clock.now += 2
    assert pace.remaining() == pytest.approx(16.0)
    pace.observe(Progress("evolve", 20, 20, "generations"))
    assert pace.remaining() == 0.0
