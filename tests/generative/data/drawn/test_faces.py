import numpy as np
import pytest

from generative.data import FacesConfig, draw_faces, face_attributes
from generative.data.drawn.face import HAIR_STYLES, FaceFactors
from generative.data.drawn.faces import ATTRIBUTES, FACTORS, NUMBERS, SIGNED, WORN
from generative.data.drawn.head import mouth_region

SIZE = 64
FACE = FaceFactors()._asdict()


def faces(*changes):
    return draw_faces(np.array([list({**FACE, **each}.values()) for each in changes]), SIZE).astype(int)


def changed(*changes):
    first, second = faces(*changes)
    return (first != second).any(-1)


def box(left, top, right, bottom):
    """Pixels that lie in a region at least partly."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[int(top * SIZE) : -int(-bottom * SIZE // 1), int(left * SIZE) : -int(-right * SIZE // 1)] = True
    return mask


def test_faces_follow_from_seed_and_number():
    data, same, other = (FacesConfig(size=32, count=100, seed=seed).load() for seed in (1, 1, 2))
    places = np.arange(40)
    assert (data.get("image", places) == same.get("image", places)).all()
    assert (data.get("image", places) != other.get("image", places)).any((1, 2, 3)).all()
    assert (data.get("image", places[::-1]) == data.get("image", places)[::-1]).all()


@pytest.mark.parametrize(
    "pose", [{"turn": -1.0}, {"turn": 1.0, "tilt": 1.0}, {"nod": 1.0, "tilt": -1.0}, {"nod": -1.0}]
)
@pytest.mark.parametrize("style", range(len(HAIR_STYLES)))
def test_a_smile_changes_the_mouth_and_nothing_else(pose, style):
    for worn in (0.0, 1.0):
        other = {**FACE, **pose, "hair_style": style, "glasses": worn, "beard": worn, "headband": worn}
        difference = changed({**other, "smile": -1.0}, {**other, "smile": 1.0})
        assert difference.sum() > 30
        assert not (difference & ~box(*mouth_region(FaceFactors(**other)))).any()


def test_a_smile_is_a_matter_of_degree():
    images = faces(*({"smile": smile} for smile in np.linspace(-1, 1, 9)))
    steps = np.abs(np.diff(images, axis=0)).sum((1, 2, 3))
    assert (steps > 0).all() and steps.max() < np.abs(images[-1] - images[0]).sum()


def test_glasses_change_the_eyes_region_only():
    difference = changed({"glasses": 0.0}, {"glasses": 1.0})
    assert difference.sum() > 100 and not (difference & ~box(0.2, 0.38, 0.8, 0.60)).any()


def test_what_is_worn_shows_where_it_is_worn():
    where = {
        "beard": box(0.2, 0.45, 0.8, 0.88),
        "earrings": box(0.15, 0.55, 0.85, 0.7),
        "headband": box(0.2, 0.2, 0.8, 0.5),
    }
    for name, region in where.items():
        difference = changed({name: 0.0}, {name: 1.0})
        assert difference.sum() > 10 and not (difference & ~region).any(), name


def test_light_comes_from_its_side_and_detail_changes_strands_but_no_factor():
    left, right = faces({"light": -1.0}, {"light": 1.0})
    halves = [[face[30:46, 20:30].mean(), face[30:46, 34:44].mean()] for face in (left, right)]
    assert halves[0][0] > halves[0][1] + 15 and halves[1][1] > halves[1][0] + 15
    rows = np.array([list(FACE.values())] * 2)
    one, other = draw_faces(rows, SIZE, np.array([1, 2])).astype(int)
    assert (one != other)[10:20, 24:40].any() and (one == other)[32:44, 22:42].all()


def test_background_leaves_the_face_alone():
    difference = changed({"background": 0.0}, {"background": 1.0})
    assert difference[:8].all() and not difference[24:48, 24:40].any()


def test_skin_darkens_the_forehead_and_not_the_corner():
    light, middle, dark = (face for face in faces({"skin": 0.0}, {"skin": 0.5}, {"skin": 1.0}))
    cheek = [face[36, 23:26].mean() for face in (light, middle, dark)]
    assert cheek[0] > cheek[1] + 30 > cheek[2] + 60 and (light[0] == dark[0]).all()


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_shows(name):
    low = -1.0 if name in SIGNED else 0.0
    for style in range(len(HAIR_STYLES)):
        assert changed({"hair_style": style, name: low}, {"hair_style": style, name: 1.0}).sum() > 10


def test_hair_styles_differ():
    images = faces(*({"hair_style": style} for style in range(len(HAIR_STYLES))))
    distances = np.abs(images[:, None] - images).mean((2, 3, 4))
    assert distances[~np.eye(len(images), dtype=bool)].min() > 2


def test_factors_are_independent_and_fill_their_ranges():
    data = FacesConfig(count=20_000).load()
    factors = data.get("factors", np.arange(len(data)))
    correlation = np.corrcoef(factors.T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.04
    low = [-1 if name in SIGNED else 0 for name in FACTORS]
    high = [len(NUMBERS[name]) - 1 if name in NUMBERS else 1 for name in FACTORS]
    assert np.allclose(factors.min(0), low, atol=0.01) and np.allclose(factors.max(0), high, atol=0.01)
    for name, share in WORN.items():
        assert factors[:, FACTORS.index(name)].mean() == pytest.approx(share, abs=0.02)


def test_attributes_follow_from_factors():
    data = FacesConfig(size=16, count=2_000).load()
    places = np.arange(500)
    factors, attributes = data.get("factors", places), data.get("attributes", places)
    assert (attributes == face_attributes(factors)).all() and data.names("attributes") == tuple(ATTRIBUTES)
    named = dict(zip(ATTRIBUTES, attributes.T, strict=True))
    assert (named["smiling"] == (factors[:, 0] > 0)).all() and (named["glasses"] == factors[:, 1]).all()
    assert not (named["blond"] & named["bald"]).any() and named["blond"].any() and named["bald"].any()
    assert (
        np.array(data.names("label"))[data.get("label", places)] == np.array(HAIR_STYLES)[factors[:, 2].astype(int)]
    ).all()


def test_options_drive_what_is_drawn():
    data = FacesConfig(size=16, count=200, glasses=0.0, hair_styles=("bun", "bald")).load()
    factors = data.get("factors", np.arange(len(data)))
    assert not factors[:, 1].any() and set(factors[:, 2]) == {0.0, 4.0} and data.names("label") == ("bun", "bald")
    assert {data.names("label")[label] for label in data.get("label", np.flatnonzero(factors[:, 2] == 0.0))} == {"bald"}
    assert FacesConfig(size=48, count=20).load().get("image", np.arange(2)).shape == (2, 48, 48, 3)


@pytest.mark.parametrize("name", ["hair_style", "hair_colour"])
def test_unknown_numbers_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name} from 1\.0 to 5\.0: give 0 to 4"):
        faces({name: 1.0}, {name: 5.0})
    with pytest.raises(ValueError, match="give 18 columns: smile, glasses"):
        draw_faces(np.zeros((1, 9)), SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size=8"),
        ({"glasses": 1.5}, "glasses=1.5"),
        ({"hair_styles": ("mohawk",)}, "bald, short"),
        ({"count": 1}, "count=1"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FacesConfig(**options)
