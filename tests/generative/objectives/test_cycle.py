import pytest
import torch

from generative.objectives.cycle import ImageHistory, cycle_loss, identity_loss


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def values(images: torch.Tensor) -> list[float]:
    return images[:, 0, 0, 0].tolist()


def test_losses_are_mean_absolute_errors_of_both_domains():
    first, second = numbered(0.0, 1.0), numbered(4.0, 6.0)
    assert cycle_loss(first, second, first + 0.5, second - 2).item() == pytest.approx(2.5)
    found = identity_loss(lambda images: images + 1, lambda images: images * 3, first, second)
    assert found.item() == pytest.approx(1 + 1)


def test_a_history_passes_images_on_until_it_is_full():
    history = ImageHistory(4, (1, 2, 2))
    for start in (0, 2):
        made = numbered(start + 1.0, start + 2.0)
        assert torch.equal(history.exchange(made, noise()), made)
    assert values(history.images) == [1, 2, 3, 4]


def test_then_half_of_them_take_the_place_of_old_ones():
    history, generator = ImageHistory(10, (1, 2, 2)), noise()
    history.exchange(numbered(*range(10)), generator)
    kept, shown, new = set(range(10)), [], 100
    for _ in range(400):
        given = numbered(new, new + 1.0)
        found = values(history.exchange(given, generator))
        for place, number in enumerate(found):
            assert number == new + place or number in kept
            shown.append(number != new + place)
        kept = set(values(history.images))
        assert len(kept) == 10
        old = [number for place, number in enumerate(found) if number != new + place]
        assert not kept & set(old)  # what was shown has left
        new += 2
    assert 0.45 < sum(shown) / len(shown) < 0.55
    assert min(kept) > 600  # and nothing stays for ever


def test_a_history_changes_in_place_and_is_in_no_saved_model():
    history = ImageHistory(4, (1, 2, 2))
    places = [history.images.data_ptr(), history.count.data_ptr()]
    for seed in range(5):
        history.exchange(numbered(1.0, 2.0), noise(seed))
    assert [history.images.data_ptr(), history.count.data_ptr()] == places and history.count == 10
    assert not history.state_dict()


def test_without_a_history_every_image_is_new():
    made = numbered(1.0, 2.0)
    assert torch.equal(ImageHistory(0, (1, 2, 2)).exchange(made, noise()), made)
    with pytest.raises(ValueError, match="history=1: a batch has 2"):
        ImageHistory(1, (1, 2, 2)).exchange(made, noise())
