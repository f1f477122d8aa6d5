"""The card's measures have known answers: on the toy environment as its own world model, and on made-up numbers."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from envs import EnvConfig
from generative.networks.mixture import Mixture
from tests.worldmodels.perfect import NAMES, STD, Blind, Shuffled, Simulator, Table, state_of
from worldmodels.accuracy import AccuracyConfig, CardConfig
from worldmodels.accuracy import card as whole
from worldmodels.accuracy.card import Parts, card, measure
from worldmodels.accuracy.config import card_config
from worldmodels.accuracy.data import HeldOut, encode, spread
from worldmodels.accuracy.measures.calibration import calibration, mixture_cdf
from worldmodels.accuracy.measures.dreams import at_horizons, choose_starts, dream_on, elsewhere
from worldmodels.accuracy.measures.one_step import fit_guesses, one_step
from worldmodels.accuracy.measures.open_loop import energy_score, open_loop, pixels
from worldmodels.accuracy.measures.probes import fit_probe, halves
from worldmodels.accuracy.measures.reconstruction import reconstruction
from worldmodels.accuracy.measures.reward_and_end import r_squared, reward, termination
from worldmodels.memories import Prediction
from worldmodels.memories.targets import TerminationTargetConfig
from worldmodels.rollouts.collect import CollectSetup, CollectWorker, Order
from worldmodels.rollouts.config import CollectConfig
from worldmodels.rollouts.episode import EpisodeFile

CONFIG = CardConfig(episodes=6, warmup=5, horizons=(1, 2, 5, 20))


@pytest.fixture(scope="module", autouse=True)
def _few():
    """Fewer dreams, and shorter ones, than a card has."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("samples", 4), ("starts", 3), ("return_steps", 20), ("ahead", 5)):
            patch.setattr(CardConfig, name, value)
        yield


TRACKS = range(10_000, 10_006)
STEPS = 40


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Random episodes in the toy environment, encoded as its state: vision, episodes."""
    folder = tmp_path_factory.mktemp("episodes")
    env = EnvConfig(id="WorldModels/Toy-v0", size=32, crop=(0, 0), max_steps=STEPS, options={"size": 32})
    worker = CollectWorker(CollectSetup(env, CollectConfig(), None, None, {}, 6))
    vision = Table()
    for recording in worker([Order(number, "brownian", track, track) for number, track in enumerate(TRACKS)]):
        (folder / f"{recording.number}.zip").write_bytes(recording.content)
    worker.close()
    files = [EpisodeFile(folder / f"{number}.zip") for number in range(len(TRACKS))]
    for file in files:
        learn(vision, file)
    ends = TerminationTargetConfig(type="env")
    return vision, [encode(file, vision, ends) for file in files]


def learn(vision, file):
    """Drive the recorded actions again and tell vision the state behind each frame."""
    toy, episode = vision.toy, file.read()
    toy.reset(seed=episode.track)
    vision.known[episode.track, 0] = state_of(toy)
    for step, action in enumerate(episode.action):
        toy.step(action)
        vision.known[episode.track, step + 1] = state_of(toy)


def guesses(episodes):
    return fit_guesses([item.mean for item in episodes], [item.action for item in episodes])


def dreamt(memory, episodes, config=CONFIG):
    starts = choose_starts(episodes, config)
    dreams = dream_on(memory, episodes, starts, config, 0)
    lost = dream_on(memory, episodes, starts, config, 0, begin=elsewhere(starts))
    return dreams, lost, starts


def judged(memory, episodes, config=CONFIG):
    dreams, lost, starts = dreamt(memory, episodes, config)
    return open_loop(dreams, lost, episodes, starts, spread(episodes), config, 0)


def values(figures):
    return [figure["value"] for figure in figures]


def test_the_table_sees_what_was_recorded(world):
    vision, episodes = world
    assert len(episodes) == len(TRACKS) and episodes[0].mean.shape == (episodes[0].steps + 1, len(NAMES))
    assert torch.equal(episodes[3].mean[:, 5], torch.full((episodes[3].steps + 1,), float(episodes[3].track)))
    np.testing.assert_allclose(episodes[2].mean[:, 0], episodes[2].state[:, 0], atol=1e-6)
    assert reconstruction(vision, episodes, 0)["mse"]["value"] < 1e-6


@pytest.fixture
def exact(monkeypatch):
    """The simulator without noise."""
    monkeypatch.setattr("tests.worldmodels.perfect.STD", 1e-9)


def test_a_perfect_simulator_has_no_error(world, exact):
    vision, episodes = world
    found = judged(Simulator(), episodes)
    assert max(values(found["rmse"]["memory"])) < 1e-3
    assert max(values(found["energy"]["memory"])) < 1e-3
    assert found["beats_persistence"] == {"rmse": 20, "energy": 20}
    assert found["half_persistence"] == {"rmse": 20, "energy": 20}
    assert min(values(found["rmse"]["persistence"])) > 3 * max(values(found["rmse"]["memory"]))
    dreams, _, starts = dreamt(Simulator(), episodes)
    seen = pixels(vision, dreams, episodes, starts, CONFIG, 0)
    assert max(values(seen["mse"]["memory"])) < 1e-3 < max(values(seen["mse"]["persistence"]))
    paid = reward(Simulator(), dreams, episodes, starts, CONFIG, 0)
    assert paid["real_latents"]["r2"]["value"] > 0.999 and abs(paid["real_latents"]["bias"]["value"]) < 1e-3
    assert paid["open_loop"]["r2"]["value"] > 0.9


def test_dreams_of_a_noiseless_simulator_are_exact(world, exact):
    _, episodes = world
    dreams, _, starts = dreamt(Simulator(), episodes)
    true = at_horizons([item.mean for item in episodes], starts, CONFIG.horizons).unsqueeze(2)
    error = ((dreams.z - true).abs() / spread(episodes))[dreams.known]
    assert float(error.max()) < 5e-3
    assert int(dreams.known.sum()) > 40


def test_a_shuffled_simulator_is_worse_than_persistence(world):
    _, episodes = world
    found = judged(Shuffled(), episodes)
    worse = np.subtract(values(found["rmse"]["memory"]), values(found["rmse"]["persistence"]))
    assert worse[:3].min() > 0  # in 20 steps the clock, which all share, makes up for it
    assert found["beats_persistence"] == {"rmse": 0, "energy": 0}
    near = one_step(Simulator(), episodes, guesses(episodes), spread(episodes), 0)
    far = one_step(Shuffled(), episodes, guesses(episodes), spread(episodes), 0)
    assert near["gain"]["persistence"]["ci_low"] > 0 > far["gain"]["persistence"]["ci_high"]


def test_dreams_that_begin_elsewhere_are_lost(world):
    _, episodes = world
    found = judged(Simulator(), episodes)
    assert values(found["rmse"]["shuffled_start"])[0] > 0.5 > values(found["rmse"]["memory"])[0]
    rows = choose_starts(episodes, CONFIG)
    assert (rows.row[elsewhere(rows)] != rows.row).all()


def test_action_sensitivity_is_zero_for_the_blind_alone(world):
    _, episodes = world
    blind = one_step(Blind(), episodes, guesses(episodes), spread(episodes), 0)["action_sensitivity"]
    assert (blind["value"], blind["ci_low"], blind["ci_high"]) == (0.0, 0.0, 0.0)
    assert one_step(Simulator(), episodes, guesses(episodes), spread(episodes), 0)["action_sensitivity"]["ci_low"] > 1


def test_likelihood_is_that_of_standardised_latents(world):
    _, episodes = world
    found = one_step(Simulator(), episodes, guesses(episodes), spread(episodes), 0)
    exact = math.log(STD) + 0.5 * math.log(2 * math.pi)
    assert found["nll"]["memory"]["value"] == pytest.approx(exact - float(spread(episodes).log().mean()), abs=0.01)
    assert [row["track"] for row in found["per_episode"]] == list(TRACKS)
    mean = np.mean([row["memory"] for row in found["per_episode"]])
    assert found["nll"]["memory"]["value"] == pytest.approx(mean)


def test_a_scaled_encoder_has_the_same_figures(world):
    _, episodes = world
    wide = [dataclasses.replace(item, mean=item.mean * 7) for item in episodes]

    class Wide(Simulator):
        def predict(self, z, action):
            found = super().predict(z / 7, action)
            mixture = found.mixture._replace(mean=found.mixture.mean * 7, log_std=found.mixture.log_std + math.log(7))
            return found._replace(mixture=mixture)

    a = one_step(Simulator(), episodes, guesses(episodes), spread(episodes), 0)["nll"]["memory"]["value"]
    b = one_step(Wide(), wide, guesses(wide), spread(wide), 0)["nll"]["memory"]["value"]
    assert a == pytest.approx(b, abs=1e-3)
    here, there = judged(Simulator(), episodes), judged(Wide(), wide)
    assert values(here["rmse"]["memory"]) == pytest.approx(values(there["rmse"]["memory"]), abs=1e-3)
    for guess in ("persistence", "climate"):
        assert values(here["rmse"][guess]) == pytest.approx(values(there["rmse"][guess]), rel=1e-4)


def test_linear_guesses_find_linear_dynamics_and_need_the_action():
    rng = torch.Generator().manual_seed(0)
    action = [torch.randn(200, 1, generator=rng) for _ in range(3)]
    latents = []
    for steps in action:
        z = [torch.zeros(2)]
        for push in steps:
            z.append(torch.tensor([0.9 * z[-1][0] + push[0], 0.5 * z[-1][1] + 0.1 * torch.randn((), generator=rng)]))
        latents.append(torch.stack(z))
    found = fit_guesses(latents, action)
    assert found["linear"].weight[:, 0].tolist() == pytest.approx([0.9, 0, 1.0, 0], abs=1e-2)
    assert found["linear"].weight[1, 1] == pytest.approx(0.5, abs=0.1)
    assert found["linear_no_action"].std[0] == pytest.approx(1.0, abs=0.15) and found["linear"].std[0] < 0.02
    assert found["linear_no_action"].weight[2].abs().max() == 0
    assert found["persistence"].weight[:2].equal(torch.eye(2, dtype=torch.float64))
    assert found["persistence"].weight[2:].abs().max() == 0


def test_the_energy_score_prefers_the_true_distribution():
    rng = torch.Generator().manual_seed(0)
    true = torch.randn(4000, 1, 3, generator=rng)
    score = {}
    for spread_of in (0.3, 1.0, 3.0):
        samples = spread_of * torch.randn(4000, 1, 16, 3, generator=rng)
        score[spread_of] = float(energy_score(samples, true, torch.ones(3)).mean())
    assert score[1.0] < score[0.3] and score[1.0] < score[3.0]
    single = torch.zeros(1, 1, 2, 3)
    far = torch.full((1, 1, 3), 2.0)
    assert float(energy_score(single, far, torch.ones(3))) == pytest.approx(2.0)
    assert float(energy_score(single, far, torch.full((3,), 2.0))) == pytest.approx(1.0)


def test_vision_noise_is_in_the_floor_and_not_in_the_excess(world):
    _, episodes = world
    vague = [dataclasses.replace(item, std=torch.full_like(item.std, 2.0)) for item in episodes]
    dreams, lost, starts = dreamt(Simulator(), vague)
    found = open_loop(dreams, lost, vague, starts, spread(vague), CONFIG, 0)
    assert min(values(found["energy"]["floor"])) > 0.2
    still = [dataclasses.replace(item, mean=item.mean[:1].expand_as(item.mean)) for item in vague]
    calm = open_loop(dreams, lost, still, starts, spread(vague), CONFIG, 0)
    assert max(map(abs, values(calm["excess"]["persistence"]))) < 1e-6  # nothing changes, and it says so
    assert min(values(found["excess"]["shuffled_start"])) > 0.01
    assert max(values(found["rmse"]["memory"])) < 0.1


@pytest.mark.parametrize(("wrong", "ends"), [(1.0, None), (0.3, "narrow"), (3.0, "wide")])
def test_calibration_tells_narrow_from_wide(wrong, ends):
    rng = torch.Generator().manual_seed(0)

    class Memory(Simulator):
        def forward_sequence(self, z, action):
            one = torch.zeros(*z.shape, 2)
            weights = torch.tensor([0.0, math.log(3.0)]).expand_as(one)
            mean = torch.tensor([-2.0, 1.0]) + one
            log_std = torch.full_like(one, math.log(wrong))
            flat = torch.zeros(z.shape[:-1])
            return Prediction(Mixture(weights, mean, log_std), flat, flat), ()

    chosen = torch.rand(4, 801, 3, generator=rng) < 0.25
    z = torch.where(chosen, -2.0, 1.0) + torch.randn(4, 801, 3, generator=rng)
    episodes = [held(row, torch.zeros(800, 1)) for row in z]
    found = calibration(Memory(), episodes, 0)
    assert sum(found["pit"]) == pytest.approx(1)
    half, most = found["coverage"]["50"]["value"], found["coverage"]["90"]["value"]
    if ends is None:
        assert found["ks"] < 0.03 and half == pytest.approx(0.5, abs=0.03) and most == pytest.approx(0.9, abs=0.02)
    else:
        assert found["ks"] > 0.05 and (half < 0.45) == (ends == "narrow") and (most > 0.95) == (ends == "wide")


def held(mean, action, state=None, ends=None, track=0):
    steps = len(action)
    state = np.zeros((steps + 1, 1), np.float32) if state is None else state
    return HeldOut(track, mean, torch.zeros_like(mean), action, np.zeros(steps), ends, state, EpisodeFile("none"))


def test_the_distribution_function_of_a_mixture_is_that_of_its_parts():
    mixture = Mixture(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.7]]))
    normal = [torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.0, math.exp(0.7))]
    at = torch.tensor([0.4])
    expected = 0.25 * normal[0].cdf(at) + 0.75 * normal[1].cdf(at)
    assert float(mixture_cdf(mixture, at)) == pytest.approx(float(expected), abs=1e-6)


def test_termination_of_the_simulator_is_known_and_of_a_constant_is_not(world):
    _, episodes = world
    rng = np.random.default_rng(0)
    noisy = [dataclasses.replace(item, termination=(rng.random(item.steps) < 0.2).astype(np.float32))
             for item in episodes]  # fmt: skip
    score = {id(item.mean): item.termination for item in noisy}

    class Memory(Simulator):
        def __init__(self, logit):
            super().__init__()
            self.logit = logit

        def forward_sequence(self, z, action):
            return SimpleNamespace(termination_logit=self.logit(z)), ()

    rows = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(item.termination) for item in noisy], batch_first=True)
    known = termination(Memory(lambda z: 20 * rows - 10), noisy, 0)
    assert known["auroc"]["value"] == known["auprc"]["value"] == 1 and known["brier"]["value"] < 1e-6
    base = known["base_rate"]
    flat = termination(Memory(lambda z: torch.full(z.shape[:2], math.log(base / (1 - base)))), noisy, 0)
    assert flat["auroc"]["value"] == pytest.approx(0.5)
    assert flat["auprc"]["value"] == pytest.approx(base) and flat["brier"]["value"] == pytest.approx(base * (1 - base))
    none = termination(Memory(lambda z: torch.full(z.shape[:2], -math.inf)), noisy, 0)
    assert "no termination head" in none["skipped"]
    assert len(score) == len(noisy)


def test_probes_find_what_is_linear_and_are_judged_on_other_tracks():
    rng = torch.Generator().manual_seed(0)
    tracks = [7, 7, 3, 9, 1]
    assert halves(tracks) == [0, 0, 1, 1, 0]
    x = [torch.randn(100, 6, generator=rng) for _ in tracks]
    weight = torch.randn(6, 2, generator=rng)
    probe = fit_probe(x, [row @ weight + 3 for row in x], tracks)
    for row, half in zip(x, halves(tracks), strict=True):
        guess = probe(row, half)
        assert r_squared(guess[:, 0].numpy(), (row @ weight + 3)[:, 0].double().numpy()) > 0.999
    # A feature that names the track explains the fitting tracks alone: on others it must not help.
    own = torch.randn(5, 1, generator=rng)
    named = [own[index].expand(100, 1) for index in range(5)]
    label = [torch.eye(5)[index].expand(100, 5) for index in range(5)]
    probe = fit_probe(label, named, [0, 1, 2, 3, 4])
    errors = [float((probe(label[index], index % 2) - named[index]).abs().mean()) for index in range(5)]
    assert min(errors) > 0.01
    with pytest.raises(ValueError, match="on track 4"):
        fit_probe(x[:2], x[:2], [4, 4])


def test_r_squared_is_zero_for_the_mean_and_one_for_the_truth():
    real = np.array([1.0, 2.0, 4.0])
    assert r_squared(real, real) == 1 and r_squared(np.full(3, real.mean()), real) == pytest.approx(0)
    assert math.isnan(r_squared(real, np.ones(3)))


@pytest.mark.slow
def test_the_whole_card_of_the_simulator(world, exact):
    vision, episodes = world
    names = ("x", "speed", "distance", "lane_centre", "lateral_offset", "lane_slope", "reward_rate", "on_road")
    parts = Parts(vision, Simulator(), None, names)
    sets = dict(measure(parts, {"random": episodes[:4], "mixed": episodes[4:]}, guesses(episodes), CONFIG, 0))
    made = card({"run": "x"}, sets, {"skipped": "none"}, CONFIG, AccuracyConfig())
    text = json.dumps(made, allow_nan=False)
    assert json.loads(text)["sets"]["random"]["tracks"] == list(TRACKS[:4])
    probes = sets["random"]["probes"]
    for name in ("x", "speed", "distance"):
        assert probes["now"]["z"][names.index(name)]["value"] > 0.99
    assert probes["now"]["z"][names.index("lane_slope")]["value"] < 0.9  # a sine of the distance is not linear
    assert probes["ahead"]["z"][0]["value"] < probes["now"]["z"][0]["value"]
    through = sets["random"]["physical"]["rmse"]["speed"]
    assert values(through["memory"])[-1] < 0.5 * values(through["persistence"])[-1]
    assert values(through["memory"]) == pytest.approx(values(through["probe"]), abs=0.02)
    assert {row["figure"] for row in made["comparisons"]} == {row[0] for row in whole.COMPARISONS}


def test_starts_leave_room_for_warmup_and_the_longest_horizon(world):
    _, episodes = world
    starts = choose_starts(episodes, CONFIG)
    assert starts.time.min() >= CONFIG.warmup
    for row, time in starts.pairs():
        assert time < episodes[row].steps
        if episodes[row].steps >= CONFIG.warmup + 20:
            assert time + 20 <= episodes[row].steps
    assert len(choose_starts(episodes, dataclasses.replace(CONFIG, warmup=STEPS + 1)).row) == 0
    short = [held(torch.zeros(9, 2), torch.zeros(8, 1))]
    found = choose_starts(short, CONFIG)
    assert found.time.tolist() == [5]


def test_what_cannot_be_measured_says_why(world):
    _, episodes = world

    class NoDecoder(Table):
        def decode(self, z):
            raise ValueError("random convolutions cannot be undone")

    assert "cannot be undone" in reconstruction(NoDecoder(), episodes, 0)["skipped"]
    dreams, _, starts = dreamt(Simulator(), episodes)
    assert "cannot be undone" in pixels(NoDecoder(), dreams, episodes, starts, CONFIG, 0)["skipped"]

    class NoReward(Simulator):
        def prediction(self, after, reward, end):
            return super().prediction(after, torch.full_like(reward, math.nan), end)

    dreams, _, starts = dreamt(NoReward(), episodes)
    assert "no reward head" in reward(NoReward(), dreams, episodes, starts, CONFIG, 0)["skipped"]


@pytest.mark.parametrize(("field", "value"), [("controllers", 2), ("controller_tracks", 1), ("controller_dreams", 1)])
def test_a_wrong_option_is_named(field, value):
    with pytest.raises(ValueError, match=f"accuracy.{field}="):
        AccuracyConfig(**{field: value})


@pytest.mark.parametrize(
    ("limit", "frames", "warmup", "horizons"),
    [(1000, 500, 50, (1, 2, 5, 10, 15, 25, 50, 100)), (50, 50, 10, (1, 2, 5, 10, 15, 25)), (12, 12, 2, (1, 2, 5, 10)),
     (3, 3, 1, (1, 2)), (1, 1, 1, (1,))],
)  # fmt: skip
def test_how_a_card_is_made_follows_from_the_length_of_episodes(limit, frames, warmup, horizons):
    config = card_config(limit)
    assert (config.max_frames, config.warmup, config.horizons) == (frames, warmup, horizons)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"histories": ("a",), "controller_tracks": 600}, "1200 would be driven"),
        ({"controllers": 3, "histories": tuple("abcdefg")}, "7 for 6 controllers"),
    ],
)
def test_controllers_that_cannot_be_found_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        AccuracyConfig(**fields)
