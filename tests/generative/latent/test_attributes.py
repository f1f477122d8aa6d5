import numpy as np
import pytest
import torch

from generative.latent import added, attribute_direction, confounds, effect_size, judge, learn_attribute

NAMES = ("smile", "glasses", "hat")


def world(n, seed, tie=0.0):
    """Codes of 6 numbers: smile lies on axes 0 and 1, glasses on axis 2, hat on 3; `tie` is how often hats smile."""
    rng = np.random.default_rng(seed)
    table = (rng.random((n, 3)) < 0.5).astype(np.uint8)
    table[:, 2] = np.where(rng.random(n) < tie, table[:, 0], table[:, 2])
    codes = rng.normal(size=(n, 6))
    codes[:, 0] += 2.0 * table[:, 0]
    codes[:, 1] += 1.5 * table[:, 0]
    codes[:, 2] += 3.0 * table[:, 1]
    codes[:, 3] += 3.0 * table[:, 2]
    return torch.from_numpy(codes).float(), table


def test_the_vector_is_the_difference_of_the_means():
    codes = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 8.0]])
    vector = attribute_direction(codes, torch.tensor([True, True, False, False]))
    assert vector.tolist() == [2.0, -6.0]


def test_an_effect_is_cohens_d():
    values = torch.tensor([1.0, 3.0, 5.0, 2.0, 4.0])
    has = torch.tensor([False, False, False, True, True])
    pooled = np.sqrt((2 * 4.0 + 1 * 2.0) / 3)
    assert effect_size(values, has) == pytest.approx((3.0 - 3.0) / pooled)
    assert effect_size(values + 2.0 * has, has) == pytest.approx(2.0 / pooled)
    assert np.isnan(effect_size(values, torch.ones(5, dtype=torch.bool)))


def test_the_effect_of_a_known_world_is_found_on_images_the_vector_was_not_made_from():
    found = learn_attribute("smile", *world(4000, 0), *world(4000, 1), NAMES)
    assert found.effect == pytest.approx(2.5, abs=0.1)  # |(2, 1.5)| in units of the noise
    torch.testing.assert_close(found.step, torch.tensor([2.0, 1.5, 0, 0, 0, 0]), atol=0.15, rtol=0)
    assert abs(found.others["glasses"]) < 0.15 and abs(found.others["hat"]) < 0.15
    assert found.confounded == [] and found.with_it + found.without_it == 4000


def test_an_overfitted_vector_has_no_effect_on_other_images():
    rng = np.random.default_rng(0)
    codes, table = torch.from_numpy(rng.normal(size=(60, 200))).float(), (rng.random((60, 3)) < 0.5).astype(np.uint8)
    held = torch.from_numpy(rng.normal(size=(2000, 200))).float(), (rng.random((2000, 3)) < 0.5).astype(np.uint8)
    found = learn_attribute("smile", codes, table, *held, NAMES)
    vector = attribute_direction(codes, torch.from_numpy(table[:, 0] > 0))
    assert effect_size(codes @ vector, torch.from_numpy(table[:, 0] > 0)) > 2  # on its own images
    assert abs(found.effect) < 0.3


def test_what_goes_together_in_the_data_is_called_confounded():
    found = learn_attribute("smile", *world(4000, 0, tie=0.8), *world(4000, 1, tie=0.8), NAMES)
    assert found.confounded == ["hat"] and found.others["hat"] > 1
    assert abs(found.others["glasses"]) < 0.15


def test_a_balanced_vector_leaves_alone_what_goes_together_in_the_data():
    worlds = *world(4000, 0, tie=0.8), *world(4000, 1, tie=0.8), NAMES
    plain, balanced = learn_attribute("smile", *worlds), learn_attribute("smile", *worlds, balance=("hat", "glasses"))
    assert plain.step[3] > 2.0 and abs(balanced.step[3]) < 0.2
    torch.testing.assert_close(balanced.step, torch.tensor([2.0, 1.5, 0, 0, 0, 0]), atol=0.25, rtol=0)
    assert 0 < balanced.others["hat"] < plain.others["hat"] - 0.3
    for balance, message in ((("hta",), "'hta': unknown"), (("smile",), "is the attribute itself")):
        with pytest.raises(ValueError, match=message):
            learn_attribute("smile", *worlds, balance=balance)


def test_groups_count_by_how_much_they_say():
    codes = torch.tensor([[0.0], [2.0], [0.0], [2.0], [10.0], [10.0], [0.0], [0.0], [0.0], [0.0]])
    has = torch.tensor([0, 1, 0, 1, 1, 1, 0, 0, 0, 0]).bool()
    group = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    weights = np.array([1 / (1 / 2 + 1 / 2), 1 / (1 / 2 + 1 / 4)])
    expected = (weights * [2.0, 10.0]).sum() / weights.sum()
    assert attribute_direction(codes, has, group).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="in one group"):
        attribute_direction(codes, has, has.long())


def test_another_name_for_the_same_thing_is_no_confound():
    (codes, table), (held, held_table) = world(2000, 0), world(2000, 1)
    for each in (table, held_table):
        each[:, 2] = 1 - each[:, 0]
    found = learn_attribute("smile", codes, table, held, held_table, NAMES)
    assert set(found.others) == {"glasses"}


def test_an_attribute_that_all_images_have_is_no_confound():
    codes, table = world(500, 0)
    table[:, 1] = 1
    assert set(confounds(codes, table, torch.ones(6), NAMES)) == {"smile", "hat"}


@pytest.mark.parametrize("name", ["smlie", "nobody"])
def test_an_unknown_or_absent_attribute_is_refused(name):
    codes, table = world(50, 0)
    if name == "nobody":
        table[:, 0] = 0
        with pytest.raises(ValueError, match="0 images with the attribute and 50 without"):
            learn_attribute("smile", codes, table, codes, table, NAMES)
    else:
        with pytest.raises(ValueError, match=r"smlie.*smile, glasses, hat"):
            learn_attribute(name, codes, table, codes, table, NAMES)


def test_the_vector_is_added_as_often_as_asked():
    codes, step = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([2.0, 4.0])
    made = added(lambda z: z[:, :, None, None], codes, step, [0.0, 1.0, -0.5])[..., 0, 0]
    assert made.tolist() == [[[1, 0], [3, 4], [0, -2]], [[0, 1], [2, 5], [-1, -1]]]


def test_judges_count_flips_over_all_pictures_and_what_stays():
    before = torch.tensor([0.1, 0.2, 0.3, 0.9])[:, None, None, None].expand(4, 2, 1, 1).clone()
    after = before.clone()
    after[:2, 0] = 0.8  # two of the three without the attribute get it
    after[0, 1] = 0.9  # and the first one's other class changes
    judged = judge(
        before,
        after,
        lambda images: (images[:, 0, 0, 0] > 0.5).long(),
        {"glasses": lambda images: (images[:, 1, 0, 0] > 0.5).long()},
    )
    assert (judged.images, judged.had, judged.flipped, judged.have) == (4, 0.25, 0.5, 0.75)
    assert judged.kept == {"glasses": 0.75}
