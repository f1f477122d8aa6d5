import math

import numpy as np
import pytest
import torch

from generative.data import load_data
from generative.metrics.sequences.tokens import token_baselines
from generative.runs.run_folder import Choice, TrainingRun
from scripts.generative import evaluate
from scripts.generative.cli import main
from scripts.generative.figures.texts import of_answers, of_tokens
from scripts.generative.runs.assembly import open_run
from tests.scripts.generative.small import finished

BRACKETS = Choice("brackets", {"count": 400, "pairs": 4})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("texts") / "run", "lstm", BRACKETS)


class Truth(torch.nn.Module):
    """A model that knows the language by heart, up to the length of the strings."""

    type_name = "truth"

    def __init__(self, module, data):
        super().__init__()
        self.data, self.Sampling = data, module.Sampling

    def log_prob(self, tokens, mask):
        return torch.from_numpy(self.data.log_prob(tokens.numpy()))

    def sample(self, n, sampling, generator):
        assert sampling.length == self.data.item.shape[0]
        return torch.from_numpy(self.data.get("tokens", np.arange(n)))


def test_padded_texts_are_measured_one_by_one(run):
    module, data = open_run(run)
    found = {each.name: each for each in of_tokens(module, data, 1000, 0)}
    bits = found["bits per token"]
    held = data.held_out()
    read, mask = (torch.from_numpy(held.get(name, np.arange(len(held)))) for name in ("tokens", "tokens_mask"))
    expected = -module.log_prob(read, mask).sum().item() / (math.log(2) * mask.sum().item())
    assert bits.value == pytest.approx(expected, rel=1e-5) and bits.samples == mask.sum()
    assert found["perplexity"].value == pytest.approx(2**expected, rel=1e-5)
    train, train_mask = (data.get(name, np.arange(len(data))) for name in ("tokens", "tokens_mask"))
    masks = {"train_mask": train_mask, "held_out_mask": mask.numpy()}
    assert bits.baselines == token_baselines(train, read.numpy(), data.item.sizes[0], **masks)
    assert bits.reference < bits.baselines["Kneser-Ney 5-gram"] < bits.baselines["unigram"]
    truth = {each.name: each for each in of_tokens(Truth(module, data), data, 1000, 0)}
    assert truth["bits per token"].value == pytest.approx(bits.reference)
    assert truth["valid"].value == 1.0 and truth["valid"].standing == "as real"
    assert found["valid"].value < 0.7 and found["valid"].standing == "worse"
    for name in ("distinct-2", "repetition"):
        assert truth[name].standing == "as real"


class Reader(torch.nn.Module):
    """A model that notes what it reads, and finds every token of `size` as likely."""

    def __init__(self, size):
        super().__init__()
        self.size, self.read = size, []

    def log_prob(self, tokens):
        self.read.append(tokens.numpy())
        return torch.full((len(tokens),), -math.log(self.size) * tokens.shape[1])


def bits_of(data, samples):
    """Return the figure, and what was read for it."""
    model = Reader(data.item.sizes[0])
    bits = next(iter(of_tokens(model, data, samples, 0)))
    assert bits.name == "bits per token" and bits.value == pytest.approx(math.log2(model.size))
    return bits, np.concatenate(model.read)


def test_texts_of_their_own_are_read_one_by_one_from_everywhere():
    data = load_data("tales", {"count": 2000, "length": 8})
    held, train = data.held_out(), data.get("tokens", np.arange(len(data)))
    bits, read = bits_of(data, 40)
    at = np.linspace(0, len(held) - 1, 40).astype(int)
    assert (read == held.get("tokens", at)).all() and bits.samples == 40 * 8
    alone = token_baselines(train, read, data.item.sizes[0])
    assert bits.baselines == alone
    in_a_row = token_baselines(train.reshape(1, -1), read.reshape(1, -1), data.item.sizes[0])
    assert min(in_a_row.values()) > 1.1 * min(alone.values())  # who begins a tale does not follow from the last one


def test_a_stream_is_read_as_one_text(tmp_path):
    (tmp_path / "mine.txt").write_text("".join(f"{number} green bottles.\n" for number in range(300)))
    data = load_data("text", {"path": str(tmp_path / "mine.txt"), "length": 16})
    held = data.held_out().get("tokens", np.arange(20))
    bits, read = bits_of(data, 20)
    assert read.shape == (1, 320) and (read == held.reshape(1, -1)).all()
    train = data.get("tokens", np.arange(len(data))).reshape(1, -1)
    assert bits.baselines == token_baselines(train, read, data.item.sizes[0])


def test_what_is_asked_for_is_measured(run, capsys):
    assert main(["evaluate", str(run.path), "--samples", "100", "--metrics", "distinct-2"]) == 0
    facts = run.facts("evaluation")
    assert [each["name"] for each in facts["figures"]] == ["distinct-2"]
    evaluate.main(run, evaluate.EvaluateOptions(samples=100))
    assert run.facts("evaluation")["headline"]["name"] == "bits per token"


def test_a_metric_of_something_else_is_refused(run, tmp_path, capsys):
    assert main(["evaluate", str(run.path), "--samples", "100", "--metrics", "FD"]) == 1
    assert "FD: not for a model of brackets, which has texts; ask for distinct-2, repetition" in capsys.readouterr().err
    finished(tmp_path / "pca", "pca")
    assert main(["evaluate", str(tmp_path / "pca"), "--samples", "100", "--metrics", "distinct-2"]) == 1
    assert "distinct-2: needs texts, which this model on shapes does not have" in capsys.readouterr().err


def test_a_padded_text_is_shown_and_written_up_to_its_end(run, capsys):
    shown = (run.path / "samples" / "00000008.txt").read_text()
    assert "<end>" not in shown and set(shown) <= set("([])\n")
    lengths = []
    for seed in range(6):
        assert main(["write", str(run.path), "--prompt", "(", "--seed", str(seed), "--length", "60"]) == 0
        lengths.append(len(capsys.readouterr().out.strip()))
    assert min(lengths) < 60 and len(set(lengths)) > 2


@pytest.mark.slow
def test_parts_of_words_are_measured_by_the_character(tmp_path, capsys):
    text = "the cat sat on the mats. a caterpillar sat on the cats.\n" * 40
    (tmp_path / "mine.txt").write_text(text)
    options = {"path": str(tmp_path / "mine.txt"), "length": 8, "tokens": "byte-pair", "vocabulary": 40}
    run = finished(tmp_path / "run", "lstm", Choice("text", options), batch=4)
    module, data = open_run(run)
    found = {each.name: each for each in of_tokens(module, data, 1000, 0)}
    held = load_data("text", options).held_out()
    tokens = held.get("tokens", np.arange(len(held))).ravel()
    characters = len("".join(data.names("tokens")[each] for each in tokens))
    assert found["effective context"].value in (1, 2, 4, 7)
    share = found["bits per character"].value / found["bits per token"].value
    assert share == pytest.approx(len(tokens) / characters) and share < 0.5
    assert main(["write", str(run.path), "--prompt", "the cat", "--stop", "a", "--length", "400"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("the cat") and len(written) < 400 and "a" in written[7:]


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("texts") / "answering", "encoder-decoder")


@pytest.mark.slow
def test_answers_are_measured_beside_the_commonest_and_the_nearest(answering, tmp_path, monkeypatch, capsys):
    module, data = open_run(answering)
    (found,) = of_answers(module, data, 1000, 0)
    assert found.name == "exact match" and found.reference == 1.0 and found.value < 0.5
    assert found.samples == len(data.held_out())
    recall = finished(tmp_path / "recall", "encoder-decoder", Choice("recall", {"count": 400, "pairs": 4}))
    near, far, found = of_answers(*open_run(recall), 1000, 0)
    assert near.samples + far.samples == found.samples and near.name.startswith("right, lag up to ")
    assert near.value * near.samples + far.value * far.samples == pytest.approx(found.value * found.samples)
    (near,) = of_answers(module, data, 1000, 0, ("chrF",))
    assert 100 > near.baselines["answer to the nearest source"] > near.baselines["commonest answer"] > 0

    def right(self, source, mask, sampling, generator):
        return source

    monkeypatch.setattr(type(module), "answer", right)
    assert [each.value for each in of_answers(module, data, 1000, 0, ("exact match", "chrF"))] == [1.0, 100.0]
    monkeypatch.undo()
    assert main(["evaluate", str(answering.path), "--samples", "100"]) == 0
    assert answering.facts("evaluation")["headline"]["name"] == "exact match"


def test_answers_are_shown_with_what_is_right(answering):
    lines = (answering.path / "samples" / "00000008.txt").read_text().splitlines()
    assert len(lines) == 32 and all(each.startswith("  ") for each in lines[1::2])
    for source, answer in zip(lines[::2], lines[1::2], strict=True):
        assert answer.strip() == source or answer.endswith(f"  (right: {source})")


@pytest.mark.slow
def test_hidden_tokens_and_labels_are_measured_beside_what_counts_say(tmp_path, monkeypatch):
    for folder, word in (("birds", "wren sings"), ("trees", "oak grows")):
        (tmp_path / "texts" / folder).mkdir(parents=True)
        for number in range(30):
            (tmp_path / "texts" / folder / f"{number}.txt").write_text(f"the {word} {number} times. " * 10)
    options = {"path": str(tmp_path / "texts"), "length": 16}
    run = finished(tmp_path / "run", "bert", Choice("text", options))
    assert main(["evaluate", str(run.path), "--samples", "100"]) == 0
    headline = run.facts("evaluation")["headline"]
    assert headline["name"] == "hidden tokens right" and headline["value"] < headline["baseline_value"]
    module, data = open_run(run)
    monkeypatch.setattr(type(module), "fill", lambda self, tokens, hidden: torch.eye(data.item.sizes[0])[tokens])
    monkeypatch.setattr(type(module), "goes_on", lambda self, tokens: (tokens[:, 7] == tokens[:, 15]) * 1.0)
    found, joined = of_tokens(module, data, 100, 0)
    halves = data.held_out().get("tokens", np.arange(len(data.held_out())))[:, 7::8]
    alike = np.concatenate([halves[:, 0] == halves[:, 1], halves[:, 0] != np.roll(halves[:, 1], len(halves) // 2)])
    assert joined.name == "next sentence right" and joined.value == pytest.approx(alike.mean())
    assert found.value == 1.0 and found.baselines["both neighbours"] > found.baselines["unigram"] > 0.05
    assert "[" in (run.path / "samples" / "00000008.txt").read_text()
    monkeypatch.undo()

    words = ["--data", "passages", "--data.path", options["path"], "--data.length", "16"]
    more = ["--start", str(run.path), "--fit.steps", "2", "--batch", "8", "--out", str(tmp_path / "told")]
    assert main(["train", "bert", *words, *more]) == 0
    told = TrainingRun(tmp_path / "told")
    taken = told.facts("start")
    assert "blocks.0.project.weight" in taken["taken"] and "classifier.weight (not there)" in taken["drawn"]
    (found,) = of_tokens(*open_run(told), 100, 0)
    assert found.name == "accuracy" and found.baselines["naive Bayes"] > found.baselines["commonest class"]


def test_questions_are_measured_beside_a_template(tmp_path, monkeypatch):
    run = finished(tmp_path / "run", "question-generator", Choice("questions", {"count": 400, "sentences": 2}))
    module, data = open_run(run)
    (found,) = of_answers(module, data, 1000, 0)
    share = found.baselines["sentence with a question word"]
    assert 0.3 < share < 0.7 and found.value < share  # right where a person is asked for
    shown = (run.path / "samples" / "00000008.txt").read_text().splitlines()
    assert all("[" in each for each in shown[::2])
