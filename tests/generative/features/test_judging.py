import numpy as np
import pytest
import torch

from generative.data import array_data
from generative.features.judging import Learning, Lessons, kept_judge, learn


@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
def test_a_judge_learns_from_images_that_are_not_square(shape, tmp_path, monkeypatch):
    monkeypatch.setenv("GENERATIVE_CACHE", str(tmp_path))
    labels = np.arange(400) % 2
    images = np.random.default_rng(0).integers(0, 60, (400, *shape, 3)).astype(np.uint8)
    longer = int(np.argmax(shape))
    images.swapaxes(1, 1 + longer)[labels == 1, -6:] += 150  # a bar at the far end of the longer side
    lessons = Lessons.of(array_data("bars", images, labels=labels))
    learning = Learning(steps=60, batch=16)
    assert (lessons.config().height, lessons.config().width) == shape and kept_judge(lessons, learning) is None
    list(learn(lessons, learning))
    found = kept_judge(lessons, learning)
    assert found is not None and found.right["classes"] > 0.95
    few = torch.from_numpy(images[:4]).permute(0, 3, 1, 2) / 255
    assert found.judge.features(few).shape == (4, found.judge.config.hidden)
    with pytest.raises(ValueError, match="this judge knows those of"):
        found.judge(few.transpose(2, 3))
