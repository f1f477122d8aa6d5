import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import fields, is_dataclass
from operator import attrgetter

import pytest

from scripts.cli import main, parse, presets
from scripts.stages import collect
from scripts.terminal.commands import COMMANDS, SECTIONS, SETTINGS, SHORT, settings
from scripts.terminal.parsing import UsageError
from tests.small import small_config
from tests.started import started
from worldmodels import Run
from worldmodels.config import RunConfig
from worldmodels.config_files import known_presets, preset, write_config
from worldmodels.files import read_lines
from worldmodels.study.file import read_study


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-c", "from scripts.cli import entry; entry()", *map(str, words)],
        capture_output=True, text=True, check=False, timeout=300, **options,
    )  # fmt: skip


@pytest.fixture
def small(tmp_path):
    write_config(tmp_path / "small.yaml", small_config())
    return tmp_path / "small.yaml"


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["colect"], "did you mean `collect`", 2),
        (["run", "--preset", "qick"], "did you mean `quick`", 1),
        (["run", "x", "--preset", "toy", "--vision.type", "vea"], "vae", 1),
        (["evaluate", "nothing-here"], "is no run yet", 2),
        (["info", "nothing-here"], "no run folder", 1),
        (["run", "--config", "none.yaml"], "cannot read", 1),
        (["run", "--preset"], "needs a value", 2),
        (["run", "--preset", "toy", "--config", "x"], "not both", 2),
        (["report", "--dry-run"], "no --dry-run", 2),
    ],
)
def test_what_cannot_be_understood(words, message, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == code
    captured = capsys.readouterr()
    assert message in captured.err and "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--collect.epsodes", "3"], "--collect.episodes"),
        (["--collect.episodes", "many"], "collect.episodes"),
        (["--collect.policies", "unifrom"], "uniform"),
        (["--collect.episodes", "1"], "must be at least 2"),
    ],
)
def test_wrong_fields_on_the_command_line(words, message, capsys):
    assert main(["collect", "x", "--preset", "toy", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_flags_and_short_names_reach_the_configuration():
    request = parse("run", ["mine", "--preset", "toy", "--world", "dream", "--features", "vision",
                            "--vision.options.latent", "5", "--env.crop", "0", "0", "--workers=3",
                            "--dry-run"])  # fmt: skip
    config = request.config
    assert str(request.run) == os.path.join("runs", "mine") and request.dry_run
    assert (config.evolve.world, config.features.reads, config.vision.options.latent) == ("dream", "vision", 5)
    assert config.executor.workers == 3


def shown(capsys, *words):
    """What a command prints before it exits, without the colours of a terminal."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def test_the_overview_fits_a_screen_and_names_commands_and_presets(capsys):
    for words in [], ["--help"], ["help"], ["--help-all"]:
        assert main(words) == 0
        text = capsys.readouterr().out
        lines = text.splitlines()
        assert len(lines) <= 50 and max(map(len, lines)) <= 100 and "example" in text
        assert all(re.search(rf"^  {name} +\w", text, re.M) for name in [*COMMANDS, *known_presets()])
    assert presets() == known_presets()


def test_the_overview_needs_no_pytorch():
    code = (
        "import sys; from scripts.cli import main as w; from scripts.generative.cli import main as g; "
        "w(['--help']); g(['--help']); assert not {'torch', 'ray', 'matplotlib', 'worldmodels'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_settings_that_people_change_are_fields():
    config = preset("default")
    for name, said in SETTINGS.items():
        assert attrgetter(name)(config) is not None and said
    for command, sections in SECTIONS.items():
        assert all(hasattr(config, name) for name in sections), command
        assert list(settings(command)) == [name for name in SETTINGS if name in settings(command)]
    for short in SHORT.values():
        attrgetter(short.removeprefix("--").replace("-", "_"))(config)
    assert {section for name in SETTINGS for section in [name.partition(".")[0]]} == {*SECTIONS["run"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_two_screens_and_says_each_setting_in_a_line(command, capsys):
    text = shown(capsys, command, "--help")
    lines = text.splitlines()
    assert len(lines) <= 60 and max(map(len, lines)) <= 100
    assert lines[0].startswith(f"usage: worldmodels {command}") and lines[2][:1].isupper() and lines[2][-1] == "."
    assert "--help-all" in lines[-1]
    for name in settings(command) if command in SECTIONS else ():
        (line,) = [line for line in lines if line.startswith(f"  --{name.replace('_', '-')} ")]
        assert SETTINGS[name].split(",")[0][:30] in line


def leaves(config, prefix=""):
    for each in fields(config):
        value = getattr(config, each.name)
        yield from leaves(value, f"{prefix}{each.name}.") if is_dataclass(value) else [f"{prefix}{each.name}"]


@pytest.mark.parametrize("command", SECTIONS)
def test_help_all_names_every_field(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = shown(capsys, command, "--preset", "toy", "--help-all")
    names = [name for name in leaves(preset("toy")) if name.partition(".")[0] in SECTIONS[command]]
    assert len(names) >= len(settings(command))
    missing = [name for name in names if not re.search(rf"--{name.replace('_', '-')}\b", text)]
    assert not missing


def test_help_of_study_shows_a_file(capsys, tmp_path):
    text = shown(capsys, "study", "--help")
    (tmp_path / "study.yaml").write_text(textwrap.dedent(text[text.index("  preset:") : text.index("On a cluster")]))
    assert [cell.name for cell in read_study(tmp_path / "study.yaml").expand()] == ["mdn-rnn"] * 3 + ["lstm"] * 3


def test_help_shows_the_values_that_a_run_would_have(capsys):
    def values(*words):
        return dict(
            line.split()[:2] for line in shown(capsys, *words, "--help").splitlines() if line.startswith("  --")
        )

    quick, toy = values("evolve", "--preset", "quick"), values("evolve", "--preset", "toy")
    assert quick["--evolve.optimiser.population"] == str(preset("quick").evolve.optimiser.population)
    assert toy["--evolve.optimiser.population"] == str(preset("toy").evolve.optimiser.population)
    lstm = values("train-memory", "--memory.type", "lstm")
    assert lstm["--memory.type"] == "lstm" and "--memory.options.mixtures" not in lstm
    assert "--memory.options.mixtures" in values("train-memory")


@pytest.mark.parametrize(
    ("given", "value"), [("True", True), ("yes", True), ("on", True), ("no", False), ("FALSE", False)]
)
def test_yes_and_no_are_understood(given, value):
    assert parse("evaluate", ["--preset", "toy", "--evaluate.baseline", given]).config.evaluate.baseline is value
    with pytest.raises(UsageError, match=r"--evaluate.baseline: maybe is neither True nor False"):
        parse("evaluate", ["--preset", "toy", "--evaluate.baseline", "maybe"])


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("worldmodels ")


@pytest.mark.slow
def test_dry_run_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("worldmodels.run.rates.BUDGET", 0.02)
    assert main(["run", str(tmp_path / "r"), "--preset", "toy", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "collect" in text and "in all" in text and "frames" in text
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("others", [0.0, 1.5])
def test_dry_run_tells_of_a_busy_machine(tmp_path, capsys, monkeypatch, others):
    monkeypatch.setattr("worldmodels.run.rates.BUDGET", 0.02)
    monkeypatch.setattr("worldmodels.run.other_work.OtherWork.cores", lambda self: others)
    for module in ("scripts.terminal.dry_run", "worldmodels.run.other_work"):
        monkeypatch.setattr(f"{module}.usable_cores", lambda: 2)
    monkeypatch.setattr("scripts.terminal.dry_run.available_cores", lambda: 2)
    assert main(["run", str(tmp_path / "r"), "--preset", "toy", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert ("Other work takes 1.5 of 2 cores now" in text) == (others > 0)
    assert ("1.8 times as long" in text) == (others > 0)


@pytest.mark.slow
def test_dry_run_adds_up_the_rounds_of_a_loop(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("worldmodels.run.rates.BUDGET", 0.02)
    more = ["--world", "dream", "--loop.rounds", "3", "--loop.later.collect.episodes", "7"]
    more += ["--loop.later.evolve.generations", "20"]
    more += ["--evolve.validation.top-k", "3", "--evolve.validation.top-k-tracks", "5"]
    assert main(["loop", str(tmp_path / "r"), "--preset", "toy", *more, "--dry-run"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("loop"))
    # 24 and twice 7 episodes of 50 frames; validation of 8 tracks twice, then 7 times a round; the top 3 on 5 tracks
    assert int(line.split()[1].replace(",", "")) == 50 * (24 + 2 * 7 + 8 * (2 + 7 + 7) + 3 * 5)
    assert not (tmp_path / "r").exists()


def test_a_changed_configuration_is_refused_with_the_difference(tmp_path, small, capsys):
    assert main(["collect", str(tmp_path / "r"), "--config", str(small)]) == 0
    assert main(["collect", str(tmp_path / "r"), "--collect.episodes", "13"]) == 1
    message = capsys.readouterr().err
    assert "collect.episodes: 12 -> 13" in message and "start a new run" in message
    assert main(["collect", str(tmp_path / "r")]) == 0  # as it was made


def test_stages_ask_for_what_they_need(tmp_path, small, capsys):
    assert main(["train-memory", str(tmp_path / "r"), "--config", str(small)]) == 1
    assert "worldmodels collect" in capsys.readouterr().err


@pytest.mark.slow
def test_agents_of_another_environment_are_refused(tmp_path, trained, small, capsys):
    from scripts.stages import evolve

    list(evolve(trained))
    words = ["collect", str(tmp_path / "other"), "--config", str(small), "--collect.policies", "agent",
             "--collect.agent", str(trained.path), "--env.size", "48", "--env.options.size", "48"]  # fmt: skip
    assert main(words) == 1
    assert "this run is about" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["truncated", "foreign", "missing"])
def test_damaged_parts_are_named(trained, capsys, damage):
    weights = trained.folder("train-vision") / "model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "foreign":
        weights.write_bytes((trained.folder("train-memory") / "model.safetensors").read_bytes())
    else:
        weights.unlink()
    assert main(["evolve", str(trained.path)]) == 1
    message = capsys.readouterr().err
    assert "model.safetensors" in message and "Traceback" not in message


@pytest.mark.slow
def test_a_full_disk_keeps_whole_episodes(tmp_path, small, monkeypatch, capsys):
    stage = sys.modules[collect.__module__]

    written = []
    original = stage.write_episode

    def fills_up(path, content):
        if len(written) == 5:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        original(path, content)

    monkeypatch.setattr(stage, "write_episode", fills_up)
    folder = tmp_path / "r"
    assert main(["collect", str(folder), "--config", str(small)]) == 1
    message = capsys.readouterr().err
    assert "No space left" in message and "kept" in message
    assert len(list((folder / "rollouts").glob("episode_*.zip"))) == 5
    monkeypatch.setattr(stage, "write_episode", original)
    assert main(["collect", str(folder), "--config", str(small)]) == 0
    assert Run(folder).done("collect")["episodes"] == 12


@pytest.mark.slow
def test_a_collection_taken_up_again_records_the_same_episodes(tmp_path, small):
    for name in ("whole", "resumed"):
        assert main(["collect", str(tmp_path / name), "--config", str(small)]) == 0
    rollouts = tmp_path / "resumed" / "rollouts"
    for path in [rollouts / "done.json", *sorted(rollouts.glob("episode_*.zip"))[3::2]]:
        path.unlink()
    assert main(["collect", str(tmp_path / "resumed"), "--config", str(small)]) == 0
    for path in sorted(rollouts.glob("episode_*.zip")):
        assert path.read_bytes() == (tmp_path / "whole" / "rollouts" / path.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "sign", "told", "code"),
    [("collect", "episode_000001.zip", signal.SIGINT, 130), ("train-vision", "vision/checkpoints", signal.SIGINT, 130),
     ("train-memory", "memory/checkpoints", signal.SIGINT, 130), ("evolve", "generations.jsonl", signal.SIGINT, 130),
     ("evolve", "generations.jsonl", signal.SIGTERM, 143), ("evolve", "generations.jsonl", signal.SIGHUP, 129)],
)  # fmt: skip
def test_a_stopped_command_says_so_once_and_keeps_what_it_did(trained, tmp_path, stage, sign, told, code):
    long = small_config(
        collect={"episodes": 200},
        vision={"fit": {"steps": 2_000}},
        memory={"fit": {"steps": 2_000}},
        evolve={"generations": 10_000},
    )
    folder, stages = trained.path, ["collect", "train-vision", "train-memory", "evolve"]
    before = stages[: stages.index(stage)]
    for name in {"collect", "train-vision", "train-memory"} - {*before}:
        shutil.rmtree(trained.folder(name))
    write_config(tmp_path / "long.yaml", small_config(**_only(long, stage)) if before else long)
    spent = (folder / "spent.jsonl").read_text().splitlines(keepends=True)
    (folder / "spent.jsonl").write_text("".join(spent[: len(before)]))
    said = tmp_path / "said.txt"
    process = started([stage, str(folder), "--config", str(tmp_path / "long.yaml")], said)
    deadline = time.monotonic() + 240  # the machine may be busy with other tests
    while not any(folder.glob(f"**/{sign}")) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, told)
    process.join(240)
    message = said.read_text()
    assert process.exitcode == code, message
    assert "interrupted" in message and "Traceback" not in message
    assert [line["stage"] for line in read_lines(folder / "spent.jsonl")] == [*before, stage]
    assert not list(folder.rglob("*.tmp")) and not list(folder.rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("console", ["scripts.cli", "scripts.generative.cli"])
@pytest.mark.parametrize("command", [[], ["report"]])
def test_a_reader_that_leaves_ends_a_command_quietly(console, command):
    words = [sys.executable, "-c", f"from {console} import entry; entry()", *command, "--help-all"]
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as unread:
        done = subprocess.run(words, stdout=unread, stderr=subprocess.PIPE, timeout=60)
    assert (done.stderr, done.returncode) == (b"", 128 + signal.SIGPIPE)


def _only(config, stage):
    """The long settings of one stage, so that the stages before it are short."""
    from worldmodels.config import config_mapping

    section = {"train-vision": "vision", "train-memory": "memory", "evolve": "evolve"}[stage]
    return {section: config_mapping(config)[section]}


def test_every_field_can_be_set_where_it_acts(tmp_path):
    """What a run has, `run` can set; what a stage does not read, its command refuses."""
    assert {each.name for each in fields(RunConfig)} - {"preset"} == set(SECTIONS["run"])
    words = [str(tmp_path / "run"), "--preset", "toy", "--dtype", "float32"]
    for command in ("run", "evolve", "loop"):
        assert parse(command, words).config.dtype == "float32"
    with pytest.raises(UsageError, match=r"dream\.horizon"):
        parse("train-memory", [str(tmp_path / "run"), "--preset", "toy", "--dream.horizon", "20"])
