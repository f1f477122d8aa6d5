"""The memory that denoises frames: what its U-Net is shown, and that it learns where a patch of pixels moves."""

import pytest
import torch

from tests.small import small_config
from tests.worldmodels.memories.batches import generator
from worldmodels import RunError
from worldmodels.agent.build import check_config
from worldmodels.memories import MEMORIES, SequenceBatch

SIDE = 8
OPTIONS = {"latent": SIDE**2, "action": 1, "hidden": 16, "width": 16, "history": 2, "side": SIDE}


def moving_world(episodes: int, steps: int, seed: int) -> SequenceBatch:
    """A bright column that the action moves to the left or to the right, by one pixel, round a ring."""
    draw = generator(seed)
    action = torch.randint(0, 2, (episodes, steps, 1), generator=draw).float() * 2 - 1
    first = torch.randint(0, SIDE, (episodes, 1), generator=draw).float()
    place = torch.cat([first, first + action[..., 0].cumsum(1)], 1).long() % SIDE
    frames = torch.nn.functional.one_hot(place, SIDE).float()[:, :, None].expand(-1, -1, SIDE, -1).flatten(2)
    nothing = torch.zeros(episodes, steps)
    return SequenceBatch(
        2 * frames - 0.25, torch.zeros_like(frames), action, nothing, nothing, torch.ones_like(nothing).bool()
    )


@pytest.fixture(scope="module")
def trained():
    memory = MEMORIES.create("frame-diffusion", {**OPTIONS, "reward": False, "termination": False, "steps": 5}, 0)
    optimiser, draw = torch.optim.Adam(memory.parameters(), lr=4e-3), generator(1)
    for step in range(250):
        optimiser.zero_grad()
        memory.loss(moving_world(16, 8, step), draw)[0].backward()
        optimiser.step()
    return memory.eval()


@pytest.mark.slow
@torch.no_grad()
def test_draws_move_what_the_action_moves(trained):
    batch = moving_world(64, 3, 999)
    normal = torch.randn(64, SIDE**2, generator=generator(3))

    def drawn(action: torch.Tensor) -> torch.Tensor:
        state = trained.initial(64)
        for step in range(2):
            state = trained.advance(batch.mean[:, step], batch.action[:, step], state)
        return trained.step(batch.mean[:, 2], action, state)[0].sample(1.0, normal, normal)

    def column(frames: torch.Tensor) -> torch.Tensor:
        return frames.view(-1, SIDE, SIDE).mean(1).argmax(1)

    after, other = drawn(batch.action[:, 2]), drawn(-batch.action[:, 2])
    assert (column(after) == column(batch.mean[:, 3])).float().mean() > 0.95
    assert (column(other) == column(batch.mean[:, 3])).float().mean() < 0.05
    assert (after - batch.mean[:, 3]).square().mean() < 0.1 * (batch.mean[:, 3] - batch.mean[:, 2]).square().mean()


@torch.no_grad()
def test_every_pixel_is_seen_at_its_place():
    memory = MEMORIES.create("frame-diffusion", {**OPTIONS, "latent": 3 * SIDE**2, "width": 8}, 0)
    seen = {}
    memory.denoiser.register_forward_pre_hook(lambda module, given: seen.update(images=given[0], told=given[2]))
    z, action = torch.randn(2, 3, 3 * SIDE**2), torch.randn(2, 3, 1)
    hidden, _ = memory.unroll(z, action, None)
    noisy = torch.randn(2, 3 * SIDE**2)
    memory.denoise(hidden[:, -1], noisy, torch.full((2, 1), 0.5))
    images = torch.nn.functional.pixel_shuffle(seen["images"], 2).view(2, 3, 3, SIDE, SIDE)
    torch.testing.assert_close(images[:, 0].flatten(1), noisy / 0.5**0.5, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(images[:, 1:].flatten(2), z[:, -2:])  # the one before, then the present one
    torch.testing.assert_close(seen["told"][:, -2:], action[:, -2:, 0])


def test_in_training_some_real_steps_are_denoised_and_no_padding(monkeypatch):
    memory = MEMORIES.create("frame-diffusion", {**OPTIONS, "denoised": 3}, 0)
    batch = moving_world(4, 6, 0)
    mask = torch.arange(6) < torch.tensor([[6], [4], [1], [3]])
    padded = batch._replace(mean=torch.where(torch.arange(7)[:, None] <= mask.sum(1)[:, None, None], batch.mean, 1e9))
    seen = []
    memory.denoiser.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    loss, _ = memory.loss(padded._replace(mask=mask), generator())
    assert [len(each) for each in seen] == [12, 12] and loss < 1e6  # for the Gaussian and for the denoising
    seen.clear()
    memory.eval().loss(batch, generator())
    assert [len(each) for each in seen] == [24, 24]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"side": 12}, "side=12: give a multiple of 8"), ({"latent": 32}, "no frames of 8 x 8"), ({"denoised": 0}, "=0")],
)
def test_senseless_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        MEMORIES.create("frame-diffusion", {**OPTIONS, **options})


def test_it_asks_for_the_vision_whose_latents_are_frames():
    config = small_config(memory={"type": "frame-diffusion"})
    with pytest.raises(RunError, match=r"memory: side=32: latents of \d+ numbers .* choose vision.type frames"):
        check_config(config)
    frames = small_config(
        vision={"type": "frames", "options": {"side": 8}},
        memory={"type": "frame-diffusion", "options": {"side": 8}},
    )
    check_config(frames)
