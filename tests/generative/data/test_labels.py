import numpy as np
import pytest
import torch

from generative.data.labels import check_labels, whole_label


def test_a_column_is_as_good_as_a_row():
    names, numbers = check_labels(np.array([[0], [2], [1]], ">u2"), (), [])
    assert names == ("0", "1", "2") and numbers.tolist() == [0, 2, 1] and numbers.dtype == np.int64


@pytest.mark.parametrize(("classes", "names"), [((), ("1", "2", "3")), (("a", "b", "c"), ("a", "b", "c"))])
def test_labels_from_1_leave_no_empty_class_and_are_told(classes, names):
    notes = []
    found, numbers = check_labels(np.array([3, 1, 2]), classes, notes)
    assert found == names and numbers.tolist() == [2, 0, 1]
    assert notes == ["labels from 1 to 3: class 1 is number 0"]


def test_a_class_without_images_is_kept_where_the_names_say_so():
    notes = []
    assert check_labels(np.array([1, 2]), ("a", "b", "c"), notes)[1].tolist() == [1, 2] and not notes


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (np.eye(3, dtype=int), (), r"shape \(3, 3\): expected one per image; give labels\.argmax\(1\)"),
        (np.array([20231105, 20231106]), (), "labels up to 20231106 for 2 images: no class numbers"),
        (np.array([0, 3]), ("a", "b", "c"), "labels from 0 to 3: give 0 to 2"),
        (np.array([0, 1]), ("a", "a"), "'a' twice; give every class a name of its own"),
        (np.array([0.0, 1.0]), (), "expected one whole number per image"),
        (np.array(["cat", "dog"]), (), "expected one whole number per image"),
    ],
)
def test_what_is_no_class_number_is_refused(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        check_labels(labels, classes, [])


@pytest.mark.parametrize(
    "label", [3, 3.0, np.uint8(3), np.array([3]), np.array([[3.0]]), torch.tensor(3), torch.tensor([3])]
)
def test_one_label_comes_in_many_clothes(label):
    assert whole_label(label, "mine[0]") == 3


@pytest.mark.parametrize("label", [0.7, "cat", "3", None, torch.tensor([0, 1]), np.array([]), np.array([0.5])])
def test_one_label_is_never_guessed(label):
    with pytest.raises(ValueError, match=r"mine\[0\]: label .*; expected one whole number"):
        whole_label(label, "mine[0]")
