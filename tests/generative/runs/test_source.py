import importlib.metadata
import shutil
import subprocess
from pathlib import Path

import pytest

from generative.runs.source import UNKNOWN, commit
from generative.runs.versions import versions

ROOT = Path(__file__).parents[3]


def git(folder, *words):
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def packages(tmp_path):
    """A copy of two files of ours in a folder that belongs to nobody yet."""
    for name in ("worldmodels/version.py", "generative/runs/run_folder.py"):
        (tmp_path / "host" / "packages" / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / name, tmp_path / "host" / "packages" / name)
    return tmp_path / "host" / "packages"


def test_a_clone_of_ours_has_a_commit_that_tells_changed_files(packages):
    git(packages, "init", "-q")
    git(packages, "add", ".")
    git(packages, "commit", "-qm", "ours")
    head = git(packages, "rev-parse", "--short=12", "HEAD")
    assert commit(packages) == head
    (packages / "worldmodels" / "version.py").write_text("changed")
    assert commit(packages) == f"{head}-dirty"


def test_the_repository_around_an_installation_is_not_ours(packages):
    assert commit(packages) == UNKNOWN
    git(packages.parent, "init", "-q")
    git(packages.parent, "commit", "-q", "--allow-empty", "-m", "theirs")
    assert commit(packages) == UNKNOWN
    git(packages.parent, "add", ".")  # even one that keeps our files, as theirs
    git(packages.parent, "commit", "-qm", "theirs, with a copy of ours")
    assert commit(packages) == UNKNOWN


def test_packages_in_a_repository_that_does_not_keep_them_have_no_commit(packages):
    """As where `pip install --target .` put them at the top of somebody's project."""
    git(packages, "init", "-q")
    git(packages, "commit", "-q", "--allow-empty", "-m", "theirs")
    assert commit(packages) == UNKNOWN


def test_versions_tell_the_commit_and_what_is_installed():
    found = versions("torch", "no-such-package")
    assert found["commit"] == commit() and found["no-such-package"] == "missing"
    assert found["torch"].split("+")[0] == importlib.metadata.version("torch").split("+")[0]
    assert found["cores"] >= 1 and found["python"] and found["processor"]
