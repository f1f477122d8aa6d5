import itertools
from typing import Any

import pytest
import torch

from generative import FitConfig, fit
from generative.models.painting.cycle_gan import CycleGAN, CycleGANConfig
from generative.objectives import adversarial

SMALL: dict[str, Any] = {"image_size": 16, "channels": 1, "width": 4, "blocks": 1, "critic_width": 4}
SMALL |= {"halvings": 2, "critic_halvings": 1, "history": 6}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(**options) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(CycleGANConfig(**{**SMALL, **options}))


def squares(n: int, seed: int) -> torch.Tensor:
    """Bright squares on a dark ground."""
    images = torch.zeros(n, 1, 16, 16)
    for image, (top, left) in zip(images, torch.randint(0, 10, (n, 2), generator=noise(seed)).tolist(), strict=True):
        image[:, top : top + 6, left : left + 6] = 1.0
    return images


def pair(step: int, n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Squares on a dark ground, and other squares on a grey one."""
    return squares(n, 2 * step), 0.5 + 0.5 * squares(n, 2 * step + 1)


both = pytest.mark.parametrize("generator", ["resnet", "unet"])


@both
def test_the_generators_go_down_the_losses_of_the_paper(generator):
    module, (first, second) = made(generator=generator, cycle=7.0, identity=3.0), pair(0)
    x, y = 2 * first - 1, 2 * second - 1
    there, back = module.generators["second"], module.generators["first"]
    scores = module.critics["second"](there(x)), module.critics["first"](back(y))
    fooled = sum((each - 1).square().mean() for each in scores)
    cycle = (back(there(x)) - x).abs().mean() + (there(back(y)) - y).abs().mean()
    identity = (there(y) - y).abs().mean() + (back(x) - x).abs().mean()
    objective = next(module.objectives([(first, second)], 0, noise()))
    assert objective.part == "generators"
    torch.testing.assert_close(objective.loss, fooled + 7 * cycle + 3 * identity)
    torch.testing.assert_close(objective.metrics["cycle"], cycle.detach())


def test_critics_see_made_images_of_earlier_steps():
    module, seen = made(history=4), []
    for critic in module.critics.values():
        critic.register_forward_hook(lambda _, given, scores: seen.append(given[0].detach().clone()))
    earlier: list[torch.Tensor] = []
    old = 0
    for step in range(6):
        seen.clear()
        objectives = list(module.objectives([pair(step)], step, noise(step)))
        assert [each.part for each in objectives] == ["generators", "critics"]
        new, real, shown = seen[1], seen[4], seen[5]  # of the second domain
        torch.testing.assert_close(real, 2 * pair(step)[1] - 1)
        for image, fresh in zip(shown, new, strict=True):
            assert torch.equal(image, fresh) or any(torch.equal(image, each) for each in earlier)
            old += not torch.equal(image, fresh)
        earlier += list(new)
    assert old > 4
    real_scores, made_scores = (module.critics["second"](each).flatten() for each in (real, shown))
    loss = adversarial.critic_loss("least-squares", real_scores, made_scores)
    real_scores, made_scores = (module.critics["first"](each).flatten() for each in seen[2:4])
    torch.testing.assert_close(
        objectives[1].loss, loss + adversarial.critic_loss("least-squares", real_scores, made_scores)
    )


@pytest.mark.parametrize("history", [0, 6])
def test_the_critics_loss_takes_made_images_as_they_are(history):
    module = made(history=history)
    for objective in module.objectives([pair(0)], 0, noise()):
        for part in module.parts:
            parameters = list(module.get_submodule(part).parameters())
            found = torch.autograd.grad(objective.loss, parameters, allow_unused=True, retain_graph=True)
            reached = {each is not None for each in found}
            assert reached == {part == objective.part or objective.part == "generators"}


@pytest.mark.long
@pytest.mark.slow
@both
def test_unpaired_images_teach_the_translation(generator):
    module = made(generator=generator, width=8, critic_width=8)
    config = FitConfig(steps=80, learning_rate=2e-3)
    list(fit(module, lambda start: map(pair, itertools.count(start)), config, seed=0))
    first, second = squares(8, 10**6), 0.5 + 0.5 * squares(8, 10**6)
    with torch.no_grad():
        errors = [
            (module.translate(first, "forward") - second).abs().mean().item(),
            (module.translate(second, "backward") - first).abs().mean().item(),
        ]
    assert max(errors) < 0.15  # left as they are, they would be wrong by 0.43


def test_the_history_is_in_checkpoints_and_in_no_saved_model(tmp_path):
    def run(steps: int, folder: Any = None) -> CycleGAN:
        module = made()
        stream = lambda start: map(pair, itertools.count(start))  # noqa: E731
        list(fit(module, stream, FitConfig(steps=steps), seed=0, checkpoint=folder))
        return module

    whole = run(4)
    run(2, tmp_path)
    resumed = run(4, tmp_path)
    assert not any("history" in name for name in whole.state_dict())
    buffers = dict(whole.named_buffers())
    assert buffers["history.first.images"].any() and buffers["history.second.count"] == 16
    assert all(torch.equal(each, buffers[name]) for name, each in resumed.named_buffers())
    assert all(torch.equal(each, whole.state_dict()[name]) for name, each in resumed.state_dict().items())


def test_the_domains_are_fields_of_the_data():
    assert made(domains=("track", "recoloured")).inputs == ("track", "recoloured")
    with pytest.raises(ValueError, match=r"domains=\('image', 'image'\)"):
        made(domains=("image", "image"))


def test_directions_and_sizes_are_checked():
    module = made()
    with pytest.raises(ValueError, match="direction='sideways': give forward or backward"):
        module.translate(squares(1, 0), "sideways")
    with pytest.raises(ValueError, match="image_size"):
        module.translate(torch.rand(1, 1, 8, 8), "forward")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 18}, "image_size=18"),
        ({"generator": "unet", "halvings": 4}, "image_size=16"),
        ({"critic_halvings": 3}, "critic_halvings=3"),
        ({"cycle": -1.0}, "cycle=-1"),
        ({"momentum": 1.0}, "momentum=1"),
    ],
)
def test_a_senseless_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        made(**options)
