import json
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import cv2
import pytest
import yaml
from PIL import Image

from generative import MODELS
from generative.runs.run_folder import TrainingRun, preset_names
from scripts.generative.cli import main
from scripts.generative.runs.request import COMMANDS, parse_train

TINY = [
    *("--data", "shapes", "--data.size", "16", "--data.channels", "1", "--data.count", "600", "--model.latent", "4"),
    *("--model.width", "8", "--fit.steps", "20", "--fit.warmup", "2", "--show-every", "10"),
    *("--shown", "16", "--batch", "16", "--device", "cpu"),
]
PLAIN = ("--model.beta", "1", "--model.edges", "0")
MODULES = {"list": "catalogue"}
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["tarin", "vae"], "did you mean `train`", 2),
        (["train"], "name the model", 2),
        (["train", "vea"], "did you mean 'vae'", 1),
        (["train", "vae", "--data", "fases"], "did you mean 'faces'", 1),
        (["train", "vae", "--preset", "fsat"], "did you mean 'fast'", 1),
        (["train", "vae", "--data"], "--data needs a value", 2),
        (["train", "vae", "--data", "folder"], "folder needs --data.path", 2),
        (["train", "vae", "--data", "car-racing"], "car-racing needs --data.run", 2),
        (["train", "vae", "--data", "car-racing", "--data.run", "nowhere"], "holds no episodes", 1),
        (["train", "vae", "--data", "ring"], "vae needs the field 'image', and the data has point, label", 1),
        (["train", "vae", "--data.size", "17"], "image_size=17", 1),
        (["sample"], "name the run", 2),
        (["sample", "nothing"], "no run folder", 1),
        (["table", "--models", "vea"], "did you mean 'vae'", 1),
    ],
)
def test_what_cannot_be_done_says_why_in_one_line(words, message, code, capsys):
    assert main(words) == code
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said and said.startswith("generative")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vae", "--data", "digits", "--data.size", "16", "--model.image_size", "32"], "the data has image_size=16"),
        (["vae", "--data", "digits", "--data.size", "16", "--batch", "5000"], "batch=5000: the data has 1618 items"),
        (
            ["conditional-vae", "--data", "arrays", "--data.path", "wide.npy"],
            "takes square images, and these have 16 x 32",
        ),
        (["wgan", "--data", "shapes", "--data.size", "16", "--data.count", "100", "--batch", "8"], "step 1: loss"),
    ],
)
def test_a_training_that_fails_leaves_no_folder(words, message, capsys, monkeypatch, tmp_path):
    import numpy as np

    from generative import TrainingDiverged

    def diverge(*arguments):
        raise TrainingDiverged("step 1: loss nan")

    np.save(tmp_path / "wide.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 32, 1), dtype=np.uint8))
    monkeypatch.setattr("scripts.generative.train._fit", diverge)
    assert main(["train", *words]) == 1
    assert message in capsys.readouterr().err and not list(tmp_path.glob("runs/generative/*"))


@pytest.mark.parametrize(
    "words", [["--model.latnt", "3"], ["--data.sise", "3"], ["--batch", "many"], ["--fit.stps", "1"]]
)
def test_a_wrong_option_is_named(words, capsys):
    assert main(["train", "vae", *words]) == 2
    said = capsys.readouterr().err
    assert words[0].split(".")[-1].strip("-") in said and said.count("\n") == 1


def shown(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert "--help-all" in words or (len(lines) <= 60 and max(map(len, lines)) <= 100)
    return lines


def test_the_overview_fits_a_screen(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    lines = shown(capsys, command, "--help")
    assert lines[0].startswith(f"usage: generative {command}") and COMMANDS[command][1:20] in lines[2]
    assert "--help-all" in lines[-1]
    if command == "train":
        return
    module = import_module(f"scripts.generative.{MODULES.get(command, command)}")
    for each in fields(get_type_hints(module.main)["options"]):
        if each.name in ("view", "content", "style"):  # stand behind the command
            continue
        assert any(line.startswith(f"  --{each.name.replace('_', '-')} ") for line in lines), each.name
        assert any(f"--{each.name.replace('_', '-')}" in line for line in shown(capsys, command, "--help-all"))


@pytest.mark.parametrize("model", MODELS.names())
def test_help_of_train_shows_every_option_of_the_model_in_a_line(model, capsys):
    lines = shown(capsys, "train", model, *([] if preset_names(model) else ["--data", "faces"]), "--help")
    for each in fields(MODELS.config_class(model)):
        (line,) = [line for line in lines if line.startswith(f"  --model.{each.name.replace('_', '-')} ")]
        assert len(line.split()) > 2, line


def test_help_of_train_shows_the_options_of_the_model_and_the_data(capsys):
    with pytest.raises(SystemExit):
        main(["train", "vae", "--data", "shapes", "--help"])
    said = capsys.readouterr().out
    assert "--model.latent" in said and "--data.shapes" in said and "--fit.learning-rate" in said


def test_options_of_the_command_line_go_over_those_of_the_preset():
    path, config, _ = parse_train(
        [
            "vae",
            "--data.size",
            "48",
            "--data.hair-styles",
            "bald",
            "long",
            "--model.beta",
            "0.5",
            "--seed=3",
            "--out",
            "x",
        ]
    )
    assert path.parts == ("runs", "generative", "x") and config.preset == "fast" and config.seed == 3
    assert config.data.options["size"] == 48 and config.data.options["hair_styles"] == ["bald", "long"]
    assert config.model.options["beta"] == 0.5 and config.model.options["image_size"] == 48
    assert config.model.options["width"] == 48  # the preset's
    assert parse_train(["autoencoder", "--preset", "book"])[1].model.options["latent"] == 2


def test_other_data_bring_their_own_sizes_and_classes():
    _, config, _ = parse_train(["conditional-vae", "--data", "faces", "--data.size", "32"])
    options = config.model.options
    assert (options["image_size"], options["channels"], options["classes"]) == (32, 3, 5)


def test_list_names_models_presets_data_and_metrics(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for word in ("wgan-gp", "--preset book", "car-racing", "faces", "precision"):
        assert word in said
    vae, convolutions = (re.search(rf"^  {name} +(.*)$", said, re.M)[1] for name in ("vae", "random-convolutions"))
    assert "sample" in vae and "sample" not in convolutions


@pytest.mark.slow
def test_models_and_data_are_listed_without_what_takes_long_to_import():
    heavy = ("sklearn", "scipy", "matplotlib", "torchmetrics", "torchvision", "ray")
    code = (
        "import sys; from scripts.generative.catalogue import data_sets, models; "
        "print(*models(), *data_sets(), sep='\\n'); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    *lines, imported = said.stdout.splitlines()
    assert imported == "[]"
    assert all(len(line.split(maxsplit=1)[1]) > 5 for line in lines if not line.startswith("    "))


@pytest.mark.slow
def test_from_training_to_the_report(capsys):
    assert main(["train", "vae", *TINY, *PLAIN, "--out", "tiny"]) == 0
    run = TrainingRun("runs/generative/tiny")
    assert yaml.safe_load((run.path / "config.yaml").read_text())["model"]["options"]["image_size"] == 16
    for words in (
        ["sample", "tiny", "--count", "6", "--columns", "3", "--out", "drawn.png"],
        ["reconstruct", "tiny", "--count", "5"],
        ["show", "tiny", "interpolation", "--pairs", "2", "--steps", "4"],
        ["show", "tiny", "morph", "--keys", "3", "--frames", "2"],
        ["show", "tiny", "traversal", "--most", "3", "--steps", "5"],
        ["attribute", "tiny", "--attribute", "size", "--no-judge", "--images", "60"],
        ["evaluate", "tiny", "--samples", "100"],
        ["diagnose", "tiny", "--samples", "100"],
        ["report", "tiny"],
    ):
        assert main(words) == 0, capsys.readouterr().err
    assert cv2.imread("drawn.png").shape == (2 * 48 + 2, 3 * 48 + 2 * 2, 3)
    assert cv2.imread(str(run.path / "pictures" / "reconstructions.png")).shape == (2 * 48 + 2, 5 * 48 + 4 * 2, 3)
    assert cv2.imread(str(run.path / "pictures" / "interpolation.png")).shape[0] == 4 * 48 + 3 * 2
    assert cv2.imread(str(run.path / "pictures" / "traversal.png")).shape[0] == 3 * 48 + 2 * 2
    with Image.open(run.path / "pictures" / "morph.gif") as gif:
        assert gif.n_frames == 6
    page = (run.path / "report" / "index.html").read_text()
    figures = json.loads((run.path / "evaluation.json").read_text())["figures"]
    assert {row["name"] for row in figures} >= {
        "FD[judge-shapes]",
        "FD[random-convolutions]",
        "MSE",
        "MIG",
        "active-units",
    }
    assert all(row["name"].split("[")[0] in page for row in figures) and "random-convolutions:" in page
    assert page.count("data:image/png") >= 2 + 1 + 4 and "data:image/gif" in page and "<svg" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


@pytest.mark.slow
def test_train_again_by_its_folder_goes_on_and_other_settings_are_refused(capsys):
    assert main(["train", "vae", *TINY, *PLAIN, "--out", "tiny"]) == 0
    assert main(["train", "--out", "tiny"]) == 0
    assert "20 steps" in capsys.readouterr().out
    assert main(["train", "vae", *TINY, *PLAIN, "--out", "tiny", "--model.beta", "3"]) == 1
    assert "beta was 1.0, is 3.0" in capsys.readouterr().err


def test_a_model_says_what_it_cannot_do(capsys):
    assert main(["train", "random-convolutions", *TINY[:8], "--device", "cpu", "--out", "rc"]) == 0
    assert main(["sample", "rc"]) == 1
    assert "random-convolutions cannot `sample`" in capsys.readouterr().err
    assert main(["show", "rc"]) == 0 and "random-convolutions has no views" in capsys.readouterr().out
    with pytest.raises(SystemExit) as done:
        main(["show", "rc", "--help"])
    assert done.value.code == 0 and "generative show RUN VIEW" in capsys.readouterr().out
    assert main(["show", "rc", "morph"]) == 1
    assert "'morph': random-convolutions has no such view" in capsys.readouterr().err


@pytest.mark.slow
def test_a_gan_is_looked_at_between_latents_of_its_prior():
    words = [*TINY, "--batch", "8"]
    assert main(["train", "dcgan", *words, "--out", "gan"]) == 0
    assert main(["show", "gan", "interpolation", "--pairs", "1"]) == 0
    assert main(["show", "gan", "traversal", "--most", "2"]) == 0
    assert cv2.imread("runs/generative/gan/pictures/interpolation.png").std() > 1
