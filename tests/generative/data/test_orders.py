import itertools

import numpy as np
import pytest
import torch

from generative.data import Batches


def stream(count=45, batch=8, seed=3, order="shuffled", fields=1):
    """Batches of item numbers."""
    return Batches((torch.from_numpy,) * fields, count, batch, seed, order)


def taken(batches, start, count):
    return [
        [part.tolist() for part in each] if isinstance(each, tuple) else each.tolist()
        for each in itertools.islice(batches(start), count)
    ]


ORDERS = pytest.mark.parametrize("order", ["shuffled", "contiguous", "unpaired"])


@ORDERS
@pytest.mark.parametrize("start", [1, 4, 5, 6, 13])
def test_a_stream_can_be_taken_up_at_any_step(order, start):
    batches = stream(order=order, fields=2)  # 45 items: five batches an epoch
    assert taken(batches, start, 9) == taken(batches, 0, start + 9)[start:]


@ORDERS
def test_a_stream_is_a_function_of_its_seed(order):
    assert taken(stream(order=order), 0, 20) == taken(stream(order=order), 0, 20)
    assert taken(stream(order=order), 0, 20) != taken(stream(order=order, seed=4), 0, 20)


def test_an_epoch_shows_every_item_once_and_the_next_one_in_another_order():
    batches = taken(stream(batch=9), 0, 10)
    first, second = (list(itertools.chain(*part)) for part in (batches[:5], batches[5:]))
    assert sorted(first) == sorted(second) == list(range(45)) and first != second


def test_shuffled_fields_belong_together_and_unpaired_ones_do_not():
    assert all(one == other for one, other in taken(stream(fields=2), 0, 20))
    apart = taken(stream(fields=2, order="unpaired", batch=9), 0, 10)
    assert all(one != other for one, other in apart)
    for field in (0, 1):
        assert sorted(itertools.chain(*(each[field] for each in apart[:5]))) == list(range(45))


@pytest.mark.parametrize("count", [40, 45])
def test_rows_of_contiguous_batches_go_on_where_they_ended_and_walk_through_everything(count):
    batches = np.array(taken(stream(count, order="contiguous"), 0, count))  # (steps, rows)
    assert (batches[1:] == (batches[:-1] + 1) % count).all()
    assert all(sorted(row) == list(range(count)) for row in batches.T)
    assert (np.diff(np.sort(batches[0])) >= count // 8).all()  # no row walks where another has just been


def test_every_item_comes_once_where_that_is_asked_for():
    parts = list(stream(batch=8).once())
    assert [len(part) for part in parts] == [8] * 5 + [5]
    assert sorted(torch.cat(parts).tolist()) == list(range(45))
    assert parts[0].tolist() == taken(stream(batch=8), 0, 1)[0]


def test_batches_refuse_what_cannot_be_done():
    with pytest.raises(ValueError, match="batch=46: the data has 45 items"):
        stream(batch=46)
    with pytest.raises(ValueError, match="batch=0"):
        stream(batch=0)
    with pytest.raises(ValueError, match="seed=-1"):
        stream(seed=-1)
