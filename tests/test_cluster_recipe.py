"""The recipe of docs/cluster-gpu.md, to the letter, on two machines made of network and process namespaces.

No packet leaves this machine: each of the two has a loopback and one end of a virtual cable, and no way out.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.test_readme import ROOT, block
from worldmodels.config import config_from
from worldmodels.config_files import write_config

pytestmark = [pytest.mark.slow, pytest.mark.ray]
HEAD, NODE = "10.77.0.1", "10.77.0.2"

LAND = f"""
set -e
mount -t tmpfs tmpfs /run
ip netns add head
ip netns add node
ip link add cable netns head type veth peer name cable netns node
for machine in head:{HEAD} node:{NODE}; do
    ip -n ${{machine%:*}} addr add ${{machine#*:}}/24 dev cable
    ip -n ${{machine%:*}} link set cable up
    ip -n ${{machine%:*}} link set lo up
done
for machine in head node; do
    (cd $ROOM/$machine && HOME=$PWD RAY_TMPDIR=$PWD exec ip netns exec $machine \
        unshare -m -p -f -u --mount-proc bash -e ../$machine.sh) > $ROOM/$machine.txt 2>&1 &
done
wait %1
"""
"""The two machines, each with a home of its own; all of it ends with the first one's program."""

SCP = """#!/bin/bash -e
[ "$1" = -p ] && [[ "$2" == 10.77.0.1:* ]]
cp -p "$ROOM/head/${2#*:}" "$3"
"""
WAIT = "until [ -e $ROOM/{0} ]; do sleep 0.2; done\n"
COUNT = "import ray; ray.init(address='10.77.0.1:6379'); print(sum(node['Alive'] for node in ray.nodes()), 'machines')"


def allowed():
    """Whether we may make namespaces here."""
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return False
    command = "mount -t tmpfs tmpfs /run && ip netns add x && ip link add one type veth peer name two"
    command = ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "-u", "sh", "-c", command]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def written(name):
    """The page's commands, with this interpreter's folder in place of .venv/bin and an address for HEAD."""
    commands = block(name, (ROOT / "docs" / "cluster-gpu.md").read_text())
    commands = commands.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    return re.sub(r"\bHEAD\b", HEAD, commands)


@pytest.fixture
def room():
    folder = Path(tempfile.mkdtemp(prefix="wm-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.skipif(not allowed(), reason="needs the right to make network namespaces")
def test_two_machines_carry_out_a_run(room, trained):
    """Of a run whose networks are trained they do what is left: evolution, evaluation and the rest."""
    for name in ("head", "node", "bin"):
        (room / name).mkdir()
    (room / "bin" / "scp").write_text(SCP)
    (room / "bin" / "scp").chmod(0o755)
    shutil.copytree(trained.path, room / "head" / "runs" / "ours")
    write_config(room / "small.yaml", config_from({"executor": {"type": "ray"}}, trained.config))
    run = written("cluster-run")
    assert "--preset default" in run
    run = run.replace("--preset default", f"ours --config {room / 'small.yaml'}")
    (room / "head.sh").write_text(
        f'{written("cluster-head")}touch $ROOM/begun\n{WAIT.format("joined")}{run}{sys.executable} -c "{COUNT}"\n'
    )
    (room / "node.sh").write_text(f"{WAIT.format('begun')}{written('cluster-node')}touch $ROOM/joined\nsleep 1000\n")
    path = f"{room / 'bin'}:{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        ["unshare", "-n", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c", LAND],
        env={**kept, "ROOM": str(room), "PATH": path}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    told = {name: (room / f"{name}.txt").read_text() for name in ("head", "node")}
    assert done.returncode == 0, (done.stderr, told)
    assert "2 machines" in told["head"]
    assert "CPUs for" not in told["head"] and "going on" not in told["head"]
    assert (room / "head" / "runs" / "ours" / "evaluation" / "summary.json").exists()
    assert not (room / "node" / "runs").exists()
    for name in ("head", "node"):
        token = room / name / ".ray" / "auth_token"
        assert len(token.read_text().strip()) >= 32 and token.stat().st_mode & 0o077 == 0
