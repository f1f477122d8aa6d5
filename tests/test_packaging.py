"""What a wheel holds: every file of the packages, found by `setup.cfg`."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages

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
