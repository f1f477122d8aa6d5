import numpy as np
import pytest

from generative import ComponentError
from generative.data import CifarConfig

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def records(pictures, *labels):
    columns = [np.asarray(each, np.uint8)[:, None] for each in labels]
    return np.concatenate([*columns, pictures.transpose(0, 3, 1, 2).reshape(len(pictures), -1)], 1).tobytes()


def cifar10(folder):
    for number in range(1, 6):
        (folder / f"data_batch_{number}.bin").write_bytes(records(images(4, number), [number] * 4))
    (folder / "test_batch.bin").write_bytes(records(images(3, 9), [9, 8, 7]))
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")


def test_cifar_10_is_read_with_its_own_test_set(tmp_path):
    cifar10(tmp_path)
    data = CifarConfig(str(tmp_path)).load()
    assert data.names("label") == tuple(NAMES) and data.item.shape == (32, 32, 3) and len(data) == 20
    assert (data.get("image", np.arange(4)) == images(4, 1)).all()
    assert data.get("label", np.array([0, 4, 19])).tolist() == [1, 2, 5]
    held = data.held_out()
    assert (held.get("image", np.arange(3)) == images(3, 9)).all() and held.get("label", np.arange(3)).tolist() == [
        9,
        8,
        7,
    ]


def test_cifar_100_uses_the_fine_classes(tmp_path):
    (tmp_path / "train.bin").write_bytes(records(images(5, 0), [1] * 5, [11, 22, 33, 44, 99]))
    (tmp_path / "test.bin").write_bytes(records(images(2, 1), [2] * 2, [0, 1]))
    data = CifarConfig(str(tmp_path)).load()
    assert len(data.names("label")) == 100 and data.get("label", np.arange(5)).tolist() == [11, 22, 33, 44, 99]
    assert (data.held_out().get("image", np.arange(2)) == images(2, 1)).all()


def test_foreign_and_damaged_folders_are_named(tmp_path):
    with pytest.raises(ComponentError, match=r"data_batch_1\.bin: no such file; give the unpacked folder"):
        CifarConfig(str(tmp_path)).load()
    (tmp_path / "data_batch_1").write_bytes(b"a pickle")
    with pytest.raises(ComponentError, match="these are pickles"):
        CifarConfig(str(tmp_path)).load()
    cifar10(tmp_path)
    whole = (tmp_path / "test_batch.bin").read_bytes()
    for content, message in (
        (whole[:-10], "no whole number of images"),
        (b"", "0 bytes are no whole number"),
        (b"\xff" + whole[1:], "label 255 of 10 classes"),
    ):
        (tmp_path / "test_batch.bin").write_bytes(content)
        with pytest.raises(ComponentError, match=rf"test_batch\.bin: .*{message}"):
            CifarConfig(str(tmp_path)).load()
    (tmp_path / "test_batch.bin").write_bytes(whole)
    (tmp_path / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(ComponentError, match="2 names for 10 classes"):
        CifarConfig(str(tmp_path)).load()
