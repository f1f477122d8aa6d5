import itertools

import pytest
import torch

from generative.data import load_data
from generative.data.text.tokenisers import Tokeniser
from generative.models.writing.language_model import TextSampling
from generative.models.writing.lstm import LSTM
from generative.runs.run_folder import Choice
from scripts.generative import write
from scripts.generative.cli import main
from scripts.generative.runs.assembly import open_model
from scripts.generative.runs.writing_together import words_offered, written_together
from tests.scripts.generative.small import finished


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("write")
    (folder / "text.txt").write_text("the cat sat on the mat. " * 100)
    return finished(folder / "run", "lstm", Choice("text", {"path": str(folder / "text.txt"), "length": 16}), batch=4)


def test_a_text_is_printed_while_it_is_written(run, capsys, monkeypatch):
    printed_at = []
    stream = LSTM.stream

    def watched(*arguments):
        for token in stream(*arguments):
            printed_at.append(capsys.readouterr().out)
            yield token

    monkeypatch.setattr(LSTM, "stream", watched)
    assert write.main(run, write.WriteOptions(prompt="the c", seed=3), TextSampling(length=6)) == []
    printed = "".join(printed_at) + capsys.readouterr().out
    assert [len(each) for each in printed_at] == [5, 1, 1, 1, 1, 1]
    names = load_data("text", run.config.data.options).names("tokens")
    prompt = torch.tensor([names.index(each) for each in "the c"])
    expected = stream(open_model(run), prompt, TextSampling(), torch.Generator().manual_seed(3))
    assert printed == "the c" + "".join(names[token] for token in itertools.islice(expected, 6)) + "\n"


def test_the_dials_are_options_of_the_command(run, capsys):
    words = ["write", str(run.path), "--prompt", "the ", "--length", "12"]
    texts = []
    for more in (["--temperature", "0"], ["--top-k", "1"], ["--top-p", "1e-6"], []):
        assert main([*words, *more, "--seed", "5"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] == texts[2] != texts[3]
    assert all(len(text) == 4 + 12 + 1 for text in texts)


def test_a_text_stops_once_something_was_written(run, capsys):
    words = ["write", str(run.path), "--prompt", "the ", "--length", "60", "--seed", "5"]
    assert main(words) == 0
    whole = capsys.readouterr().out
    stop = whole[20:22]
    assert main([*words, "--stop", stop]) == 0
    assert capsys.readouterr().out == whole[: whole.index(stop, 4) + 2] + "\n"


def test_beams_print_the_likeliest_text_that_ends_as_it_should(run, capsys):
    words = ["write", str(run.path), "--prompt", "the ", "--length", "9", "--beams", "4"]
    module, names = open_model(run), load_data("text", run.config.data.options).names("tokens")
    prompt = torch.tensor([[names.index(each) for each in "the "]])
    texts = []
    for stop, more in (("", []), ("c", []), ("mm", []), ("c", ["--length-penalty", "4"])):
        assert main([*words, "--stop", stop, *more, "--seed", str(len(texts))]) == 0
        ends = [names.index(stop)] if len(stop) == 1 else []
        dials = TextSampling(beams=4, length_penalty=4.0 if more else 0.6)
        found = "".join(names[each] for each in module.generate(prompt, 9, dials, torch.Generator(), stop=ends)[0])
        texts.append(found[: found.index("mm") + 2] if stop == "mm" else found)
        assert capsys.readouterr().out == f"the {texts[-1]}\n"
    assert texts[1] == "c" and not any(
        "c" in each for each in (texts[0], texts[3])
    )  # to be long is worth more than to end
    assert texts[2] != texts[0]
    assert main([*words, "--choose"]) == 1
    assert "beams=4: words to choose from are drawn" in capsys.readouterr().err
    assert main([*words, "--top-k", "3"]) == 2
    assert "beams=4: beams draw nothing" in capsys.readouterr().err


def test_a_prompt_of_unknown_characters_is_refused(run, tmp_path, capsys):
    assert main(["write", str(run.path), "--prompt", "the ß"]) == 1
    assert "the model knows no 'ß'" in capsys.readouterr().err
    finished(tmp_path / "vae", "vae")
    assert main(["write", str(tmp_path / "vae")]) == 1
    assert "vae cannot `stream`" in capsys.readouterr().err


def test_a_prompt_for_a_model_of_words_is_cut_into_words(tmp_path, capsys):
    run = finished(tmp_path / "run", "lstm", Choice("tales", {"count": 400}), batch=4)
    known = load_data("tales", {"count": 400}).names("tokens")
    prompt = next(name for name in known if len(name) > 2 and name.strip().isalpha())
    assert main(["write", str(run.path), "--prompt", prompt, "--length", "4"]) == 0
    assert capsys.readouterr().out.startswith(prompt)
    assert main(["write", str(run.path), "--prompt", "ß"]) == 1 and "'ß'" in capsys.readouterr().err


class Cats(torch.nn.Module):
    """Writes "the cat. " again and again, after whatever it was given, and now and then "cow" in place of "cat"."""

    text = "the cat. "

    def generate(self, prompt, steps, sampling, generator):
        written = ["".join(NAMES[each] for each in row) for row in prompt.tolist()]
        begun = self.text.find(written[0][-3:]) + 3 if len(written[0]) >= 3 else 0
        rows = []
        for row in range(len(prompt)):
            text = (self.text.replace("cat", "cow") if row % 4 == 0 else self.text) * 4
            rows.append([NAMES.index(each) for each in text[begun : begun + steps]])
        return torch.tensor(rows)


NAMES = tuple(sorted(set("the cat. cow!")))


def test_words_are_offered_with_the_commonest_first_and_whole():
    tokeniser = Tokeniser("characters", NAMES)
    for text, expected in (("the", [" cat", " cow"]), ("t", ["the"]), ("the ca", ["t"]), ("the cat", ["."])):
        found = words_offered(Cats(), tokeniser, text, TextSampling(length=16), torch.Generator(), 8)
        assert found[: len(expected)] == expected, text
    assert words_offered(Cats(), tokeniser, "the", TextSampling(length=16), torch.Generator(), 1) == [" cat"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (["1", "1", ""], "the cat."),
        (["2", ""], "the cow"),
        (["cow", "!", ""], "the cow!"),
        (["dog", "9 ", "1"], "the cat"),  # unknown letters, a number of none: asked again; then the input ends
    ],
)
def test_a_text_is_written_together(said, written, monkeypatch, capsys):
    answers = iter(said)

    def answer(prompt):
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", answer)
    tokeniser = Tokeniser("characters", NAMES)
    found = written_together(Cats(), tokeniser, TextSampling(length=16), torch.Generator(), "the", "", 8)
    assert found == written
    shown = capsys.readouterr().out
    assert "1 cat  2 cow" in shown and ("the model knows no" in shown) == ("dog" in said)


def test_the_command_writes_together_too(run, monkeypatch, capsys):
    answers = iter(["1", "sat", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert main(["write", str(run.path), "--prompt", "the", "--choose", "--offers", "3", "--stop", "sat"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("the") and lines[-1].endswith("sat") and lines[3].startswith("1 ")
    assert next(answers) == ""  # it stopped before
