"""What models share that learn square images or points, as their option `layout` says."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import square_image
from generative.models.checks import check_colours, check_obs, check_points


class ImagesOrPoints(nn.Module):
    """A model whose config has `layout`, and `image_size` and `channels` of images or `dimensions` of points."""

    config: Any

    @property
    def inputs(self) -> tuple[str, ...]:
        """Points or images, as the layout says."""
        return ("point",) if self.config.layout == "points" else ("image",)

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return the layout, and dimensions of points or size and channels of images; errors as of `FitsData`."""
        if "point" in fields:
            return {"layout": "points", "dimensions": fields["point"].shape[0]}
        return {"layout": "convolutions", **square_image(cls, fields)}

    @property
    def _shape(self) -> tuple[int, ...]:
        """The shape of an item."""
        c = self.config
        return (c.dimensions,) if c.layout == "points" else (c.channels, c.image_size, c.image_size)

    def _inside(self, obs: Tensor) -> Tensor:
        """Return checked data as networks see them: points as they are, images from -1 to 1."""
        if self.config.layout == "points":
            check_points(obs, self.config.dimensions)
            return obs
        check_obs(obs, self.config)
        check_colours(obs)
        return 2 * obs - 1
