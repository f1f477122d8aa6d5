"""A model of another kind of data is one class and one name: everything else follows from what it says of itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative import MODELS, ComponentError
from generative.data import Field
from generative.data.needs import needed
from generative.runs.run_folder import TrainingRun
from generative.sampling.dials import PriorSampling
from scripts.generative.cli import main


@dataclass(frozen=True)
class BigramConfig:
    """Sizes of the table."""

    vocabulary: int = 10
    """Different tokens."""
    length: int = 8
    """Tokens of a sample."""


class Bigram(nn.Module):
    """The next token goes by this one alone; the last token of a batch is carried on to the next batch."""

    type_name = "bigram"
    Config = BigramConfig
    Sampling: ClassVar[type] = PriorSampling
    order: ClassVar[str] = "contiguous"
    seen: ClassVar[list[Tensor]] = []

    def __init__(self, config: BigramConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocabulary, config.vocabulary)

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("tokens",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> dict[str, Any]:
        tokens = needed(cls, fields, "tokens")
        return {"vocabulary": tokens.sizes[0], "length": tokens.shape[0]}

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if self.training:
            self.seen.append(batch)
        return functional.cross_entropy(self.table(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()), {}

    def sample(self, n: int, sampling: Any, generator: torch.Generator) -> Tensor:
        tokens = torch.zeros(n, self.config.length, dtype=torch.int64)
        for place in range(1, self.config.length):
            shares = self.table(tokens[:, place - 1]).softmax(1)
            tokens[:, place] = torch.multinomial(shares, 1, generator=generator)[:, 0]
        return tokens


@pytest.fixture
def poem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MODELS, "_catalogue", type(MODELS._catalogue)("model", "model", {}, lambda each, *_: each))
    MODELS.add("bigram", Bigram)
    text = "".join(f"{number} green bottles\n" for number in range(300))
    (tmp_path / "poem.txt").write_text(text)
    return text


TRAIN = ["train", "bigram", "--data", "text", "--data.path", "poem.txt", "--data.length", "24", "--batch", "8"]


@pytest.mark.slow
def test_a_language_model_trains_writes_and_is_shown(poem, capsys):
    assert main([*TRAIN, "--fit.steps", "60", "--fit.learning_rate", "0.1", "--device", "cpu"]) == 0
    run = TrainingRun("runs/generative/bigram")
    facts = json.loads((run.path / "data.json").read_text())
    assert facts["fields"]["tokens"]["names"] == sorted(set(poem)) and run.config.model.options["length"] == 24
    history = run.history()
    assert history[-1]["held_out_loss"] < 0.6 * history[0]["held_out_loss"]
    last = (run.path / "samples" / "00000060.txt").read_text()
    assert "green" in last or "bottles" in last
    assert last.strip()[:100] in (run.path / "report" / "index.html").read_text()
    Path("poem.txt").unlink()  # a text can be drawn where the data are gone
    assert main(["sample", "bigram", "--count", "3"]) == 0
    assert "drawn.txt" in capsys.readouterr().out
    assert len((run.path / "samples" / "drawn.txt").read_text().split("\n\n")) >= 3


def test_its_batches_are_the_stream_that_it_asks_for(poem):
    Bigram.seen.clear()
    assert main([*TRAIN, "--fit.steps", "4", "--device", "cpu"]) == 0
    characters, border = sorted(set(poem)), len(poem) - len(poem) // 10
    trained = poem[: border // 24 * 24]
    for row in range(8):
        read = "".join(characters[token] for batch in Bigram.seen for token in batch[row].tolist())
        assert len(read) == 96 and read in trained + trained


def test_data_without_its_field_are_refused(poem, capsys):
    assert main(["train", "bigram", "--data", "ring"]) == 1
    assert "bigram needs the field 'tokens', and the data has point, label" in capsys.readouterr().err


def test_a_model_that_does_not_say_what_it_takes_is_refused(poem, capsys):
    class Mute(nn.Module):
        type_name = "mute"
        Config = BigramConfig

    MODELS.add("mute", Mute)
    assert main(["train", "mute", "--data", "ring"]) == 1
    assert "mute: does not say which data it takes" in capsys.readouterr().err
    with pytest.raises(ComponentError, match="this name is taken"):
        MODELS.add("mute", Mute)
