import torch

from generative.training.totals import Totals

CPU = torch.device("cpu")
ROWS = [(("a", "b"), [0.1, 1.0]), (("a",), [0.2]), (("b", "c"), [0.3, 4.0])]


def added(totals: Totals, rows) -> Totals:
    for names, values in rows:
        totals.add((names, torch.tensor(values, dtype=torch.float64)))
    return totals


def test_each_figure_is_averaged_over_the_steps_that_it_came_in():
    totals = added(Totals(CPU, {}, {}), ROWS)
    assert totals.read() == {"a": 0.1 + 0.2, "b": 1.0 + 0.3, "c": 4.0}
    assert totals.counts == {"a": 2, "b": 2, "c": 1}
    assert totals.means() == {"a": (0.1 + 0.2) / 2, "b": (1.0 + 0.3) / 2, "c": 4.0}
    assert totals.read() == {} == totals.counts


def test_sums_go_on_where_they_were():
    totals = added(Totals(CPU, {}, {}), ROWS)
    resumed = Totals(CPU, totals.read(), totals.counts)
    for each in (totals, resumed):
        added(each, [(("b", "a"), [0.9, 0.7]), (("c", "d"), [2.0, 5.0])])
        assert each.means() == {"a": (0.1 + 0.2 + 0.7) / 3, "b": (1.0 + 0.3 + 0.9) / 3, "c": 3.0, "d": 5.0}


def test_new_figures_move_no_known_one():
    """Figures come in another order after others have come between."""
    totals = Totals(CPU, {}, {})
    for _ in range(2):
        added(totals, [(("a",), [1.0]), (("b", "a"), [10.0, 2.0]), (("a",), [6.0]), (("c", "b"), [100.0, 30.0])])
        assert totals.means() == {"a": 3.0, "b": 20.0, "c": 100.0}
