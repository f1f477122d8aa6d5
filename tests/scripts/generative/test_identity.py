"""The data are a part of a run's identity, and what needs none asks for none."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml

from generative import ComponentError
from generative.runs.run_folder import Choice, TrainingRun
from scripts.generative.cli import main
from tests.scripts.generative.small import finished

OPTIONS = [
    *("--data.height", "16", "--data.width", "16", "--model.latent", "4", "--model.width", "8", "--fit.steps", "4"),
    *("--fit.warmup", "0", "--show-every", "9", "--shown", "4", "--batch", "4"),
    *("--device", "cpu"),
]


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """The working directory, with a folder of pictures `mine`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number in range(30):
        cv2.imwrite(str(tmp_path / "mine" / f"{number:02}.png"), picture(number))
    (tmp_path / "mine" / "notes.txt").write_text("of the pictures")
    return tmp_path


def train(*more, model="vae"):
    return main(["train", model, "--data", "folder", "--data.path", "mine", *OPTIONS, "--out", "run", *more])


@pytest.mark.slow
def test_the_command_the_folder_and_the_page_say_what_was_used(pictures, capsys):
    assert train() == 0
    said = "30 of 31 files used; left out: no pictures: 1 (notes.txt)"
    assert f"data: {said}" in capsys.readouterr().out
    run = TrainingRun("runs/generative/run")
    facts = json.loads((run.path / "data.json").read_text())
    assert facts["lines"] == [said] and len(facts["files"]) == 30
    assert facts["training"] + facts["held_out"] == 30 and facts["fields"]["image"]["shape"] == [16, 16, 3]
    assert said in (run.path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_changed_data_are_refused_wherever_they_are_read_and_nothing_is_lost(pictures, capsys):
    assert train() == 0
    before = (pictures / "runs/generative/run/model/model.safetensors").read_bytes()
    (pictures / "mine" / "03.png").unlink()
    cv2.imwrite(str(pictures / "mine" / "00a.png"), picture(99))
    cv2.imwrite(str(pictures / "mine" / "07.png"), picture(98))
    changes = "1 (00a.png) added, 1 (03.png) removed, 1 (07.png) changed"
    for words in (["reconstruct", "run"], ["evaluate", "run"], ["diagnose", "run"], ["train", "--out", "run"]):
        capsys.readouterr()
        assert main(words) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and changes in said and "restore the files" in said
    assert train() == 1 and changes in capsys.readouterr().err
    assert (pictures / "runs/generative/run/model/model.safetensors").read_bytes() == before
    assert main(["sample", "run"]) == 0


def test_a_training_that_was_stopped_does_not_go_on_with_other_data(pictures):
    from scripts.generative.data.data_sets import load
    from scripts.generative.runs.assembly import begin
    from scripts.generative.train import train as stages
    from tests.scripts.generative.small import config

    chosen = config("vae", Choice("folder", {"path": "mine", "height": 16, "width": 16}))
    run = begin(pictures / "run", chosen, load(chosen.data))
    stream = stages(run)
    next(stream)
    stream.close()
    cv2.imwrite(str(pictures / "mine" / "more.png"), picture(99))
    with pytest.raises(ComponentError, match=r"1 \(more.png\) added"):
        next(stages(TrainingRun(pictures / "run")))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae", "dcgan"])
def test_what_needs_no_data_asks_for_none(pictures, capsys, model):
    assert train(model=model) == 0
    shutil.rmtree(pictures / "mine")
    views = [["show", "run", *words] for words in ([], ["interpolation"], ["morph", "--frames", "1"], ["traversal"])]
    for words in (["sample", "run"], *views, ["report", "run"]):
        assert main(words) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert main(["evaluate", "run"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "mine: no such file or folder" in said and "--data.path NEW" in said


@pytest.mark.slow
def test_starts_kept_are_those_that_the_data_give(tmp_path):
    """Interpolations are what they were when the images themselves were asked for."""
    import torch

    from scripts.generative.runs.assembly import open_run
    from scripts.generative.runs.items import codes
    from scripts.generative.runs.kept_codes import starts

    for model in ("vae", "conditional-vae", "conditional-gan"):
        run = finished(tmp_path / model, model)
        module, data = open_run(run)
        kept, asked = starts(run, module, 9, 3, "show morph"), codes(module, data, 9, 3)
        torch.testing.assert_close(kept.values, asked.values, rtol=1e-4, atol=1e-5)
        assert len(kept.condition) == len(asked.condition) == (model != "vae")
        assert all(torch.equal(*pair) for pair in zip(kept.condition, asked.condition, strict=True))


def test_points_and_rows_draw_themselves(tmp_path):
    from scripts.generative import sample, show

    for model in ("toy-distribution", "multinomial"):
        run = finished(tmp_path / model, model)
        assert "samples: " in sample.main(run, sample.SampleOptions(count=4))[0]
        with pytest.raises(ComponentError):
            show.main(run, show.ShowOptions("morph"))


def test_paths_mean_the_same_in_every_folder(pictures, monkeypatch):
    assert train() == 0
    config = yaml.safe_load((pictures / "runs/generative/run/config.yaml").read_text())
    assert config["data"]["options"]["path"] == str(pictures / "mine")
    (pictures / "elsewhere").mkdir()
    monkeypatch.chdir(pictures / "elsewhere")
    assert main(["reconstruct", "../runs/generative/run"]) == 0


@pytest.mark.slow
def test_moved_data_are_named_anew_as_long_as_they_are_the_same(pictures, capsys):
    assert train() == 0
    shutil.move(pictures / "mine", pictures / "moved")
    assert main(["train", "--out", "run", "--data.path", "moved"]) == 0
    assert TrainingRun("runs/generative/run").config.data.options["path"] == str(pictures / "moved")
    assert main(["reconstruct", "run"]) == 0
    shutil.copytree(pictures / "moved", pictures / "others")
    (pictures / "others" / "05.png").unlink()
    capsys.readouterr()
    assert main(["train", "--out", "run", "--data.path", "others"]) == 1
    assert "1 (05.png) removed" in capsys.readouterr().err
    assert TrainingRun("runs/generative/run").config.data.options["path"] == str(pictures / "moved")


@pytest.mark.parametrize("damage", [None, "", "{}", "[]"])
def test_a_run_without_its_record_of_data_is_refused(tmp_path, damage):
    run = finished(tmp_path / "run")
    (run.path / "data.json").unlink()
    if damage is not None:
        (run.path / "data.json").write_text(damage)
    from scripts.generative import sample

    with pytest.raises(ComponentError, match="train anew with --out"):
        sample.main(run, sample.SampleOptions())
    with pytest.raises(ComponentError, match="train anew with --out"):
        finished(tmp_path / "run")


def test_files_of_every_kind_of_data_are_part_of_the_identity(tmp_path):
    import struct

    from scripts.generative.data.data_sets import load, path_options

    images = np.stack([picture(number) for number in range(20)])
    np.save(tmp_path / "mine.npy", images)
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, 20, 16, 16) + images[..., 0].tobytes()
    (tmp_path / "mine.idx").write_bytes(content)
    records = np.random.default_rng(0).integers(0, 10, (6, 1 + 3072), np.uint8)
    for number, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        records[number].tofile(tmp_path / name)
    for choice, count in (
        (Choice("arrays", {"path": str(tmp_path / "mine.npy")}), 1),
        (Choice("idx", {"path": str(tmp_path / "mine.idx")}), 1),
        (Choice("cifar", {"path": str(tmp_path)}), 6),
    ):
        origin = load(choice).origin
        assert len(origin.files) == count and all(len(digest) == 64 for digest in origin.files.values())
        assert "path" in path_options(choice.type) and origin.lines()[0].startswith(f"{origin.used} of {origin.used} ")
    assert path_options("faces") == () and load(Choice("faces", {"size": 16})).origin.lines() == []
