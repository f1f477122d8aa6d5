import itertools
import math

import pytest
import torch

from generative import MODELS
from generative.capabilities import draw
from tests.generative.models.shapes import squares

SIZES = (2, 3, 4)


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, seed: int = 0) -> torch.Tensor:
    columns = [torch.randint(0, size, (n,), generator=noise(seed + place)) for place, size in enumerate(SIZES)]
    columns[1] = torch.where(columns[0] == 1, 2, columns[1])  # the second depends on the first
    return torch.stack(columns, 1)


def counted(name, options, data):
    module = MODELS.create(name, {"count": len(data), **options}, 0)
    module.estimate(iter([data]), noise())
    return module.eval()


@pytest.mark.parametrize("smoothing", [0.0, 1.0, 2.5])
def test_naive_bayes_is_the_product_of_smoothed_shares(smoothing):
    data = rows(60)
    module = counted("naive-bayes", {"categories": SIZES, "smoothing": smoothing}, data)
    test = rows(10, seed=9)
    expected = torch.zeros(10, dtype=torch.float64)
    for row, datum in enumerate(test):
        for column, size in enumerate(SIZES):
            count = int((data[:, column] == datum[column]).sum())
            expected[row] += math.log((count + smoothing) / (60 + smoothing * size))
    torch.testing.assert_close(module.log_prob(test).double(), expected, rtol=1e-5, atol=1e-5)
    assert module.free_parameters == 1 + 2 + 3
    loss, metrics = module.loss(test, noise())
    assert loss.item() == pytest.approx(-expected.mean().item(), rel=1e-5)
    assert metrics["bits_per_dim"].item() == pytest.approx(loss.item() / math.log(2) / 3)


def test_the_multinomial_counts_every_combination_for_itself():
    data = rows(60)
    module = counted("multinomial", {"categories": SIZES, "smoothing": 0.5}, data)
    test = rows(10, seed=9)
    for datum, found in zip(test, module.log_prob(test), strict=True):
        count = int((data == datum).all(1).sum())
        assert found.item() == pytest.approx(math.log((count + 0.5) / (60 + 0.5 * 24)), rel=1e-5)
    assert module.free_parameters == 23


@pytest.mark.parametrize("name", ["multinomial", "naive-bayes"])
def test_probabilities_sum_to_1_over_all_combinations(name):
    module = counted(name, {"categories": SIZES}, rows(60))
    everything = torch.tensor(list(itertools.product(*map(range, SIZES))))
    assert module.log_prob(everything).exp().sum().item() == pytest.approx(1.0, rel=1e-5)


def test_the_books_avatars_have_4031_and_23_numbers():
    assert MODELS.create("multinomial", {}).free_parameters == 4031
    assert MODELS.create("naive-bayes", {"categories": (7, 6, 3, 4, 8)}).free_parameters == 23


def test_without_smoothing_what_was_never_seen_cannot_be():
    data = torch.tensor([[0, 0], [1, 1]])
    table = {"categories": (2, 2), "smoothing": 0.0}
    unseen = torch.tensor([[0, 1]])
    assert counted("multinomial", table, data).log_prob(unseen).item() == -math.inf
    assert counted("multinomial", {**table, "smoothing": 1.0}, data).log_prob(unseen).item() == pytest.approx(
        math.log(1 / 6)
    )
    assert counted("naive-bayes", table, data).log_prob(unseen).item() == pytest.approx(math.log(1 / 4))  # made up anew


@pytest.mark.parametrize("name", ["multinomial", "naive-bayes"])
def test_samples_have_the_probabilities_and_temperature_bends_them(name):
    module = counted(name, {"categories": SIZES}, rows(300))
    drawn = draw(module, 20_000, noise())
    for row in (torch.tensor([1, 2, 0]), torch.tensor([0, 0, 3])):
        share = (drawn == row).all(1).double().mean().item()
        assert share == pytest.approx(module.log_prob(row[None]).exp().item(), abs=0.01)
    likeliest = max(itertools.product(*map(range, SIZES)), key=lambda row: module.log_prob(torch.tensor([row])).item())
    assert (module.sample(5, module.Sampling(0.0), noise()) == torch.tensor(likeliest)).all()
    cold, hot = (module.log_prob(module.sample(5000, module.Sampling(heat), noise())).mean() for heat in (0.5, 2.0))
    assert cold > module.log_prob(drawn).mean() > hot


def test_dependence_is_what_naive_bayes_misses():
    """In the data the second column is 2 whenever the first is 1."""
    table, naive = (counted(name, {"categories": SIZES}, rows(5000)) for name in ("multinomial", "naive-bayes"))
    test = rows(1000, seed=50)
    assert table.log_prob(test).mean() > naive.log_prob(test).mean() + 0.1

    def broken(module):
        drawn = draw(module, 5000, noise())
        return (drawn[drawn[:, 0] == 1][:, 1] != 2).double().mean().item()

    assert broken(table) < 0.02 and broken(naive) > 0.2


def test_pixels_are_counted_each_for_itself():
    images = squares(500, seed=0)
    module = counted("naive-bayes", {"image_size": 16, "levels": 2}, images)
    white = images.mean(0)[0, 8, 8].item()
    chance = (white * 500 + 1) / 502
    one = torch.zeros(1, 1, 16, 16)
    two = one.clone()
    two[0, 0, 8, 8] = 1.0
    apart = (module.log_prob(two) - module.log_prob(one)).item()
    assert apart == pytest.approx(math.log(chance / (1 - chance)), rel=1e-3)
    drawn = draw(module, 2000, noise())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), images.mean(0), atol=0.08, rtol=0)


def test_it_fails_on_raw_pixels_and_says_why():
    images = squares(600, seed=0)
    module = counted("naive-bayes", {"image_size": 16, "levels": 2}, images)
    found = module.diagnose(squares(300, seed=1))
    assert found["verdict"] == "independent" and "scrambled images are as likely" in found["reason"]
    assert found["scrambled_nll"] == pytest.approx(found["nll"], rel=1e-4)
    assert found["neighbour_correlation"] > 0.5 and abs(found["sampled_neighbour_correlation"]) < 0.1
    independent = torch.rand(600, 1, 16, 16, generator=noise()).round()
    assert counted("naive-bayes", {"image_size": 16, "levels": 2}, independent).diagnose(independent)["verdict"] == (
        "healthy"
    )
    with pytest.raises(ValueError, match="at least two images"):
        module.diagnose(images[:1])


def test_labels_beside_the_data_are_left_out_and_count_is_kept():
    data = rows(60)
    plain = counted("naive-bayes", {"categories": SIZES}, data)
    labelled = MODELS.create("naive-bayes", {"categories": SIZES, "count": 60}, 1)
    labelled.estimate(iter([(part, torch.zeros(len(part))) for part in (data[:40], data[40:], data)]), noise())
    assert torch.equal(plain.log_tables, labelled.log_tables)


def test_the_box_is_the_smallest_and_uniform():
    points = torch.tensor([[0.0, 1.0], [2.0, 5.0], [1.0, 3.0]])
    box = counted("toy-distribution", {}, points)
    density = box.log_prob(torch.tensor([[0.0, 5.0], [1.0, 1.0], [1.0, 5.1], [-0.1, 3.0]]))
    assert density.tolist() == pytest.approx([-math.log(8), -math.log(8), -math.inf, -math.inf])
    drawn = draw(box, 20_000, noise())
    assert box.log_prob(drawn).isfinite().all()
    torch.testing.assert_close(drawn.mean(0), torch.tensor([1.0, 3.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(drawn.var(0), torch.tensor([4.0, 16.0]) / 12, rtol=0.05, atol=0)
    torch.testing.assert_close(
        box.sample(20_000, box.Sampling(0.25), noise()).var(0), torch.tensor([1.0, 4.0]) / 12, rtol=0.05, atol=0
    )
    wide = counted("toy-distribution", {"margin": 0.5}, points)
    assert wide.low.tolist() == [-1.0, -1.0] and wide.high.tolist() == [3.0, 7.0]
    assert wide.loss(points, noise())[1]["outside"] == 0 and box.loss(points + 1, noise())[1]["outside"] > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("multinomial", {"categories": (256,) * 4}, r"4.29e\+09 combinations.*use naive-bayes"),
        ("multinomial", {"categories": ()}, r"categories=\(\)"),
        ("multinomial", {"categories": (2, 0)}, r"categories=\(2, 0\)"),
        ("naive-bayes", {"smoothing": -1.0}, "smoothing=-1.0"),
        ("naive-bayes", {"levels": 1}, "levels=1"),
        ("toy-distribution", {"margin": -0.1}, "margin=-0.1"),
    ],
)
def test_senseless_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.create(name, options)


def test_wrong_data_are_refused():
    naive = MODELS.create("naive-bayes", {"categories": SIZES})
    with pytest.raises(ValueError, match=r"float32 and shape \(2, 3\): expected integers \(B, 3\)"):
        naive.log_prob(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="a value below 0 or not below its feature's size"):
        naive.log_prob(torch.tensor([[0, 3, 0]]))
    with pytest.raises(ValueError, match="all 3 are equal in a dimension"):
        counted("toy-distribution", {}, torch.zeros(3, 2))
