import hashlib

import numpy as np
import pytest

from generative.data.draws import held_out_by_digest, normal, split, uniform


def test_numbers_depend_on_seed_item_and_column_only():
    whole = uniform(3, np.arange(1000), 5)
    assert (uniform(3, np.array([7, 999]), 5) == whole[[7, 999]]).all()
    assert (uniform(3, np.arange(1000), 2) == whole[:, :2]).all()
    assert (uniform(4, np.arange(1000), 5) != whole).all()
    with pytest.raises(ValueError, match="seed=-1"):
        uniform(-1, np.arange(2), 1)


def test_numbers_are_uniform_and_independent():
    drawn = uniform(0, np.arange(20_000), 4)
    assert drawn.min() >= 0 and drawn.max() < 1
    for column in drawn.T:
        counts = np.histogram(column, 20, (0, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-squared with 19 degrees: 43.8 at 0.1 %
    # neighbouring items, columns and seeds
    pairs = (
        [drawn[:-1, 0], drawn[1:, 0]],
        [drawn[:, 0], drawn[:, 1]],
        [drawn[:, 0], uniform(1, np.arange(20_000), 1)[:, 0]],
    )
    for a, b in pairs:
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_what_is_held_out_goes_by_content():
    digests = [hashlib.sha256(bytes([number, 1])).hexdigest() for number in range(200)]
    held = held_out_by_digest(digests)
    assert 10 <= len(held) <= 30
    fewer = held_out_by_digest(digests[50:])
    assert (fewer + 50).tolist() == [number for number in held if number >= 50]
    doubled = held_out_by_digest([*digests, *digests])
    assert doubled.tolist() == [*held, *(held + 200)]
    for count in range(2, 12):
        assert 0 < len(held_out_by_digest(digests[:count])) < count
    with pytest.raises(ValueError, match="1 different item"):
        held_out_by_digest([digests[0]] * 5)


def test_normal_numbers_have_the_moments_of_a_gaussian():
    drawn = normal(5, np.arange(50_000), 2)
    assert np.allclose(drawn.mean(0), 0, atol=0.02) and np.allclose(drawn.std(0), 1, atol=0.02)
    assert np.allclose((drawn**4).mean(0), 3, atol=0.2)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02


def test_the_split_is_disjoint_complete_and_about_a_tenth():
    training, held = split(1000)
    assert len(held) == 100 and (np.sort(np.concatenate([training, held])) == np.arange(1000)).all()
    assert all((held // 100 == hundred).any() for hundred in range(10))  # data in the order of its classes


def test_groups_stay_together():
    tracks = np.repeat([f"track {number}" for number in range(30)], 20)
    training, held = split(600, tracks)
    assert len(held) == 60 and not set(tracks[training]) & set(tracks[held])
    with pytest.raises(ValueError, match=r"1 group: .* at least 2"):
        split(5, np.zeros(5))
    with pytest.raises(ValueError, match="one entry for each of 5"):
        split(5, np.zeros(4))
    with pytest.raises(ValueError, match="1 item"):
        split(1)
