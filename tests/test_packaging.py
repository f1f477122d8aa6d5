"""What a wheel holds, every file of the packages, and that it works where nothing else of the project is."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
import torch
from setuptools import find_packages

from generative.runs.versions import DISTRIBUTION

ROOT = Path(__file__).parent.parent


def test_a_wheel_holds_every_file_of_the_packages():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    include = [name.strip() for name in setup["options.packages.find"]["include"].split(",")]
    packages = find_packages(str(ROOT), include=include)
    assert {"worldmodels", "generative.models.diffusion", "scripts.terminal"} <= set(packages)
    assert not any(name.startswith("tests") for name in packages)
    data = {name: patterns.split(", ") for name, patterns in setup["options.package_data"].items()}
    held = {path for name in packages for path in (ROOT / name.replace(".", "/")).glob("*.py")}
    held |= {path for name, patterns in data.items() for one in patterns for path in _matching(name, one)}
    for top in sorted({name.split(".")[0] for name in packages}):
        files = {path for path in (ROOT / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        assert not files - held, f"setup.cfg does not pack {sorted(map(str, files - held))}"


def _matching(package: str, pattern: str) -> list[Path]:
    return list((ROOT / package.replace(".", "/")).glob(pattern))


PACKAGES = ("worldmodels", "generative", "agents", "envs", "scripts")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, f'build_{sys.argv[1]}')(sys.argv[2]))"


def _built(kind: str, source: Path, target: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(target)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.mark.long
@pytest.mark.slow
def test_what_is_built_works_in_an_environment_of_its_own(tmp_path):
    """The wheel of the source distribution, away from this folder; what it builds on is lent to it."""
    source = tmp_path / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    archive = _built("sdist", source, tmp_path)
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = _built("wheel", unpacked, tmp_path)
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    files = {path.relative_to(source).as_posix() for name in PACKAGES for path in (source / name).rglob("*")}
    assert held == {name for name in files if (source / name).is_file()}
    venv.create(tmp_path / "clean")
    python = tmp_path / "clean" / "bin" / "python"
    install = ["install", "-q", "--no-deps", "--no-index", str(wheel)]
    assert subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=False).returncode == 0
    lent = {**os.environ, "PYTHONPATH": str(Path(torch.__file__).parents[1]), "PYTHONSAFEPATH": "1"}
    check = "import scripts, worldmodels, generative.presets; print(worldmodels.__file__, scripts.__file__)"
    for command, expected in (
        ([python, "-c", check], str(tmp_path / "clean")),
        ([python.parent / "worldmodels", "info", "pretrained"], "110 generations"),
        ([python.parent / "generative", "list"], "pixel-cnn"),
    ):
        done = subprocess.run(command, cwd=tmp_path, env=lent, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr


def test_the_name_of_the_distribution_is_not_somebody_else_s():
    """`worldmodels` on PyPI is another project: no message and no page may have it installed."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["name"] == DISTRIBUTION == "worldmodels-dream"
    told = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    told += [path for name in ("worldmodels", "generative", "scripts") for path in (ROOT / name).rglob("*.py")]
    for path in told:
        assert not re.search(r"pip install '?worldmodels\b(?!-dream)", path.read_text()), path
