import shutil

import numpy as np
import pytest

from tests.small import small_config
from worldmodels import Run, RunError
from worldmodels.dream.of_run import keep_starts, load_starts, starts_path
from worldmodels.dream.starts import read_starts


def changed(run, **changes):
    return Run.create(run.path, small_config(**changes))


STARTS_FIELDS = [
    {"noise": "residual"},
    {"warmup": 3},
    {"recent_episodes": 2},
    {"min_steps_to_end": 20},
]


@pytest.mark.parametrize("change", STARTS_FIELDS)
def test_a_field_of_starts_acts_where_the_dream_is_built(trained, change):
    """The memory is trained and done; the field is changed for evolution, which makes the starts by it."""
    before = load_starts(trained).arrays()
    run = changed(trained, dream=change)
    drawn = load_starts(run)
    now = drawn.arrays()
    assert before.keys() != now.keys() or any(not np.array_equal(before[name], now[name]) for name in before)
    assert not starts_path(run).exists()  # who only looks leaves nothing behind
    keep_starts(run)
    kept = load_starts(run)
    for name, array in kept.arrays().items():
        np.testing.assert_array_equal(array, now[name])
    (name, value), *_ = change.items()
    assert read_starts(starts_path(run))[1][name] == value


@pytest.mark.parametrize("change", STARTS_FIELDS)
def test_starts_of_other_settings_are_made_anew_or_refused_without_rollouts(trained, change):
    keep_starts(trained)
    other = changed_after(trained, dream=change)
    wanted = load_starts(changed_before(trained, dream=change)).arrays()
    for name, array in load_starts(other).arrays().items():
        np.testing.assert_array_equal(array, wanted[name])
    for path in trained.folder("collect").glob("episode_*.zip"):
        path.unlink()
    (name, value), *_ = change.items()
    with pytest.raises(RunError, match=rf"no starts for dreams with dream\.{name}={value!r} \(kept: .*exported"):
        load_starts(other)
    load_starts(trained)  # its own are kept


def changed_after(run, **changes):
    """The run with other settings though evolution has begun: what a folder that was put together may be."""
    other = Run(run.path)
    other.config = small_config(**changes)
    return other


def changed_before(run, **changes):
    """The run with other settings and without kept starts."""
    shutil.copytree(run.path, run.path.parent / "fresh", ignore=shutil.ignore_patterns("starts.safetensors"))
    other = Run(run.path.parent / "fresh")
    other.config = small_config(**changes)
    return other
