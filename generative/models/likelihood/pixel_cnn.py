"""PixelCNN: an image's probability as a product over its pixels, each given those before it.

`p(x) = prod_i p(x_i | x_1, ..., x_i-1)` (van den Oord, Kalchbrenner & Kavukcuoglu 2016, arXiv 1601.06759, eq. 1): row
by row, from left to right, colour by colour, each factor a softmax over the levels of a pixel. Masked convolutions
compute all factors of an image at once. Gates, two stacks and the condition on a class are those of the gated PixelCNN
(van den Oord et al. 2016, arXiv 1606.05328); see `masked`. The probability is exact: it sums to 1 over all images.

Codes of a quantised autoencoder are images of one colour whose levels have no order: each level has a vector then. So
the model is the prior that a VQ-VAE draws images from (van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937,
section 3.3).

Sampling takes one pixel after the other. It keeps the features of what is drawn already, so that all pixels together
cost about as much as one look at a whole image (Ramachandran et al. 2017, arXiv 1704.06001).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from generative.core.component import CodeSpec
from generative.core.facts import Facts
from generative.data.fields import Field
from generative.data.needs import label_classes, square_image
from generative.models.checks import check_obs, check_sizes, checked_codes, labels_one_hot
from generative.networks.masked import GatedLayer, MaskedConv2d
from generative.objectives.variational import at_least_float32
from generative.sampling.decoding import Decoding, choose
from generative.sampling.dials import CategorySampling

FIRST_KERNEL = 7
KERNEL = 3


@dataclass(frozen=True)
class PixelCNNConfig:
    """Sizes of the gated PixelCNN."""

    image_size: int = 16
    """Height and width of the images in pixels."""
    channels: int = 1
    """Colour channels of the images."""
    levels: int = 16
    """Values that a pixel is rounded to, equally far apart from 0 to 1; of codes, how many there are."""
    categories: bool = False
    """The levels have no order, as codes: each has a vector of `width` numbers in place of its own value."""
    width: int = 32
    """Channels of every layer, rounded up to a multiple of the image's."""
    layers: int = 6
    """Gated layers, the first one included; each widens what a pixel sees."""
    conditional: bool = False
    """Tell every layer the class of the image; the data need labels."""
    classes: int = 10
    """Number of classes, for conditional."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "width", "layers", "classes")
        if self.categories and (self.levels < 2 or self.channels > 1):
            raise ValueError(f"levels={self.levels}, channels={self.channels}: codes are 2 or more, on a single map")
        if not self.categories and not 2 <= self.levels <= 256:
            raise ValueError(f"levels={self.levels}: give 2 to 256, the values that a stored pixel can have")


class PixelCNN(nn.Module):
    """The exact distribution of square images in [0, 1] whose pixels have a few levels."""

    type_name = "pixel-cnn"
    fixed_step = True
    seam = "model"
    Config = PixelCNNConfig
    Sampling: ClassVar[type] = CategorySampling
    refusals: ClassVar[Mapping[str, str]] = {
        name: "a PixelCNN has no latents: an image is drawn pixel by pixel"
        for name in ("encode", "decode", "reconstruct", "interpolate")
    }

    def __init__(self, config: PixelCNNConfig) -> None:
        super().__init__()
        self.config = config
        colours, told = config.channels, config.classes if config.conditional else 0
        width = -(-config.width // colours) * colours
        first = GatedLayer(width if config.categories else colours, width, FIRST_KERNEL, "A", colours, told)
        more = [GatedLayer(width, width, KERNEL, "B", colours, told) for _ in range(config.layers - 1)]
        self.layers = nn.ModuleList([first, *more])
        self.embedding = nn.Embedding(config.levels, width) if config.categories else None
        self.head = nn.Sequential(
            nn.ReLU(),
            MaskedConv2d(width, width, (1, 1), "B", colours=colours),
            nn.ReLU(),
            MaskedConv2d(width, config.levels * colours, (1, 1), "B", colours=colours),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Images or codes, and their classes where it is told them."""
        return ("code" if self.config.categories else "image", *(("label",) if self.config.conditional else ()))

    @property
    def levels(self) -> int:
        """Values that a pixel is rounded to; see `HasLevels`."""
        return self.config.levels

    @classmethod
    def sizes(cls, fields: Mapping[str, Field]) -> Facts:
        """Return image size and channels or the codes, and the classes where there are any; errors as of `FitsData`."""
        if "code" in fields:
            code = fields["code"]
            known = {"image_size": code.shape[0], "channels": 1, "levels": code.sizes[0], "categories": True}
        else:
            known = {**square_image(cls, fields), "categories": False}
        return {**known, **(label_classes(cls, fields) if "label" in fields else {})}

    def logits(
        self, levels: Int[Tensor, "B C H W"], labels: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B L C H W"]:
        """Return the scores of every level of every pixel, given the pixels before it.

        Raises:
            ValueError: labels are missing or out of range.
        """
        condition = self._condition(labels)
        rows = pixels = self._inside(levels)
        for layer in self._gated():
            rows_before = layer.rows.framed(rows)
            rows, told = layer.down(rows_before, condition)
            pixels = layer.along(layer.pixels.framed(pixels), pixels, told)
        return self._scores(pixels)

    def log_prob(self, obs: Tensor, labels: Int[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        """Return the log-probability in nats of images or codes given their labels.

        Args:
            obs: images (B C H W), whose pixels are rounded to levels; of a model of categories, codes (B H W).
            labels: class numbers, for a conditional model.

        Raises:
            ValueError: images of another size, codes out of range, or labels missing or out of range.
        """
        levels = self.quantised(obs)
        return -functional.cross_entropy(self.logits(levels, labels), levels, reduction="none").sum((1, 2, 3))

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the negative log-probability per image and `bits_per_dim`."""
        obs, *labels = batch if isinstance(batch, tuple | list) else (batch,)
        loss = -self.log_prob(obs, *labels).mean()
        return loss, {"bits_per_dim": loss.detach() / (math.log(2) * obs[0].numel())}

    @torch.no_grad()
    def sample(
        self,
        n: int,
        sampling: CategorySampling,
        generator: torch.Generator,
        labels: Int[Tensor, " n"] | None = None,
    ) -> Tensor:
        """Return images in [0, 1] (n C H W) or codes (n H W), a conditional model's of labels or of all in turn.

        Raises:
            ValueError: a label is out of range.
        """
        config, decoding = self.config, Decoding(sampling.temperature)
        device = self._weight.device
        if labels is None and config.conditional:
            labels = torch.arange(n, device=device) % config.classes
        drawn = torch.zeros(n, config.channels, config.image_size, config.image_size, dtype=torch.int64, device=device)
        past = _Past(self, drawn, self._condition(labels))
        for row in range(config.image_size):
            past.begin(row)
            for column in range(config.image_size):
                for colour in range(config.channels):
                    scores = self._scores(past.features(column))[:, :, colour, 0, 0]  # (n L)
                    drawn[:, colour, row, column] = choose(scores, decoding, generator)
                    past.put(row, column, self._inside(drawn[:, :, row, column]))
        if config.categories:
            return drawn[:, 0]
        return drawn.to(torch.get_default_dtype()) / (config.levels - 1)

    def quantised(self, obs: Tensor) -> Int[Tensor, "B C H W"]:
        """Return the numbers of the levels that pixels are nearest to, or codes; raise ValueError as `log_prob`."""
        if self.config.categories:
            return checked_codes(obs, CodeSpec(self.config.levels, (self.config.image_size,) * 2))[:, None]
        check_obs(obs, self.config)
        top = self.config.levels - 1
        return (obs.float() * top).round().clamp(0, top).long()

    def _inside(self, levels: Tensor) -> Tensor:
        """Return levels as numbers from -1 to 1, codes as their vectors; the frame around an image is 0."""
        if self.embedding is not None:
            return self.embedding(levels).movedim(-1, 1).flatten(1, 2)
        return levels.to(self._weight.dtype) * (2 / (self.config.levels - 1)) - 1

    @property
    def _weight(self) -> Tensor:
        """One of the weights, for their type and device."""
        return next(self.parameters())

    def _gated(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    def _scores(self, pixels: Tensor) -> Tensor:
        return at_least_float32(self.head(pixels.contiguous())).unflatten(1, (self.config.levels, self.config.channels))

    def _condition(self, labels: Tensor | None) -> Tensor | None:
        if not self.config.conditional:
            return None
        if labels is None:
            raise ValueError("labels: missing; a model with conditional=true needs one for each image")
        return labels_one_hot(labels, self.config.classes, self._weight)


class _Past:
    """The features of what is drawn already, layer by layer, in their frames of zeros."""

    def __init__(self, model: PixelCNN, image: Tensor, condition: Tensor | None) -> None:
        self._layers, self._condition = model._gated(), condition
        first = self._layers[0]
        like = first.link.weight
        empty = [like.new_zeros(len(image), layer.rows.in_channels, *image.shape[2:]) for layer in self._layers]
        self._rows = [layer.rows.framed(each) for layer, each in zip(self._layers, empty, strict=True)]
        self._pixels = [layer.pixels.framed(each[:, :, :1]) for layer, each in zip(self._layers, empty, strict=True)]
        self._told: list[Tensor] = []

    def begin(self, row: int) -> None:
        """Look at the rows above once for all pixels of a row."""
        self._told = []
        for place, layer in enumerate(self._layers):
            features, told = layer.down(self._rows[place][:, :, row : row + layer.rows.kernel_size[0]], self._condition)
            self._told.append(told)
            if place + 1 < len(self._layers):
                self._write(self._rows[place + 1], self._layers[place + 1].rows, row, features)

    def features(self, column: int) -> Tensor:
        """Return the last layer's features (B F 1 1) of a pixel of this row."""
        here = self._at(0, column)
        for place, layer in enumerate(self._layers):
            if place:
                self._at(place, column).copy_(here)
            window = self._pixels[place][..., column : column + layer.pixels.kernel_size[1]]
            here = layer.along(window, here, self._told[place][..., column : column + 1])
        return here

    def put(self, row: int, column: int, pixel: Float[Tensor, "B C"]) -> None:
        """Write a pixel, or the colours of it that are known."""
        self._at(0, column)[..., 0, 0] = pixel
        down, across = (side // 2 for side in self._layers[0].rows.kernel_size)
        self._rows[0][:, :, row + down, column + across] = pixel

    def _at(self, place: int, column: int) -> Tensor:
        middle = self._layers[place].pixels.kernel_size[1] // 2
        return self._pixels[place][..., column + middle : column + middle + 1]

    def _write(self, framed: Tensor, convolution: MaskedConv2d, row: int, features: Tensor) -> None:
        down, across = (side // 2 for side in convolution.kernel_size)
        framed[:, :, row + down, across : framed.shape[3] - across] = features[:, :, 0]
