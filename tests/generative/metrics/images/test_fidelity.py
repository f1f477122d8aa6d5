import math

import pytest
import torch

from generative.core.options import ComponentError
from generative.metrics import psnr, squared_error, ssim
from generative.metrics.images import fidelity


def images(count=3, size=16, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_equal_images_are_perfect():
    x = images()
    assert squared_error(x, x) == 0
    assert psnr(x, x) == math.inf
    assert ssim(x, x) == pytest.approx(1)


def test_a_constant_error_in_closed_form():
    x = 0.5 * images()
    assert squared_error(x, x + 0.1) == pytest.approx(0.01, rel=1e-5)
    assert psnr(x, x + 0.1) == pytest.approx(20, abs=1e-4)


def test_one_perfect_image_does_not_make_psnr_infinite():
    x = 0.5 * images(2)
    y = torch.cat([x[:1], x[1:] + 0.1])
    assert psnr(x, y) == pytest.approx(10 * math.log10(2 / 0.01), abs=1e-4)


def test_ssim_of_flat_images_in_closed_form():
    a, b = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    c1 = 0.01**2
    assert ssim(a, b) == pytest.approx((2 * 0.2 * 0.6 + c1) / (0.2**2 + 0.6**2 + c1), rel=1e-5)


def test_ssim_of_an_inverted_contrast_in_closed_form():
    # Stripes about the same mean with opposite signs: luminance term 1, structure term -1 up to the constant.
    stripes = torch.tensor([-0.5, 0.5]).repeat(16).expand(1, 1, 32, 32)
    value = ssim(0.5 + stripes, 0.5 - stripes)
    c2 = 0.03**2
    assert value == pytest.approx((-2 * 0.25 + c2) / (2 * 0.25 + c2), abs=0.02)


def test_ssim_sees_structure_where_squared_error_does_not():
    x = 0.25 + 0.5 * images(4, 32)
    noise = 0.1 * torch.sign(torch.randn(x.shape, generator=torch.Generator().manual_seed(1)))
    assert squared_error(x, x + 0.1) == pytest.approx(squared_error(x, x + noise), rel=1e-3)
    assert ssim(x, x + 0.1) > ssim(x, x + noise) + 0.02


def test_ssim_of_many_images_is_the_mean_and_takes_the_memory_of_few(monkeypatch):
    x, y = images(7), images(7, seed=1)
    whole, asked, measure = ssim(x, y), [], fidelity.structural_similarity_index_measure

    def counted(copy, original, **options):
        asked.append(len(copy))
        return measure(copy, original, **options)

    monkeypatch.setattr(fidelity, "BATCH", 3)
    monkeypatch.setattr(fidelity, "structural_similarity_index_measure", counted)
    assert ssim(x, y) == pytest.approx(whole, abs=1e-12) and asked == [3, 3, 1]
    assert whole == pytest.approx(sum(ssim(*pair) for pair in zip(x[:, None], y[:, None], strict=True)) / 7, abs=1e-12)


def test_one_wrong_pixel_spoils_fewer_narrow_windows():
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32)
    small = 0.5 + 0.1 * (stripes - 0.5)
    spot = small.clone()
    spot[..., 16, 16] = 1.0
    assert ssim(small, spot, sigma=0.5) > ssim(small, spot, sigma=1.5) + 0.01


def test_wrong_ranges_and_sizes_are_refused():
    x = images()
    with pytest.raises(ComponentError, match=r"\[0, 1\]"):
        psnr(x, 2 * x - 1)
    with pytest.raises(ComponentError, match="spans 11 pixels of 8"):
        ssim(images(size=8), images(size=8))
    assert ssim(images(size=8), images(size=8), sigma=0.5) == pytest.approx(1)
