"""What a vision (V) takes and gives: the one page that a vision from another package is written against."""

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from generative import LatentSpec
from generative.capabilities import Decodes
from generative.core.facts import Facts


@runtime_checkable
class Vision(Protocol):
    """A vision: an `nn.Module` that is also a `generative.Component`.

    Its `Config` may have fields `image_size` and `channels`, which are filled in at assembly. One that can also
    `decode(z (B Z)) -> (B C H W)` has its dreams shown as frames. Pixels are in [0, 1].
    """

    @property
    def latent_spec(self) -> LatentSpec:
        """Kind and size of the latent."""
        ...

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return mean and standard deviation of the latents of frames."""
        ...

    def loss(self, obs: Float[Tensor, "B C H W"], generator: torch.Generator) -> tuple[Tensor, Facts]:
        """Return what training lowers, and metrics by name."""
        ...

    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Judge held-out frames: `verdict`, "healthy" or what is wrong, and `reason`.

        Training is repeated, or the run stopped, unless the verdict is "healthy". A vision that can decode also gives
        `squared_error` and `baseline_squared_error` per frame, the second of `mean_frame`.
        """
        ...


@runtime_checkable
class DecodingVision(Vision, Decodes, Protocol):
    """A vision that also turns latents into frames."""


if TYPE_CHECKING:

    class VisionModule(nn.Module, Vision):
        """A vision as the `nn.Module` that it also is: to be moved, trained or saved."""

        type_name: ClassVar[str]

else:
    VisionModule = Vision


def check_vision(module: nn.Module) -> None:
    """Refuse a vision that lacks something that a stage will need.

    Raises:
        ValueError: says what it lacks.
    """
    wanted = ("latent_spec", "encode", "loss", "diagnose")
    lacking = [name for name in wanted if not hasattr(module, name)]
    if lacking:
        raise ValueError(
            f"{type(module).__name__} has no {' and no '.join(f'`{name}`' for name in lacking)}; see "
            "`worldmodels.vision.contract.Vision` for what a vision must do"
        )
