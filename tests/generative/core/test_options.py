from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from generative import ComponentError, config_from_mapping, config_to_mapping


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    steps: int = 3

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps={self.steps}: must be at least 1")


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b", 3] = "a"
    flag: bool = False
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] = (1.0, "x")
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def test_mappings_become_dataclasses_and_come_back():
    mapping = {
        "name": "n",
        "kind": 3,
        "flag": True,
        "sizes": [4, 5, 6],
        "pair": [2, "y"],
        "limit": 7,
        "inner": {"rate": 1},
        "maybe": {"steps": 9},
        "options": {"deep": [1, {"x": None}]},
    }
    config = config_from_mapping(Outer, mapping)
    assert config == Outer(
        "n", 3, True, (4, 5, 6), (2.0, "y"), 7, Inner(1.0), Inner(steps=9), {"deep": [1, {"x": None}]}
    )
    assert type(config.inner.rate) is float and type(config.sizes) is tuple
    plain = config_to_mapping(config)
    assert plain["sizes"] == [4, 5, 6] and plain["maybe"] == {"rate": 0.5, "steps": 9}
    assert config_from_mapping(Outer, plain) == config
    assert config_from_mapping(Outer, config_to_mapping(Outer("n"))) == Outer("n")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": "n", "flga": True}, "flga: Outer has no such option; did you mean 'flag'"),
        ({"name": "n", "inner": {"rat": 1}}, "inner.rat: Inner has no such option; did you mean 'rate'"),
        ({}, "name: Outer needs this option"),
    ],
)
def test_unknown_and_missing_keys(mapping, message):
    with pytest.raises(ComponentError, match=message):
        config_from_mapping(Outer, mapping)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": 3}, "name=3: expected str, found int"),
        ({"flag": 1}, "flag=1: expected bool"),
        ({"limit": True}, "limit=True: expected int"),
        ({"limit": 2.0}, "limit=2.0: expected a whole number"),
        ({"kind": "c"}, "kind='c': not a choice"),
        ({"kind": 3.0}, "kind=3.0: not a choice"),
        ({"sizes": [1, "2"]}, r"sizes\[1\]='2': expected int"),
        ({"sizes": 4}, "sizes=4: expected a list"),
        ({"pair": [1.0]}, "pair=.*expected 2 entries, found 1"),
        ({"inner": {"rate": "1e-4"}}, "inner.rate='1e-4': this is text; write the number without quotes"),
        ({"inner": {"rate": float("nan")}}, "inner.rate=nan: expected a finite"),
        ({"inner": {"steps": 0}}, "inner.steps=0: must be at least 1"),
        ({"inner": 5}, "inner=5: expected a mapping"),
        ({"maybe": [1]}, r"maybe=\[1\]: expected a mapping"),
        ({"options": 1}, "options=1: expected a mapping"),
    ],
)
def test_wrong_types_name_the_dotted_field(mapping, message):
    with pytest.raises(ValueError, match=message):
        config_from_mapping(Outer, {"name": "n", **mapping})
