"""Imports point one way: scripts -> worldmodels -> {agents, envs, generative}."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "agents": {"agents"},
    "envs": {"envs"},
    "generative": {"generative"},
    "worldmodels": {"worldmodels", "agents", "envs", "generative"},
    "scripts": {"scripts", "worldmodels", "agents", "envs", "generative"},
}
OURS = set(MAY_IMPORT) | {"tests"}


def imported_packages(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found & OURS


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_down(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        upwards = imported_packages(path) - MAY_IMPORT[package]
        assert not upwards, f"{path.relative_to(ROOT)} imports {sorted(upwards)}"


def test_the_library_neither_prints_nor_parses():
    for package in ("agents", "envs", "generative", "worldmodels"):
        for path in (ROOT / package).rglob("*.py"):
            names = {
                node.func.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not names & {"print", "input", "exec", "eval"}, path
            assert "argparse" not in path.read_text() and "import pickle" not in path.read_text(), path
