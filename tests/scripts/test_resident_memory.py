"""Memory stays flat as the number of episodes grows: each stage in its own process, its peak read from the kernel."""

import subprocess
import sys

import pytest

from tests.small import small_config
from worldmodels import Run

CODE = """
import resource, sys, torch
torch.set_num_threads(1)
from scripts.stages import collect, train_memory, train_vision
from tests.small import accept_every_vision
from worldmodels import Run
# The held-out sample is bounded by this many frames, which 50 episodes do not fill: that is no growth.
sys.modules["scripts.train_vision"].HELD_OUT_FRAMES = 64
accept_every_vision()
run = Run(sys.argv[1])
for _ in {"collect": collect, "train-vision": train_vision, "train-memory": train_memory}[sys.argv[2]](run): pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
EPISODES = (50, 500)
"""450 episodes more are some 50 MiB of frames."""


def config(episodes):
    return small_config(
        collect={"episodes": episodes, "policies": ["action-hold"]},
        vision={"buffer": 256, "fit": {"steps": 40}},
        memory={"fit": {"steps": 40}},
    )


def peak(run, stage):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(run.path), stage], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_resident_memory_does_not_grow_with_the_number_of_episodes(tmp_path):
    peaks = {"collect": [], "train-vision": [], "train-memory": []}
    for episodes in EPISODES:
        run = Run.create(tmp_path / str(episodes), config(episodes))
        for stage, found in peaks.items():
            found.append(peak(run, stage))
    for stage, (few, many) in peaks.items():
        assert many - few < 12, f"{stage}: {few:.0f} MiB for {EPISODES[0]} episodes, {many:.0f} for {EPISODES[1]}"
