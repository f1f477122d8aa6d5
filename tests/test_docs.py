"""What README and pages say is so: every command and example is carried out, and links, pictures and fields exist.

Fenced blocks say by their language what is done with them. `console`: carried out, in the order of the page, where any
preset is a small world that takes seconds, and numbers that cost time are small; pages of results are only understood
by the command's own parser; the shipped agent drives on the README alone. `yaml`: read as a configuration or a study.
`python`: carried out. `bash`: free of syntax errors, and our commands in it are understood.
"""

import copy
import dataclasses
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from envs import EnvConfig
from scripts.cli import main
from scripts.play import PlayRequest
from scripts.terminal.commands import COMMANDS
from scripts.terminal.parsing import parsed
from tests.small import tiny_config
from tests.test_readme import block
from worldmodels import RunConfig, known_presets, preset, read_config
from worldmodels.config import SWAPPABLE

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")] + sorted(DOCS.rglob("*.md"))
STUDIES = [file for file in sorted(DOCS.rglob("results/**/*.yaml")) if not file.stem.endswith("-remarks")]
EXAMPLES = [file for file in sorted((DOCS / "examples").glob("*.py")) if not file.with_suffix(".yaml").exists()]
"""Those that are carried out as they are; one with a configuration is what a command on a page runs."""
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COUNTS = re.compile(r"(population|tracks|controllers)(:? )\d+")
LESS = {
    "worldmodels evaluate pretrained": "--evaluate.tracks 2 --executor.type serial",
    "worldmodels benchmark": "--pairs 1 --seconds 0.05",
    "generative train pca": "--data.count 1200 --model.frames 256 --model.latent 8",
    "generative train vae --preset": "--batch 8 --fit.steps 4",
    "generative train vae --seed": "--data.count 1200 --batch 8 --fit.steps 4",
    "generative train cycle-gan --preset car-racing": "--data.tracks 2 --data.frames 1",
    "generative evaluate": "--samples 100",
    "generative diagnose": "--samples 100",
    "generative attribute": "--images 400 --no-judge",
}
"""What commands are given besides, where a small preset does not make them short."""
OF_OLD_NAMES = ("CHANGELOG.md", "dials.md")
"""Pages that say what settings were called before."""
PREPARED = ("toy", "quick", "mine", "serial")
"""Names of runs on pages; a finished one is there already, so that a command that would make it only says so."""


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page, *languages):
    return [(kind, text) for kind, text in FENCED.findall(page.read_text()) if kind in languages]


def commands(text, prefix=""):
    """Our commands in a block, as words; a line ends where no backslash stands."""
    lines = text.replace("\\\n", " ").replace("python3 -m venv .venv && ", "").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    named = [[*part[part.index("&&") + 1 :]] if "&&" in part else part for part in words]
    known = (f"{prefix}worldmodels", f"{prefix}generative")
    return [[part[0].removeprefix(prefix), *part[1:]] for part in named if part and part[0] in known]


def with_less(words):
    """The words of a command with those that make it short."""
    more = [word for start, options in LESS.items() if " ".join(words).startswith(start) for word in options.split()]
    return [*words, *more]


def understood(words):
    """Have a command's own parser read its words, on data that take no time to draw."""
    from scripts.generative.runs.request import parse_options, parse_train
    from scripts.terminal.request import parse

    program, command, *rest = words
    if program == "worldmodels":
        assert command in COMMANDS
        if command == "play":
            parsed(PlayRequest, rest, "worldmodels play", "")
        elif command != "benchmark":
            parse(command, rest)
    elif command == "train":
        rest = with_less(words)[2:]
        parse_train(["runs/toy" if word.startswith("runs/") else word for word in rest])  # frames that are there
    else:
        module = importlib.import_module(f"scripts.generative.{command}")
        parse_options(command, module.main, rest)


def carry_out(words):
    from scripts.generative.cli import main as generative

    return (main if words[0] == "worldmodels" else generative)(with_less(words)[1:])


@pytest.fixture(scope="module")
def finished(hasty_vision, tmp_path_factory):
    """A tiny run of which everything is finished."""
    from scripts.stages import STAGE_FUNCTIONS, stages_of
    from worldmodels import Run

    run = Run.create(tmp_path_factory.mktemp("finished") / "run", tiny_config())
    for stage in stages_of("run", run.config):
        for _ in STAGE_FUNCTIONS[stage](run):
            pass
    return run.path


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder to work in, where every preset is a small world, and no drive of the shipped agent is long."""

    def smaller(name):
        assert name in known_presets()
        return tiny_config()

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    whole = EnvConfig.limit
    monkeypatch.setattr(EnvConfig, "limit", property(lambda config: min(100, whole.fget(config))))
    importlib.import_module("scripts.study")  # what reads presets, or it would keep the small ones

    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("worldmodels", "scripts") and getattr(module, "preset", None) is preset:
            monkeypatch.setattr(module, "preset", smaller)
    return tmp_path


def prepare(folder, finished, page):
    """Copy the finished run to the names that a page speaks of, unless it collects there, and its examples' files."""
    made = [words for _, text in blocks(page, "console") for words in commands(text)]
    for name in set(PREPARED) - {words[2] for words in made if words[1] == "collect"}:
        shutil.copytree(finished, folder / "runs" / name)
    for file in (DOCS / "examples").glob("*.yaml"):
        shutil.copy(file, folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=name_of)
def test_commands(page, small, finished, capsys):
    prepare(small, finished, page)
    settings = ""
    for kind, text in blocks(page, "yaml", "console"):
        text = COUNTS.sub(r"\1\g<2>4", text)
        if kind == "yaml":
            settings = text.replace("[0, 1, 2]", "[0]")  # of a study, one seed
            continue
        for words in commands(text):
            for option in ("--config", "--file"):
                if option in words and not (small / words[words.index(option) + 1]).exists():
                    (small / words[words.index(option) + 1]).write_text(settings)
            if "results" in page.parts or ("pretrained" in words and page.name != "README.md"):
                understood(words)
            else:
                assert carry_out(words) == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=name_of)
def test_shell_commands_are_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _, text in blocks(page, "bash"):
        assert subprocess.run(["bash", "-n", "-c", text], check=False).returncode == 0, text
        plain = [words for words in commands(text) if words[0] == "worldmodels"]
        for words in commands(text, ".venv/bin/") + plain:
            understood(words)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=name_of)
def test_configurations_are_read(page, tmp_path):
    from worldmodels.study.file import read_study

    for number, (_, text) in enumerate(blocks(page, "yaml")):
        (tmp_path / f"{number}.yaml").write_text(text)
        read = read_study if "cells:" in text else read_config
        read(tmp_path / f"{number}.yaml")


def test_an_environment_of_ones_own_is_named_as_the_file_says(tmp_path):
    (tmp_path / "mine.yaml").write_text(block("own", (DOCS / "your-own-parts.md").read_text()))
    config = read_config(tmp_path / "mine.yaml")
    assert (config.env.id, config.env.max_steps, len(config.env.wrappers)) == ("my_package:Mine-v0", 500, 3)
    assert config.env.crop == (0, 0) and config.vision == preset("quick-real").vision


def test_an_example_with_a_configuration_is_run_on_a_page(small):
    """Where `test_commands` carries it out."""
    shown = [words for _, text in blocks(DOCS / "your-own-parts.md", "console") for words in commands(text)]
    for file in (DOCS / "examples").glob("*.yaml"):
        assert [words[1] for words in shown if file.name in words] == ["run"]
        assert read_config(file).env.id.startswith(f"{file.stem}:")


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=name_of)
def test_studies_of_the_results_are_read(study, small, finished):
    from worldmodels.study.file import read_study

    shutil.copytree(finished, small / "runs" / "quick" / "rounds" / "06")
    assert read_study(study).expand()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and page.name != "README.md"], ids=name_of
)
def test_python_on_pages(page, small, finished):
    """The README's own example is carried out in `test_readme`."""
    prepare(small, finished, page)
    for _, text in blocks(page, "python"):
        exec(compile(text, str(page), "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_examples(example, small, finished, monkeypatch, capsys):
    import runpy

    from worldmodels import open_run

    shutil.copytree(finished, small / "runs" / "quick")
    monkeypatch.setattr(sys, "argv", [str(example), "quick", *(["64"] if example.stem == "my_policy" else [])])
    for registry in SWAPPABLE.values():  # what an example adds is gone after it
        monkeypatch.setattr(registry, "_catalogue", copy.deepcopy(registry._catalogue))
    runpy.run_path(str(example), run_name="__main__")
    said = capsys.readouterr().out
    if example.stem == "my_controller":
        assert said.count("best return") == 3
    elif example.stem == "my_policy":
        assert "64 steps in the dream of quick: ppo.safetensors" in said
        for command in (
            "evaluate quick --evaluate.agent",
            "collect more --preset toy --collect.policies agent --collect.agent",
        ):
            assert main([*command.split(), "my_policy:driver"]) == 0
        assert open_run("quick").done("evaluate")["env"].endswith(" by my_policy:driver")
    else:
        (run,) = [open_run(path) for path in (small / "runs").iterdir() if path.name != "quick"]
        assert run.path.name in (run.config.vision.type, run.config.memory.type)
        assert run.done("evaluate")


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def anchors(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for target in targets:
        file, _, anchor = target.partition("#")
        found = page.parent / file if file else page
        assert found.exists(), f"{name_of(page)} leads to {target}"
        if anchor:
            assert anchor in anchors(found), f"{name_of(page)} leads to {target}"


def has_field(kind, names):
    """Whether a section's dataclass has a field, down to the options of a part."""
    if not names:
        return True
    for field in dataclasses.fields(kind):
        if field.name == names[0]:
            default = field.default_factory() if callable(field.default_factory) else field.default
            return not names[1:] or (dataclasses.is_dataclass(default) and has_field(default, names[1:]))
    return False


def settable(kind):
    """How many fields a section has, down to the options of its parts."""
    fields = [field.default_factory() if callable(field.default_factory) else field.default for field in kind]
    return sum(settable(dataclasses.fields(one)) if dataclasses.is_dataclass(one) else 1 for one in fields)


def test_the_page_of_dials_counts_the_fields():
    every = {field.name: settable([field]) for field in dataclasses.fields(RunConfig)}
    following = 5  # the page names them
    of_dreams = sum(every[name] for name in ("dream", "evolve", "loop", "collect"))
    said = re.search(
        r"There are (\d+) fields that .*; (\d+) are of `dream`", (DOCS / "dials.md").read_text(), re.DOTALL
    )
    assert [int(count) for count in said.groups()] == [sum(every.values()) - following, of_dreams]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OF_OLD_NAMES], ids=name_of)
def test_fields_exist(page):
    sections = [field.name for field in dataclasses.fields(RunConfig)]
    for name in re.findall(rf"`(?:--)?((?:{'|'.join(sections)})\.[a-z_.]+)\b", page.read_text()):
        if name.rpartition(".")[2] not in ("py", "md", "yaml", "csv", "webm", "png", "html"):
            assert has_field(RunConfig, name.split(".")), f"{name_of(page)} names {name}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in OF_OLD_NAMES], ids=name_of)
def test_words_are_those_of_the_field(page):
    text = page.read_text().lower()
    for word in ("innovation", "patience", "standstill", "tryout", "finalist", "wander", "from zeros", "held-uniform"):
        assert word not in text, f"{name_of(page)} says {word}; see docs/glossary.md"


def test_every_command_and_preset_is_on_its_page():
    from scripts.generative.runs.request import COMMANDS as GENERATIVE

    stages, generative = (DOCS / "stages.md").read_text(), (DOCS / "generative.md").read_text()
    for name in COMMANDS:
        assert f"| `worldmodels {name}" in stages
    for name in GENERATIVE:
        assert f"`generative {name}" in generative or f"`{name}`" in generative
    for name in known_presets():
        assert f"| `{name}` |" in (DOCS / "presets.md").read_text()


def test_every_component_is_on_its_page():
    from generative import MODELS

    parts = (DOCS / "your-own-parts.md").read_text()
    for registry in SWAPPABLE.values():
        for name in registry.names():
            assert f"`{name}`" in parts
    for name in MODELS.names():
        if name != "random-convolutions":  # of the vision alone
            assert f"`{name}`" in (DOCS / "generative.md").read_text()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) < 1000


def test_the_citation_names_this_version():
    from worldmodels import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["version"] == __version__
    assert citation["authors"] == [{"name": "The worldmodels authors"}]
    assert {"title", "message"} <= set(citation)


def test_the_workflow_calls_what_main_passes():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert {"run": ".ci/run"} in workflow["jobs"]["run"]["steps"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_what_is_checked_before_a_commit_is_checked_on_main():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    checked = (ROOT / ".ci" / "run").read_text()
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert entries == [".venv/bin/ruff check", ".venv/bin/ruff format --check", ".venv/bin/mypy"]
    assert repository["repo"] == "local" and all(entry in checked for entry in entries)
