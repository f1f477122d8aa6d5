import dataclasses
import gzip
import hashlib
import json
import sys

import numpy as np
import pytest
import torch

from worldmodels.agent.config import FeaturesConfig
from worldmodels.errors import RunError
from worldmodels.memories import MEMORIES
from worldmodels.play.exported.folder import HERE, check_exportable, dream_sheet, dream_starts, export_page

RUNTIME = {
    "ort.js": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort.wasm.gz": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""sha256 of what onnxruntime-web 1.30.0 has on npm: `ort.wasm.bundle.min.mjs` and `ort-wasm-simd-threaded.wasm`."""


def test_the_runtime_is_that_of_npm():
    for name, expected in RUNTIME.items():
        content = (HERE / "runtime" / name).read_bytes()
        assert hashlib.sha256(gzip.decompress(content) if name.endswith("gz") else content).hexdigest() == expected


@pytest.mark.parametrize("kind", ["ensemble", "diffusion"])
def test_other_memories_are_refused_before_anything_is_written(exported, kind, tmp_path):
    options = {"member": "feed-forward", "members": 2} if kind == "ensemble" else {}
    memory = MEMORIES.create(kind, {"latent": 4, "action": 3, **options}, 0)
    with pytest.raises(RunError, match=f"memory.type={kind}: .*mdn-rnn, lstm, feed-forward, transformer work"):
        export_page("run", dataclasses.replace(exported, memory=memory), tmp_path / "page")
    assert not list(tmp_path.iterdir())


def test_an_agent_of_another_memory_is_refused(exported):
    memory = MEMORIES.create("mdn-rnn", dataclasses.asdict(exported.memory.config), 1)
    with pytest.raises(RunError, match="another memory than the one that dreams"):
        check_exportable(dataclasses.replace(exported, memory=memory))
    blind = dataclasses.replace(exported.agent.bundle, features=FeaturesConfig(reads="vision"))
    agent = dataclasses.replace(exported.agent, bundle=blind)
    check_exportable(dataclasses.replace(exported, memory=memory, agent=agent))
    check_exportable(dataclasses.replace(exported, memory=memory, agent=None))


def test_what_fails_leaves_nothing(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(RunError, match=r"pip install -e '\.\[page\]'"):
        export_page("run", exported, tmp_path / "page")
    assert not list(tmp_path.iterdir())
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine").touch()
    with pytest.raises(RunError, match="not empty"):
        export_page("run", exported, tmp_path / "page")
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["mine"]


def test_starts_are_where_the_memory_wakes(exported):
    arrays, starts, memory = dream_starts(exported), exported.starts, exported.memory
    np.testing.assert_array_equal(arrays["initial"], starts.initial)
    np.testing.assert_array_equal(arrays["recorded"], starts.z[:, -1:])
    state = memory.initial(1)
    for z, action in zip(starts.z[2], starts.action[2], strict=False):
        state = memory.advance(torch.from_numpy(z[None]), torch.from_numpy(action[None]), state)
    for number, part in enumerate(state):
        np.testing.assert_array_equal(arrays[f"state.{number}"][0], np.zeros(16))
        np.testing.assert_allclose(arrays[f"state.{number}"][3], part[0].detach(), rtol=1e-5)


def test_an_agent_of_many_frames_finds_the_newest(exported):
    features = FeaturesConfig(reads="frame-stack", stack=7)
    agent = dataclasses.replace(exported.agent, bundle=dataclasses.replace(exported.agent.bundle, features=features))
    parts = dataclasses.replace(exported, agent=agent)
    assert dream_sheet("run", parts)["past"] == 7
    first = exported.starts.z[:, :1]
    np.testing.assert_array_equal(dream_starts(parts)["recorded"], np.concatenate([first, first, exported.starts.z], 1))


def test_the_sheet_has_the_rules_of_the_dream(exported):
    dream = dataclasses.replace(exported.dream, no_reward_limit=9, termination_penalty=2.0)
    sheet = json.loads(json.dumps(dream_sheet("run", dataclasses.replace(exported, dream=dream)), allow_nan=False))
    assert (sheet["horizon"], sheet["no_reward_limit"], sheet["penalty"]) == (100, 9, pytest.approx(1.6))
    assert sheet["spec"] == {"low": [-1, 0, 0], "high": [1, 1, 1]} and sheet["worlds"] == ["dream"]
    assert sheet["agent"] and sheet["draws"] and sheet["residual_parts"] == 1
