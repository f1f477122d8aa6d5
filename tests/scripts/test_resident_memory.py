"""Memory stays flat as the number of episodes grows: each stage in its own process, its peak read from the kernel.

The processes are forks of one that has imported everything, which takes longer than a stage.
"""

import subprocess
import sys

import pytest

from tests.small import small_config
from worldmodels import Run

CODE = """
import os, resource, sys, torch, traceback
import matplotlib.pyplot, torch.utils.tensorboard
torch.set_num_threads(1)
from scripts.stages import collect, train_memory, train_vision
from tests.small import accept_every_vision
from worldmodels import Run
# The held-out sample is bounded by this many frames, which 30 episodes do not fill: that is no growth.
sys.modules["scripts.train_vision"].HELD_OUT_FRAMES = 64
accept_every_vision()
for stage in (collect, train_vision, train_memory):
    for folder in sys.argv[1:]:
        if os.fork() == 0:
            try:
                for _ in stage(Run(folder)): pass
                print(stage.__name__, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        os.wait()
"""
EPISODES = (30, 300)
"""270 episodes more are some 30 MiB of frames."""


def config(episodes):
    return small_config(
        collect={"episodes": episodes, "policies": ["action-hold"]},
        vision={"buffer": 256, "fit": {"steps": 40}},
        memory={"fit": {"steps": 40}},
    )


@pytest.mark.long
@pytest.mark.slow
def test_resident_memory_does_not_grow_with_the_number_of_episodes(tmp_path):
    runs = [str(Run.create(tmp_path / str(episodes), config(episodes)).path) for episodes in EPISODES]
    command = [sys.executable, "-c", CODE, *runs]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    peaks = {}
    for line in done.stdout.splitlines():
        stage, peak = line.split()
        peaks.setdefault(stage, []).append(float(peak))
    assert list(peaks) == ["collect", "train_vision", "train_memory"], done.stderr
    for stage, (few, many) in peaks.items():
        assert many - few < 12, f"{stage}: {few:.0f} MiB for {EPISODES[0]} episodes, {many:.0f} for {EPISODES[1]}"
