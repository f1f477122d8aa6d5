import numpy as np
import pytest

from generative import ComponentError
from generative.runs.run_folder import Choice
from scripts.generative.data.car_racing import BEND, CarRacingConfig
from scripts.generative.data.data_sets import load
from tests.small import small_config


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """Two dozen short episodes of the toy world, recorded as CarRacing's are."""
    from scripts.stages import collect
    from worldmodels import Run

    run = Run.create(tmp_path_factory.mktemp("runs") / "road", small_config())
    for _ in collect(run):
        pass
    return run


def test_frames_and_states_come_from_the_rollouts_and_tracks_stay_together(road):
    from worldmodels.rollouts.dataset import episode_files

    data = load(Choice("car-racing", {"run": str(road.path)}))
    files = episode_files(road.path / "rollouts")
    assert len(data) + len(data.held_out()) == sum(file.frames for file in files)
    every = {}
    for file in files:
        episode = file.read()
        for frame, state in zip(episode.obs, episode.state, strict=True):
            every.setdefault(frame.tobytes(), []).append((state, int(file.meta["track"])))
    tracks = []
    for part in (data, data.held_out()):
        where = np.arange(len(part))
        known = [every[image.tobytes()] for image in part.get("image", where)]
        factors = part.get("factors", where)
        assert all(
            any(np.array_equal(row, state) for state, _ in options) for row, options in zip(factors, known, strict=True)
        )
        tracks.append({options[0][1] for options in known if len(options) == 1})
    assert tracks[0] and tracks[1] and not tracks[0] & tracks[1]


def test_a_number_of_frames_is_spread_over_all_episodes(road):
    data = load(Choice("car-racing", {"run": str(road.path / "rollouts"), "frames": 60}))
    assert 20 <= len(data) + len(data.held_out()) <= 60 + 24
    origin = data.origin
    assert origin.used == len(data) + len(data.held_out()) < origin.found and "frames used" in origin.lines()[0]
    assert len(origin.files) == len(list((road.path / "rollouts").glob("*.zip")))


def test_bends_and_speed_are_read_from_the_state():
    from generative.data import array_data
    from scripts.generative.data.car_racing import with_attributes

    names = ("curvature_40", "speed", "on_road", "lateral_offset")
    state = np.array([[2 * BEND, 1, 1, -1], [-2 * BEND, 5, 0, 1], [0, 9, 1, 1], [0, 2, 0.25, -1]], np.float32)
    images = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    data = with_attributes(array_data("road", images, factors=state, factor_names=names), state, names)
    assert data.names("attributes") == ("left_bend", "right_bend", "fast", "off_road", "left_of_middle")
    items = np.arange(4)
    expected = [[1, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 1, 0]]
    assert data.readers["attributes"](items).tolist() == expected
    said = [data.names("label")[number] for number in data.readers["label"](items)]
    assert said == ["left, slow", "right, fast", "straight, fast", "straight, slow"]


def test_a_folder_without_rollouts_and_senseless_numbers_are_refused(tmp_path):
    from worldmodels.errors import RunError

    with pytest.raises(RunError, match="holds no episodes"):
        CarRacingConfig(str(tmp_path)).load()
    with pytest.raises(ValueError, match="frames=1"):
        CarRacingConfig("run", 1)
    with pytest.raises(ComponentError, match="run"):
        load(Choice("car-racing", {}))
