"""Vector-quantised VAE: a small grid of positions, each one of K learned vectors.

van den Oord, Vinyals & Kavukcuoglu 2017 (arXiv 1711.00937): straight-through gradients, a commitment loss, and a
codebook that follows running means of the encodings (appendix A.1). Codes that hardly any encoding chooses are
set down again on encodings of the present batch (as in Jukebox, Dhariwal et al. 2020, arXiv 2005.00341), or most of
the codebook stays where it was drawn. As a vision it gives the chosen vectors of all positions, flat and at unit
spread; `decode` takes any such numbers and puts every position on its nearest code first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from generative.core.component import CodeSpec, LatentSpec
from generative.core.facts import Facts
from generative.core.options import ComponentError
from generative.models.autoencoders.health import active_units, errors, verdict
from generative.models.autoencoders.image_autoencoder import ImageAutoencoder
from generative.models.autoencoders.latents import ESTIMATE_FRAMES, LatentScale, encode_many, take
from generative.models.checks import check_image_size, check_not_negative, check_obs, check_sizes, checked_codes
from generative.networks.convolutions import PATCH, draw_he, grid_decoder, grid_encoder
from generative.objectives.variational import at_least_float32, one_of, squared_error

MOST_FEATURES = 64
"""Numbers that a controller and a memory take from a vision at most."""
DEAD_SHARE = 0.05
"""Of the codes, below which so few are in use that the rest of the codebook is dead."""


@dataclass(frozen=True)
class VQVAEConfig:
    """Sizes, codebook and loss of the quantised autoencoder."""

    image_size: int = 64
    """Height and width of the frames in pixels; a multiple of 16."""
    channels: int = 3
    """Colour channels of the frames."""
    width: int = 32
    """Channels of the finest level; coarser levels have multiples of it."""
    codes: int = 256
    """K, vectors in the codebook."""
    code: int = 4
    """D, dimensions of a vector."""
    grid: int = 0
    """G, positions along each side; 0 for the finest grid whose z has at most 64 numbers."""
    commitment: float = 0.25
    """Weight of the squared distance of encodings from their codes."""
    decay: float = 0.99
    """Of the running means that the codebook follows, per step."""
    restart: float = 0.1
    """A code chosen less than this share of 1 / codes of the time is set down anew; 0 never does."""

    def __post_init__(self) -> None:
        check_sizes(self, "image_size", "channels", "width", "codes", "code")
        check_not_negative(self, "grid", "commitment", "restart")
        check_image_size(self)
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay={self.decay}: must be at least 0 and below 1; 0.99 is a usual value")
        if not self.restart < 1:
            raise ValueError(f"restart={self.restart}: must be below 1, or codes in equal use were restarted; use 0.1")
        if self.grid and self.grid not in self.grids():
            raise ValueError(
                f"grid={self.grid}: frames of {self.image_size} pixels halve down to {self.grids()}; use one of them"
            )

    def grids(self) -> list[int]:
        """Return the positions along a side that are possible, from fine to coarse."""
        found = [self.image_size // PATCH]
        while found[-1] % 2 == 0:
            found.append(found[-1] // 2)
        return found

    @property
    def side(self) -> int:
        """G, chosen or as fine as 64 numbers allow."""
        small = [side for side in self.grids() if side**2 * self.code <= MOST_FEATURES]
        return self.grid or (small or self.grids()[-1:])[0]

    @property
    def latent(self) -> int:
        """Z = D * G * G, numbers in a flat z."""
        return self.code * self.side**2


class VQVAE(ImageAutoencoder):
    """Quantising encoder and decoder of square images in [0, 1]."""

    type_name = "vq-vae"
    fixed_step = True
    seam = "vision"
    Config = VQVAEConfig
    refusals: ClassVar[Mapping[str, str]] = {
        "sample": "a VQ-VAE has no prior over its codes; images of random codes mean nothing. Train a prior over "
        "them: `generative train pixel-cnn --data codes --data.run RUN`",
        "log_prob": "a VQ-VAE has no prior over its codes, so no probability of images",
    }
    codebook: Tensor
    usage: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        halvings = config.grids().index(config.side)
        self.encoder = grid_encoder(config.channels, config.code, halvings, config.width)
        self.decoder = grid_decoder(config.channels, config.code, halvings, config.width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw_he(self.encoder)
        draw_he(self.decoder)
        codebook = torch.randn(config.codes, config.code)
        self.register_buffer("codebook", codebook)  # (K D)
        self.register_buffer("usage", torch.full((config.codes,), 1 / config.codes))  # running share of choices
        self.register_buffer("sums", codebook / config.codes)  # running sums of the encodings that chose a code
        self.register_buffer("started", torch.zeros((), dtype=torch.int64))
        self.scale = LatentScale(config.latent)

    @property
    def latent_spec(self) -> LatentSpec:
        """What `encode` returns; refuses with a ComponentError when that is too much for a controller."""
        if self.config.latent > MOST_FEATURES:
            raise ComponentError(
                f"vq-vae: z has {self.config.latent} numbers, a vision has at most {MOST_FEATURES}; "
                "use a smaller `code` or `grid`"
            )
        return LatentSpec("continuous", self.config.latent)

    def encode(self, obs: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B Z"], Float[Tensor, "B Z"]]:
        """Return the codes' vectors, flat and at unit spread once `estimate` was called, and a deviation of 0.

        Raises:
            ValueError: the images do not have the configured channels and size.
        """
        encodings = self._encodings(obs)
        z = self.scale(self._flat(self._vectors(self._nearest(encodings)), len(obs)))
        return z, torch.zeros_like(z)

    @property
    def code_spec(self) -> CodeSpec:
        """What `codes` returns."""
        return CodeSpec(self.config.codes, (self.config.side, self.config.side))

    def codes(self, obs: Float[Tensor, "B C H W"]) -> Int[Tensor, "B G G"]:
        """Return the number of the code at every position; errors as of `encode`."""
        side = self.config.side
        return self._nearest(self._encodings(obs)).unflatten(0, (len(obs), side, side))

    def code_table(self) -> Float[Tensor, "P K D"]:
        """Return the numbers of z that each code has at each of the G * G positions."""
        every = self.codebook[:, None].expand(-1, self.config.side**2, -1)  # (K P D)
        z = self.scale(self._flat(at_least_float32(every.flatten(0, 1)), len(every)))
        return z.unflatten(1, (self.config.code, -1)).permute(2, 0, 1)

    def decode(self, z: Float[Tensor, "B Z"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] of latents after each of their positions went to its nearest code."""
        positions = self.scale.undo(z).unflatten(1, (self.config.code, -1)).transpose(1, 2).flatten(0, 1)  # (B*G*G D)
        return self._decode(self._vectors(self._nearest(positions)), len(z))

    def decode_codes(self, codes: Int[Tensor, "B G G"]) -> Float[Tensor, "B C H W"]:
        """Return the images in [0, 1] that codes stand for; raise ValueError where they are not as `code_spec` says."""
        return self._decode(self._vectors(checked_codes(codes, self.code_spec).flatten()), len(codes))

    def reconstruct(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return what is left of images after the codes."""
        return self._decode(self._vectors(self._nearest(self._encodings(obs))), len(obs))

    def loss(
        self, obs: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the loss per image, its squared error and commitment, and the codebook's `perplexity`.

        In training the codebook moves too, and `restarted` counts the codes that were set down anew.
        """
        encodings = self._encodings(obs)  # (N D)
        restarted = self._restart(encodings.detach(), generator) if self.training else None
        chosen = self._nearest(encodings)
        vectors = self._vectors(chosen)
        if self.training:
            self._follow(encodings.detach(), chosen)
        commitment = (encodings - vectors).square().sum() / len(obs)
        passed = encodings + (vectors - encodings).detach()  # the decoder sees codes, gradients pass through
        error = squared_error(obs, self._decode(passed, len(obs)))
        metrics = {"squared_error": error.detach(), "commitment": commitment.detach()}
        metrics["perplexity"] = perplexity(chosen, self.config.codes)
        if restarted is not None:
            metrics["restarted"] = restarted
        return error + self.config.commitment * commitment, metrics

    def estimate(self, batches: Iterator[Tensor], generator: torch.Generator) -> None:
        """Bring latents to unit spread over some images, (B C H W) in [0, 1]."""

        def flat(part: Tensor) -> Tensor:
            return self._flat(self._vectors(self._nearest(self._encodings(part))), len(part))

        self.scale.estimate(encode_many(flat, take(batches, ESTIMATE_FRAMES)))

    @torch.no_grad()
    def diagnose(self, obs: Float[Tensor, "B C H W"], mean_frame: Float[Tensor, "C H W"] | None = None) -> Facts:
        """Tell a working model from one that sees nothing or uses few of its codes; arguments as of `VAE.diagnose`.

        Returns:
            `squared_error` and `baseline_squared_error` per image, `explained`, `active_units`, `perplexity`
            and `used_codes` over these images, `verdict` "healthy", "collapsed" or "dead-codes", `reason`.
        """
        chosen = self._nearest(self._encodings(obs))
        facts: Facts = errors(obs, self.reconstruct(obs), mean_frame)
        active, used = active_units(self.encode(obs)[0]), len(chosen.unique())
        remedy = "lower the learning rate, or train longer"
        judgement, reason = verdict(facts["explained"], active, self.config.latent, remedy)
        spread = perplexity(chosen, self.config.codes).item()
        reason += f"; {used} of {self.config.codes} codes in use, perplexity {spread:.1f}"
        if judgement == "healthy" and used < DEAD_SHARE * self.config.codes:
            judgement = "dead-codes"
            reason += "; raise `restart`, train longer, or give the codebook fewer codes"
        more = {"active_units": active, "perplexity": spread, "used_codes": used}
        return {**facts, **more, "verdict": judgement, "reason": reason}

    def _encodings(self, obs: Float[Tensor, "B C H W"]) -> Float[Tensor, "N D"]:
        """Return the encoder's vector at every position, before it goes to a code."""
        check_obs(obs, self.config)
        return at_least_float32(self.encoder(obs)).permute(0, 2, 3, 1).flatten(0, 2)  # (B*G*G D)

    def _nearest(self, positions: Float[Tensor, "N D"]) -> Int[Tensor, " N"]:
        book = at_least_float32(self.codebook)
        # Not by way of a product of matrices, which loses small distances, and in half precision all of them.
        distance = torch.cdist(positions.detach(), book, compute_mode="donot_use_mm_for_euclid_dist")  # (N K)
        return distance.argmin(1)

    def _vectors(self, chosen: Int[Tensor, " N"]) -> Float[Tensor, "N D"]:
        return at_least_float32(self.codebook[chosen])

    def _flat(self, vectors: Float[Tensor, "N D"], images: int) -> Float[Tensor, "B Z"]:
        return vectors.unflatten(0, (images, -1)).transpose(1, 2).flatten(1)  # (B D*G*G)

    def _decode(self, vectors: Float[Tensor, "N D"], images: int) -> Float[Tensor, "B C H W"]:
        side = self.config.side
        grid = vectors.unflatten(0, (images, side, side)).permute(0, 3, 1, 2)  # (B D G G)
        return at_least_float32(self.decoder(grid.to(self.decoder[0].weight.dtype)))

    @torch.no_grad()
    def _restart(self, encodings: Float[Tensor, "N D"], generator: torch.Generator) -> Float[Tensor, ""]:
        """Set unused codes, at the first step all of them, on encodings of the batch; return how many."""
        dead = (self.usage < self.config.restart / self.config.codes) | (self.started == 0)  # (K)
        size = (self.config.codes,)
        drawn = torch.randint(len(encodings), size, generator=generator, device=generator.device)
        fresh = encodings[drawn.to(encodings.device)]  # (K D)
        equal = torch.full_like(self.usage, 1 / self.config.codes)
        self.codebook.copy_(torch.where(dead[:, None], fresh, self.codebook))
        self.usage.copy_(torch.where(dead, equal, self.usage))
        self.sums.copy_(torch.where(dead[:, None], fresh * equal[:, None], self.sums))
        self.started.fill_(1)
        return dead.sum().float()

    @torch.no_grad()
    def _follow(self, encodings: Float[Tensor, "N D"], chosen: Int[Tensor, " N"]) -> None:
        """Move the running means (eq. 6 to 8 of the paper, as shares instead of counts) and codes after them."""
        one_hot = one_of(chosen, self.config.codes).to(encodings.dtype)  # (N K)
        self.usage.lerp_(one_hot.mean(0), 1 - self.config.decay)
        with torch.autocast(encodings.device.type, enabled=False):
            self.sums.lerp_(one_hot.T @ encodings / len(encodings), 1 - self.config.decay)
        # A code that nothing chose keeps its place, also where its share of all choices has run down to nothing.
        known = self.usage > 1e-6 / self.config.codes
        means = self.sums / self.usage.clamp(min=1e-6 / self.config.codes)[:, None]
        self.codebook.copy_(torch.where(known[:, None], means, self.codebook))


@torch.no_grad()
def perplexity(chosen: Int[Tensor, "*S"], codes: int) -> Float[Tensor, ""]:
    """Return the exponential of the entropy of code choices: `codes` when all are equally common, 1 for one."""
    share = one_of(chosen.flatten(), codes).sum(0).float() / chosen.numel()
    return torch.exp(torch.special.entr(share).sum())
