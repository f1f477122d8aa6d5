"""The files of docs/cluster, by a dry run: what they call exists, with these options, at these versions."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from ray.scripts.scripts import start as ray_start

from scripts.terminal.request import parse
from tests.test_readme import ROOT
from worldmodels import __version__

FOLDER = ROOT / "docs" / "cluster"
CONSTRAINTS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
RAY_OPTIONS = {name for parameter in ray_start.params for name in parameter.opts}
STUBS = {
    "scontrol": "seq -f n%g 1 50000",  # more than fits into a pipe of which only the first line is read
    "hostname": "echo 10.0.0.1 fe80::1",
    "srun": 'echo "srun $*" >> $LOG\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"',
    ".venv/bin/ray": 'echo "ray $*" >> $LOG',
    ".venv/bin/worldmodels": 'echo "worldmodels $*" >> $LOG',
}
"""What the script finds in place of SLURM, Ray and us: each notes how it was called."""


def understood(line):
    """Have our own parser, or Ray's list of options, read a command."""
    program, *words = shlex.split(line)
    if program == "worldmodels":
        return parse(words[0], words[1:])
    assert program == "ray" and words[0] in ("start", "get-auth-token")
    if words[0] == "start":
        assert {word.split("=")[0] for word in words[1:]} <= RAY_OPTIONS
    return None


@pytest.mark.parametrize("nodes", [1, 3])
def test_slurm_starts_ray_on_every_machine_and_the_run_on_the_first(tmp_path, nodes):
    for name, text in STUBS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    given = {"SLURM_JOB_NODELIST": "n[1-3]", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16",
             "SLURM_JOB_NUM_NODES": str(nodes), "RAY_HEAD_SECONDS": "0.1", "LOG": str(tmp_path / "log"),
             "HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}  # fmt: skip
    script = FOLDER / "slurm.sh"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    done = subprocess.run(
        ["bash", script, "quick"], cwd=tmp_path, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "log").read_text().splitlines()
    called = [line for line in told if not line.startswith("srun")]
    for line in called:
        request = understood(line)
    assert called[-1] == "worldmodels run --preset quick --executor.address 10.0.0.1:20007"
    assert request.config.executor.address == "10.0.0.1:20007"
    heads = [line for line in called if "--head" in line]
    others = [line for line in called if line.startswith("ray start --block --address=10.0.0.1:20007")]
    assert len(heads) == 1 and "--node-ip-address=10.0.0.1 --port=20007 --num-cpus=16" in heads[0]
    assert len(others) == (nodes > 1) and any(f"--nodes={nodes - 1}" in line for line in told) == (nodes > 1)


def test_kuberay_runs_our_image_with_the_ray_that_it_holds():
    job, claim = yaml.safe_load_all((FOLDER / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == CONSTRAINTS["ray"] and cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert {f"--{name}" for name in group["rayStartParams"]} <= RAY_OPTIONS
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == f"worldmodels:{__version__}"
    mounts = groups[0]["template"]["spec"]["containers"][0]["volumeMounts"]
    volumes = groups[0]["template"]["spec"]["volumes"]
    assert [mount["name"] for mount in mounts] == [volume["name"] for volume in volumes]
    assert volumes[0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    bash, option, command = shlex.split(job["spec"]["entrypoint"])
    assert (bash, option) == ("bash", "-c")
    request = understood(command.replace("$(hostname -i)", "10.0.0.1"))
    assert str(request.run).startswith(mounts[0]["mountPath"]) and request.config.executor.address == "10.0.0.1:6379"


def test_the_image_holds_all_packages_at_the_tested_versions():
    text = (FOLDER / "Dockerfile").read_text()
    assert f"torch=={CONSTRAINTS['torch']}" in text and f"-t worldmodels:{__version__}" in text
    copied = {word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    setup = (ROOT / "setup.cfg").read_text()
    packages = re.search(r"include = (.+)", setup)[1].replace("*", "").split(", ")
    assert set(packages) <= copied and {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= copied
    python = re.search(r"^FROM python:(\d+\.\d+)", text, re.MULTILINE)[1]
    assert f'python-version: "{python}"' in (Path(ROOT) / ".github" / "workflows" / "ci.yml").read_text()
    assert text.index("USER driver") < text.index("CMD")
