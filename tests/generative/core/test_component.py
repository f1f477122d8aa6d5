import hashlib
import importlib.metadata
import json
import os
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from generative import (
    ComponentError,
    LatentSpec,
    Registry,
    component_bytes,
    component_from_bytes,
    load_component,
    load_metadata,
    resolve_device,
    save_component,
)
from generative.core.files import read_json, write_json


@dataclass(frozen=True)
class NetConfig:
    """A net."""

    sizes: tuple[int, ...] = (3, 4)
    """Units of each layer."""
    scale: float = 1.0
    """Factor of the output."""

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"scale={self.scale}: must be above 0")


class Net(nn.Module):
    type_name = "net"
    seam = "test"
    Config = NetConfig

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        pairs = zip(config.sizes, config.sizes[1:], strict=False)
        self.layers = nn.Sequential(*(nn.Linear(a, b) for a, b in pairs), nn.Conv2d(2, 3, 3))
        self.register_buffer("count", torch.tensor(5))
        self.to(memory_format=torch.channels_last)


class Plugin(Net):
    type_name = "plugin"


class Misnamed(Net):
    type_name = "something-else"


NETS = Registry("test", {"net": Net})


@pytest.fixture
def net() -> nn.Module:
    return NETS.create("net", {"sizes": [3, 5, 2], "scale": 2}, seed=1)


def assert_same(one: nn.Module, two: nn.Module) -> None:
    assert type(one) is type(two) and one.config == two.config
    assert list(one.state_dict()) == list(two.state_dict())
    for name, value in one.state_dict().items():
        other = two.state_dict()[name]
        assert torch.equal(value, other) and value.dtype == other.dtype and value.stride() == other.stride()


def test_a_component_comes_back_as_it_was(tmp_path: Path, net):
    save_component(net, tmp_path / "a" / "vision", {"steps": 10, "note": "ö"})
    loaded = load_component(tmp_path / "a" / "vision", NETS)
    assert_same(net, loaded)
    assert not loaded.training
    assert load_metadata(tmp_path / "a" / "vision") == {"steps": 10, "note": "ö"}
    assert sorted(os.listdir(tmp_path / "a")) == ["vision"]
    assert sorted(os.listdir(tmp_path / "a" / "vision")) == [
        "config.json",
        "metadata.json",
        "model.safetensors",
    ]
    assert_same(net, component_from_bytes(component_bytes(net), NETS))


def test_saving_again_replaces_the_component_and_leaves_the_rest_of_the_folder(tmp_path: Path, net):
    (tmp_path / "vision" / "checkpoints" / "00000001").mkdir(parents=True)
    save_component(net, tmp_path / "vision", {})
    other = NETS.create("net", NetConfig(), seed=2)
    save_component(other, tmp_path / "vision", {"second": True})
    assert_same(other, load_component(tmp_path / "vision", NETS))
    assert load_metadata(tmp_path / "vision") == {"second": True}
    assert (tmp_path / "vision" / "checkpoints" / "00000001").is_dir()
    assert not list(tmp_path.rglob("*.partial"))


class Killed(BaseException):
    pass


@pytest.mark.parametrize("exists", [False, True])
def test_a_kill_at_any_moment_never_leaves_a_mixture_that_loads(tmp_path: Path, net, monkeypatch, exists):
    """Every rename, unlink and flush is a place to die; what is left is the old, the new, or refused."""
    other = NETS.create("net", NetConfig(), seed=2)
    outcomes = set()
    for moment in range(60):
        folder = tmp_path / f"{moment}"
        if exists:
            save_component(net, folder, {"which": "old"})
        calls = iter(range(10**6))
        with monkeypatch.context() as patch:
            for module, name in ((os, "replace"), (os, "rename"), (os, "fsync"), (Path, "unlink")):
                original = getattr(module, name)

                def dies(*args, original=original, calls=calls, moment=moment, **options):
                    if next(calls) == moment:
                        raise Killed
                    return original(*args, **options)

                patch.setattr(module, name, dies)
            try:
                save_component(other, folder, {"which": "new"})
                completed = True
            except Killed:
                completed = False
        try:
            loaded = load_component(folder, NETS)
        except ComponentError:
            assert not completed
            outcomes.add("refused")
            continue
        which = load_metadata(folder)["which"]
        assert_same(loaded, net if which == "old" else other)
        outcomes.add(which)
        if completed:
            assert which == "new"
            break
    else:
        pytest.fail("saving never completed")
    assert outcomes == ({"old", "new", "refused"} if exists else {"new", "refused"})


def test_a_kill_between_the_files_is_seen_by_the_hash(tmp_path: Path, net):
    save_component(net, tmp_path / "a", {})
    save_component(NETS.create("net", net.config, seed=9), tmp_path / "b", {})
    os.replace(tmp_path / "b" / "model.safetensors", tmp_path / "a" / "model.safetensors")
    with pytest.raises(ComponentError, match="not the weights that belong to config"):
        load_component(tmp_path / "a", NETS)


def edit(folder: Path, **changes) -> None:
    """A description as another version could have written it."""
    write_json(folder / "config.json", {**read_json(folder / "config.json", ""), **changes})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            "config.json: missing.*run the training stage again",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors: missing"),
        (lambda folder: (folder / "metadata.json").unlink(), "metadata.json: missing"),
        (lambda folder: os.truncate(folder / "model.safetensors", 100), "model.safetensors.*truncated"),
        (
            lambda folder: (folder / "config.json").write_text('{"type": "n'),
            "config.json is damaged JSON.*train again",
        ),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json is damaged JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no JSON object"),
        (lambda folder: (folder / "config.json").write_text("{}"), "no config, format_version, type"),
        (
            lambda folder: (folder / "config.json").write_text((folder / "config.json").read_text().replace("5", "6")),
            "config.json is not what was written.*train again or restore",
        ),
        (lambda folder: edit(folder, type="nett"), "'nett': no such test component; did you mean 'net'"),
        (lambda folder: edit(folder, format_version=3), "format_version is 3.*reads 2; update"),
        (
            lambda folder: edit(folder, config={"sizes": [3, 5, 2], "depth": 1}),
            "depth: NetConfig has no such option",
        ),
        (lambda folder: edit(folder, config={"scale": -1.0}), "scale=-1.0: must be above 0"),
        (lambda folder: edit(folder, config={"sizes": [3, 5]}), r"layers.1.weight has shape|unexpected"),
        (
            lambda folder: edit(folder, config={"sizes": [3, 6, 2]}),
            r"layers.0.weight has shape \(5, 3\), not \(6, 3\)",
        ),
        (lambda folder: edit(folder, config={"sizes": [3, 5, 2, 2]}), "layers.3.weight missing"),
    ],
)
def test_a_damaged_folder_is_refused_in_words(tmp_path: Path, net, damage, message):
    folder = tmp_path / "net"
    save_component(net, folder, {})
    damage(folder)
    with pytest.raises(ComponentError, match=message) as caught:
        load_component(folder, NETS)
    assert str(folder) in str(caught.value)


def test_a_missing_folder_is_refused_in_words(tmp_path: Path):
    with pytest.raises(ComponentError, match="no such folder; train the component first"):
        load_component(tmp_path / "nowhere", NETS)
    with pytest.raises(ComponentError, match="train the component first"):
        load_metadata(tmp_path / "nowhere")


def test_weights_in_bytes_that_are_no_safetensors_are_refused(net):
    data = component_bytes(net)
    weights = data["weights"][:50]
    config = json.loads(data["config"]) | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    with pytest.raises(ComponentError, match="damaged"):
        component_from_bytes({"config": json.dumps(config), "weights": weights}, NETS)


def test_metadata_that_is_not_json_fails_before_anything_is_written(tmp_path: Path, net):
    with pytest.raises(TypeError):
        save_component(net, tmp_path / "vision", {"x": object()})
    assert not list(tmp_path.iterdir())


def test_weights_come_from_the_seed_and_leave_the_global_stream_alone():
    state = torch.get_rng_state()
    one, two, three = (NETS.create("net", NetConfig(), seed=seed) for seed in (1, 1, 2))
    assert_same(one, two)
    assert not torch.equal(one.layers[0].weight, three.layers[0].weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_names_and_foreign_configs_are_refused():
    with pytest.raises(ComponentError, match="'nett': no such test component; did you mean 'net'"):
        NETS.create("nett", {})
    with pytest.raises(ComponentError, match="got LatentSpec; pass NetConfig"):
        NETS.create("net", LatentSpec("continuous", 3))
    with pytest.raises(ComponentError, match="taken"):
        Registry("test", {"net": Net}).add("net", Net)
    with pytest.raises(ComponentError, match="type_name = 'web'"):
        Registry("test", {"web": Net})
    assert NETS.names() == ["net"] and NETS.config_class("net") is NetConfig


def entry_point(name: str, value: str) -> importlib.metadata.EntryPoint:
    return importlib.metadata.EntryPoint(name=name, value=value, group="worldmodels.components")


def test_installed_packages_join_by_entry_point(tmp_path: Path, monkeypatch):
    points = [
        entry_point("test.plugin", f"{__name__}:Plugin"),
        entry_point("test.broken", "no_such_module_anywhere:Thing"),
        entry_point("test.misnamed", f"{__name__}:Misnamed"),
        entry_point("other.net", f"{__name__}:Net"),
        entry_point("test.net", "no_such_module_anywhere:Thing"),  # built-in names win and import nothing
    ]
    asked = []

    def entry_points(group):
        asked.append(group)
        return points

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.setitem(sys.modules, __name__, types.SimpleNamespace(**globals()))
    registry = Registry("test", {"net": Net})
    assert type(registry.create("net", NetConfig())) is Net and not asked
    assert registry.names() == ["net", "broken", "misnamed", "plugin"]
    plugin = registry.create("plugin", {"scale": 3.0})
    assert type(plugin) is Plugin
    save_component(plugin, tmp_path / "plugin", {})
    assert_same(plugin, load_component(tmp_path / "plugin", registry))
    with pytest.raises(ComponentError, match=r"test\.broken: cannot import.*repair or uninstall"):
        registry.create("broken", {})
    with pytest.raises(ComponentError, match=r"test\.misnamed .*type_name = 'misnamed'"):
        registry.create("misnamed", {})
    with pytest.raises(ComponentError, match="did you mean 'plugin'"):
        registry.create("plugn", {})


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="device='warp': unknown"):
        resolve_device("warp")
    with pytest.raises(ValueError, match=r"device='cuda:99'.*use auto or cpu"):
        resolve_device("cuda:99")


def test_a_latent_has_a_size():
    with pytest.raises(ValueError, match="size=0"):
        LatentSpec("discrete", 0)
