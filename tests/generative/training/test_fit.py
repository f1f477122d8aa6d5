import logging
import sys
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from generative import ComponentError, FitConfig, TrainingDiverged, fit


@dataclass(frozen=True)
class LineConfig:
    """A straight line."""

    dropout: float = 0.0
    """Share of inputs left out while training."""
    noise: float = 0.0
    """Spread of the noise on the targets."""


class Line(nn.Module):
    """Linear regression."""

    type_name = "line"
    Config = LineConfig

    def __init__(self, config: LineConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(3, 1)
        self.dropout = nn.Dropout(config.dropout)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()

    def loss(self, batch, generator):
        x, y = batch
        y = y + self.config.noise * torch.randn(y.shape, generator=generator)
        error = (self.linear(self.dropout(x)) - y).square().mean()
        return error, {"error": error.detach()}


WEIGHTS = torch.tensor([[1.0], [-2.0], [0.5]])


def stream(start: int):
    while True:
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(start))
        yield x, x @ WEIGHTS + 0.25
        start += 1


def run(config: FitConfig, *, seed: int = 0, line: Line | None = None, **options) -> tuple[Line, list[dict]]:
    line = Line(LineConfig()) if line is None else line
    return line, list(fit(line, stream, config, seed=seed, **options))


def test_it_finds_a_line():
    line, rows = run(FitConfig(steps=200, learning_rate=0.1, schedule="cosine"), log_every=20)
    torch.testing.assert_close(line.linear.weight.detach(), WEIGHTS.T, atol=1e-2, rtol=0)
    assert line.linear.bias.item() == pytest.approx(0.25, abs=1e-2)
    assert [row["step"] for row in rows] == list(range(20, 201, 20))
    assert rows[0]["loss"] > 1 > 1e-3 > rows[-1]["loss"]
    assert set(rows[0]) == {"step", "loss", "error", "grad_norm", "learning_rate", "samples_per_second"}
    assert all(type(value) is (int if name == "step" else float) for name, value in rows[0].items())
    assert not line.training


def test_bfloat16_learns_with_weights_in_float32():
    exact, _ = run(FitConfig(steps=300, learning_rate=0.05))
    half, _ = run(FitConfig(steps=300, learning_rate=0.05, precision="bfloat16"))
    assert half.linear.weight.dtype == torch.float32
    assert not torch.equal(half.linear.weight, exact.linear.weight)
    torch.testing.assert_close(half.linear.weight.T, WEIGHTS, atol=0.03, rtol=0)


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_precision_is_what_the_device_has_and_is_kept_with_checkpoints(monkeypatch, tmp_path, native, expected):
    monkeypatch.setattr(sys.modules["generative.training.fit_config"], "native_bfloat16", lambda device: native)
    config = FitConfig(steps=20, precision="auto")
    automatic, _ = run(config, checkpoint=tmp_path)
    chosen, _ = run(replace(config, precision=expected))
    assert torch.equal(automatic.linear.weight, chosen.linear.weight)
    monkeypatch.setattr(sys.modules["generative.training.fit_config"], "native_bfloat16", lambda device: not native)
    with pytest.raises(ValueError, match="precision"):
        run(replace(config, steps=40), checkpoint=tmp_path)


def test_rows_are_means_over_their_interval():
    _, single = run(FitConfig(steps=10), log_every=1)
    _, rows = run(FitConfig(steps=10), log_every=4)
    assert [row["step"] for row in rows] == [4, 8, 10]
    losses = [row["loss"] for row in single]
    for row, part in zip(rows, (losses[:4], losses[4:8], losses[8:]), strict=True):
        assert row["loss"] == pytest.approx(sum(part) / len(part), rel=1e-12)


@pytest.mark.parametrize("config", [LineConfig(noise=1.0), LineConfig(dropout=0.5)])
def test_the_seed_is_used_and_nothing_else_is(config):
    short = FitConfig(steps=5)
    torch.manual_seed(1)
    first = run(short, seed=3, line=Line(config))[0].linear.weight
    state = torch.get_rng_state()
    torch.manual_seed(2)
    second = run(short, seed=3, line=Line(config))[0].linear.weight
    other = run(short, seed=4, line=Line(config))[0].linear.weight
    assert torch.equal(first, second) and not torch.equal(first, other)
    torch.manual_seed(1)
    Line(config)
    assert torch.equal(torch.get_rng_state(), state)  # training itself left the global stream alone


def test_the_first_adam_step_has_the_size_of_the_learning_rate():
    """Adam's first step is learning_rate * sign(gradient); warm-up scales it."""
    line, _ = run(FitConfig(steps=1, learning_rate=0.01))
    torch.testing.assert_close(line.linear.weight.detach().abs(), torch.full((1, 3), 0.01), rtol=1e-4, atol=0)
    line, _ = run(FitConfig(steps=1, learning_rate=0.01, warmup=4))
    torch.testing.assert_close(line.linear.weight.detach().abs(), torch.full((1, 3), 0.0025), rtol=1e-4, atol=0)


def test_the_schedule():
    constant = FitConfig(steps=100, learning_rate=1.0, warmup=10)
    assert [constant.rate(step) for step in (0, 4, 9, 10, 99)] == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0])
    cosine = replace(constant, schedule="cosine", steps=110)
    assert [cosine.rate(step) for step in (9, 10, 60, 110)] == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_clipping():
    """Clipped gradients are seen in the optimiser's first moment, which is a tenth of them after one step."""
    plain = gradient_of(FitConfig(steps=1))
    by_norm = gradient_of(FitConfig(steps=1, gradient_clip=0.1))
    assert plain.norm() > 1 and by_norm.norm().item() == pytest.approx(0.1, rel=1e-3)
    torch.testing.assert_close(by_norm / by_norm.norm(), plain / plain.norm())
    assert torch.equal(gradient_of(FitConfig(steps=1, clip_value=0.2)), plain.clamp(-0.2, 0.2))


def gradient_of(config: FitConfig) -> torch.Tensor:
    line, rows = run(config)
    parameters = [each.grad.flatten() for each in line.parameters() if each.grad is not None]
    assert rows[0]["grad_norm"] > 1  # the norm before clipping is reported
    return torch.cat(parameters)


class Pair(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


@pytest.mark.parametrize("kind", [lambda x, y: Pair(x, y), lambda x, y: [x, y], lambda x, y: (x, y)])
def test_batches_may_be_any_plain_container(kind):
    def batches(start: int):
        for x, y in stream(start):
            yield kind(x, y)

    line = Line(LineConfig())
    list(fit(line, batches, FitConfig(steps=3), seed=0))
    assert torch.equal(line.linear.weight, run(FitConfig(steps=3))[0].linear.weight)


def test_batches_that_end_are_an_error():
    with pytest.raises(ValueError, match="ended at step 3 of 10"):
        list(fit(Line(LineConfig()), lambda start: islice(stream(start), 3), FitConfig(steps=10), seed=0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_divergence_stops_with_whole_weights_and_keeps_the_checkpoint(tmp_path: Path, bad: float):
    def batches(start: int):
        for step, (x, y) in enumerate(stream(start), start):
            yield x, y * (bad if step == 7 else 1.0)

    line = Line(LineConfig())
    with pytest.raises(TrainingDiverged, match=r"step 8: .*lower learning_rate.*0\.001"):
        list(fit(line, batches, FitConfig(steps=50), seed=0, checkpoint=tmp_path))
    assert all(each.isfinite().all() for each in line.parameters())
    assert [path.name for path in tmp_path.iterdir()] == ["00000005"]
    assert issubclass(TrainingDiverged, FloatingPointError)


CHECKED = FitConfig(steps=20)


@pytest.mark.parametrize(
    ("steps", "rows", "checkpoints"), [(1, 1, 1), (10, 1, 1), (300, 6, 30), (4_000, 80, 400), (1_000_000, 100, 1_000)]
)
def test_rows_and_checkpoints_follow_from_the_number_of_steps(steps, rows, checkpoints):
    config = FitConfig(steps=steps)
    assert (config.log_every(50), config.checkpoint_every) == (rows, checkpoints)


def test_a_killed_training_loses_less_than_an_interval(tmp_path: Path):
    whole, rows = run(FitConfig(steps=120), log_every=2)
    killed = fit(Line(LineConfig()), stream, FitConfig(steps=120), seed=0, checkpoint=tmp_path, log_every=2)
    assert next(row["step"] for row in killed if row["step"] > 94) == 96
    killed.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000072", "00000084"]
    resumed, rest = run(FitConfig(steps=120), checkpoint=tmp_path, log_every=2)
    assert [row["step"] for row in rest] == list(range(86, 121, 2))
    assert [row["loss"] for row in rest] == [row["loss"] for row in rows[-18:]]
    assert torch.equal(resumed.linear.weight, whole.linear.weight)


def test_checkpoints_are_pruned_and_a_finished_training_is_not_repeated(tmp_path: Path):
    line, _ = run(CHECKED, checkpoint=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000018", "00000020"]
    assert sorted(path.name for path in (tmp_path / "00000020").iterdir()) == [
        "done",
        "model.safetensors",
        "optimiser.safetensors",
        "state.json",
    ]
    again, rows = run(CHECKED, checkpoint=tmp_path)
    assert rows == [] and torch.equal(again.linear.weight, line.linear.weight)


def test_more_steps_continue_as_if_asked_for_at_once(tmp_path: Path):
    run(CHECKED, checkpoint=tmp_path)
    longer = replace(CHECKED, steps=75)
    continued, rows = run(longer, checkpoint=tmp_path, log_every=30)
    at_once, _ = run(longer)
    assert torch.equal(continued.linear.weight, at_once.linear.weight)
    assert [row["step"] for row in rows] == [30, 60, 75]
    with pytest.raises(ValueError, match=r"steps=5: .*done 75 already"):
        run(replace(CHECKED, steps=5), checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, "fit.learning_rate was 0.001, is 0.5"),
        ({"gradient_clip": 1.0}, "fit.gradient_clip was 0.0, is 1.0"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_shows_them(tmp_path: Path, change, message):
    line, _ = run(CHECKED, checkpoint=tmp_path)
    kept = line.linear.weight.clone()
    with pytest.raises(ValueError, match=message):
        run(replace(CHECKED, **change), checkpoint=tmp_path, line=line)
    assert torch.equal(line.linear.weight, kept)


def test_resuming_with_another_seed_component_or_cosine_length_is_refused(tmp_path: Path):
    cosine = replace(CHECKED, schedule="cosine")
    run(cosine, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="seed was 0, is 1"):
        run(cosine, seed=1, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"component\.noise was 0\.0, is 0\.5"):
        run(cosine, checkpoint=tmp_path, line=Line(LineConfig(noise=0.5)))
    with pytest.raises(ValueError, match=r"fit\.steps was 20, is 22"):
        run(replace(cosine, steps=22), checkpoint=tmp_path)


@pytest.mark.parametrize("damage", ["truncate", "garbage", "remove"])
@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json", "done"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, caplog, name: str, damage: str):
    whole, _ = run(CHECKED, checkpoint=tmp_path)
    spoil(tmp_path / "00000020" / name, damage)
    with caplog.at_level(logging.WARNING, logger="generative"):
        line, rows = run(CHECKED, checkpoint=tmp_path)
    assert [row["step"] for row in rows] == [20]
    assert torch.equal(line.linear.weight, whole.linear.weight)
    if (name, damage) != ("done", "remove"):  # without its marker it is no checkpoint at all
        assert "00000020 is damaged" in caplog.text


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncate" else b"?" * len(content))


def test_when_no_checkpoint_is_readable_nothing_is_overwritten(tmp_path: Path):
    run(CHECKED, checkpoint=tmp_path)
    for folder in tmp_path.iterdir():
        spoil(folder / "model.safetensors", "garbage")
    with pytest.raises(ComponentError, match="none of the 2 checkpoints is readable; remove"):
        run(CHECKED, checkpoint=tmp_path)


def test_a_half_written_checkpoint_is_ignored_and_removed(tmp_path: Path):
    partial = tmp_path / ".00000099.abc.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    _, rows = run(CHECKED, checkpoint=tmp_path, log_every=10)
    assert [row["step"] for row in rows] == [10, 20] and not partial.exists()


@pytest.mark.parametrize("field", ["steps", "learning_rate", "warmup", "gradient_clip", "clip_value"])
def test_a_senseless_config_is_refused_by_name(field):
    with pytest.raises(ValueError, match=f"{field}=-1"):
        FitConfig(**{field: type(getattr(FitConfig(), field))(-1)})


def test_evaluating_between_rows_does_not_leave_dropout_off():
    config = FitConfig(steps=4)
    plain, _ = run(config, line=Line(LineConfig(dropout=0.5)))
    watched = Line(LineConfig(dropout=0.5))
    for _ in fit(watched, stream, config, seed=0, log_every=1):
        watched.eval()
        torch.rand(7)
    assert torch.equal(watched.linear.weight, plain.linear.weight)
