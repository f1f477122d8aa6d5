import pytest
import torch

from worldmodels.vision.registry import VISIONS


def made(**options):
    return VISIONS.create("frames", {"side": 8, "image_size": 16, **options}, 0)


def test_the_latent_is_the_smaller_frame_and_comes_back_at_its_size():
    obs = torch.rand(2, 3, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    z, std = made().encode(obs)
    assert z.shape == (2, 192) == (2, made().latent_spec.size) and not std.any()
    torch.testing.assert_close(z.view(2, 3, 8, 8) / 4 + 0.5, obs[..., ::2, ::2])
    even = torch.full((1, 3, 16, 16), 0.3)
    torch.testing.assert_close(made().reconstruct(even), even)
    assert made().decode(torch.full((1, 192), 99.0)).max() == 1.0


def test_it_tells_how_much_is_left():
    smooth, fine = torch.rand(16, 3, 2, 2), torch.rand(16, 3, 16, 16)
    smooth = torch.nn.functional.interpolate(smooth, (16, 16), mode="bilinear")
    facts, lost = made().diagnose(smooth), made().diagnose(fine)
    assert facts["verdict"] == "healthy" and facts["explained"] > 0.95 > 0.5 > lost["explained"]


@pytest.mark.parametrize("side", [0, 7, 32])
def test_a_side_that_does_not_divide_the_frame_is_refused(side):
    with pytest.raises(ValueError, match=f"side={side}"):
        made(side=side)
