"""Music from trained models, on the command line."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from generative.core.component import LatentSpec
from generative.data import load_data
from generative.data.music.midi import opening
from generative.data.music.pieces import Piece, Windows, music_data
from generative.data.music.rolls import HOLD, REST, notes, sounding, struck, unnumbered
from generative.data.origin import Origin
from generative.metrics.sequences.music import notes_per_bar
from generative.metrics.sequences.tokens import KneserNey
from generative.models.writing.language_model import TextSampling
from generative.report.score import midi_bytes
from generative.runs.run_folder import Choice
from scripts.generative.cli import main
from scripts.generative.figures.music import copies_of, of_music
from tests.scripts.generative.small import finished

PROGRESSIONS = Choice("progressions", {"count": 200, "bars": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("compose") / "run", "lstm", PROGRESSIONS, batch=4, shown=2, show_every=8)


def test_a_model_of_tokens_goes_on_from_a_midi_file(run, tmp_path, capsys):
    symusic = pytest.importorskip("symusic")
    assert {each.suffix for each in (run.path / "samples").glob("00000008.*")} == {".png", ".wav", ".mid"}
    data = load_data(PROGRESSIONS.type, PROGRESSIONS.options)
    first = unnumbered(data.get("roll", np.arange(1))[0], data.item.names)
    path = tmp_path / "opening.mid"
    path.write_bytes(midi_bytes(first))
    assert (opening(path, data.item) == data.get("tokens", np.arange(1))[0]).all()
    words = ["write", str(run.path), "--prompt", str(path), "--length", "24", "--out", str(tmp_path / "on")]
    assert main(words) == 0 and str(tmp_path / "on.mid") in capsys.readouterr().out
    score = symusic.Score(str(tmp_path / "on.mid")).resample(4, min_dur=1)
    heard = {(voice, each.pitch, each.time) for voice, track in enumerate(score.tracks) for each in track.notes}
    begun = {each[:3] for each in notes(first)}
    assert begun <= heard and not {each for each in heard - begun if each[2] < len(first)}
    high = np.where(first >= 0, first + 24, first)
    for roll, said in ((high, "the model knows rest to"), (np.full((4, 4), REST), "no notes")):
        path.write_bytes(midi_bytes(roll))
        assert main(words) == 1 and said in capsys.readouterr().err


def test_beams_compose_the_same_piece_whatever_the_seed(run, tmp_path, capsys):
    pieces = []
    for number, more in enumerate((["--beams", "3"], ["--beams", "3"], ["--beams", "1"])):
        out = tmp_path / str(number)
        assert main(["write", str(run.path), "--length", "24", "--seed", str(number), "--out", str(out), *more]) == 0
        pieces.append(out.with_suffix(".png").read_bytes())
    assert pieces[0] == pieces[1] != pieces[2]
    for more in (["--stop", "x"], ["--choose"]):
        assert main(["write", str(run.path), *more]) == 1
        assert f"{more[0][2:]}=" in capsys.readouterr().err
    assert main(["write", str(run.path), "--beams", "0"]) == 2
    assert "beams=0: give 1 or more" in capsys.readouterr().err


def test_an_opening_is_notes_for_a_model_of_melodies(tmp_path):
    pytest.importorskip("symusic")
    data = load_data("progressions", {"count": 200, "melody": 4})
    path = tmp_path / "opening.mid"
    path.write_bytes(midi_bytes(np.array([[76], *[[HOLD]] * 7, [74], *[[HOLD]] * 7])))
    names, found = data.item.names, opening(path, data.item)
    assert [names[each] for each in found[:, 0]] == ["76", "74"]
    assert [names[data.item.sizes[0] + each] for each in found[:, 1]] == ["2", "2"]
    path.write_bytes(midi_bytes(np.array([[76], *[[HOLD]] * 4])))
    with pytest.raises(ValueError, match=r"durations in beats 1\.25, and the model knows"):
        opening(path, data.item)


@pytest.mark.slow
def test_figures_stand_beside_real_pieces_and_what_costs_nothing(run):
    assert main(["evaluate", str(run.path), "--samples", "100"]) == 0
    facts = run.facts("evaluation")
    assert facts is not None and facts["headline"]["name"] == "nats per step"
    rows = {row["name"]: row for row in facts["figures"]}
    known = load_data(PROGRESSIONS.type, PROGRESSIONS.options)
    steps = rows["nats per step"]
    held = known.held_out()
    assert known.log_prob is not None
    truth = -known.log_prob(held.get("roll", np.arange(len(held)))).mean() / 16
    assert steps["reference"] == pytest.approx(truth) and truth < min(steps["baselines"].values()) < steps["value"]
    alone = {f"{name} in each voice" for name in ("unigram", "Markov chain", "Kneser-Ney 4-gram")}
    assert set(steps["baselines"]) == alone | {"Kneser-Ney 5-gram of all voices"}
    for name in ("pitch-class entropy", "tonal distance", "groove", "empty bars", "motif recurrence"):
        row = rows[name]
        assert row["low"] <= row["reference"] <= row["high"]
        assert set(row["baselines"]) == {"steps in any order", "voices of other pieces"}
    assert rows["memorisation[rolls]"]["value"] == 0 and not facts["verdicts"]
    assert main(["evaluate", str(run.path), "--samples", "100", "--metrics", "BLEU"]) == 1


@pytest.mark.parametrize("windows", [Windows(bars=2), Windows(melody=8)])
def test_baselines_count_pieces_apart_and_what_windows_share_once(windows):
    generator, made = np.random.default_rng(0), []
    for number in range(12):
        roll = np.full((80, 2), HOLD)
        roll[::2, 0] = 60 + generator.integers(4, size=40).cumsum() % 12
        roll[::4, 1] = generator.integers(40, 52, 20)
        made.append(Piece(str(number), roll, held_out=number % 3 == 0))
    data = music_data("mine", made, windows, Origin())

    class Model(nn.Module):
        inputs = (data.main,)

        def log_prob(self, items):
            return torch.zeros(len(items))

    (found,) = of_music(Model(), data, 100, 0)
    items, seen = data.get(data.main, np.arange(len(data))), data.first_seen(data.items)
    first = np.flatnonzero(seen.all(1))
    assert len(first) == 8 < len(items)  # of each piece
    whole = np.stack([items[rows][seen[rows]] for rows in np.split(np.arange(len(items)), first[1:])])
    assert whole.shape[1] == (80 if data.main == "roll" else 40)
    held = data.held_out().get(data.main, np.arange(len(data.held_out())))

    def nats(order, *columns):
        sizes = data.item.sizes * (2 if data.main == "roll" else 1)
        return sum(
            math.log(2) * KneserNey.of(whole[..., each], sizes[each], order).bits(held[..., each]) for each in columns
        )

    alone = " in each voice" if data.main == "roll" else ""
    assert found.baselines["Markov chain" + alone] == pytest.approx(nats(2, 0, 1))
    assert found.baselines["Kneser-Ney 4-gram" + alone] == pytest.approx(nats(4, 0, 1))
    if data.main == "roll":
        (size,) = data.item.sizes
        rows = (each.reshape(len(each), -1) for each in (whole, held))
        model = KneserNey.of(next(rows), size, 3)
        assert found.baselines["Kneser-Ney 3-gram of all voices"] == pytest.approx(
            2 * math.log(2) * model.bits(next(rows))
        )


def test_a_model_that_plays_its_training_pieces_again_is_found_out():
    data = load_data(PROGRESSIONS.type, PROGRESSIONS.options)

    class Parrot(nn.Module):
        inputs = ("tokens",)
        Sampling = TextSampling

        def sample(self, n, sampling, generator):
            assert sampling.length == 64
            return torch.from_numpy(data.get("tokens", np.arange(n)))

    made, real = copies_of(Parrot(), data, 100, 0)["copies"]
    assert (
        made == 1 and real < 0.05
    )  # nearly all one-bar pieces have the pitches of a training piece, in another rhythm
    rows = {each.name: each for each in of_music(Parrot(), data, 100, 0)}
    assert rows["memorisation[rolls]"].value == 1 and rows["distance to training"].standing == "worse"


def test_a_parrot_of_melodies_is_found_out_too():
    data = load_data("progressions", {"count": 200, "melody": 8})

    class Parrot(nn.Module):
        inputs = ("notes",)
        Sampling = TextSampling

        def sample(self, n, sampling, generator):
            return torch.from_numpy(data.get("notes", np.arange(n)))

    made, real = copies_of(Parrot(), data, 100, 0)["copies"]
    assert made == 1 and real < 0.5
    rows = {each.name: each for each in of_music(Parrot(), data, 100, 0)}
    assert rows["memorisation[notes]"].value == 1


def test_a_model_without_strikes_is_measured_beside_pieces_without():
    data = load_data("progressions", {"count": 400})
    held = data.held_out()

    class Plain(nn.Module):
        inputs = ("roll",)
        Sampling = TextSampling
        strikes = False

        def sample(self, n, sampling, generator):
            return torch.from_numpy(held.get("roll", np.arange(len(held) - n, len(held))))

    rows = {each.name: each for each in of_music(Plain(), data, 100, 0)}
    for name in ("notes per bar", "groove"):
        assert rows[name].standing == "as real", name
    heard = [sounding(unnumbered(each, data.item.names)) for each in held.get("roll", np.arange(len(held)))]
    assert rows["notes per bar"].value == pytest.approx(
        np.mean([notes_per_bar([struck(each)]) for each in heard]), rel=0.1
    )


def test_what_a_groove_from_another_piece_moves_is_measured():
    """A model whose groove is the rhythm of its one voice, and whose melody is its pitch."""
    data = load_data("progressions", {"count": 2000, "detached": True})
    low = data.item.names.index("60")

    class Plain(nn.Module):
        inputs, Sampling, strikes = ("roll",), TextSampling, False
        latent_spec = LatentSpec("continuous", 2)

        def decode(self, z):
            steps = torch.arange(32)[None] % (2 + 2 * (z[:, :1] > 0).long())
            pitch = low + 2 * (z[:, 1:] > 0).long()
            return torch.where(steps == 0, pitch, 0)[:, :, None].expand(-1, -1, 4)

        def exchanged(self, z, other, part, voice=0):
            column = {"groove": 0, "melody": 1}[part]
            return torch.where(torch.arange(2) == column, other, z)

        def sample(self, n, sampling, generator):
            return self.decode(torch.randn(n, 2, generator=generator))

    rows = {each.name: each for each in of_music(Plain(), data, 200, 0)}
    rhythm, tones = rows["groove moves rhythm"], rows["groove moves pitch classes"]
    assert rhythm.value == pytest.approx(0.5 * 0.25, rel=0.4) and rhythm.baselines == {"a melody exchanged": 0}
    assert tones.value == 0 and tones.baselines["a melody exchanged"] == tones.baselines["another piece"] > 0.2
