"""The shape of a temporal autoencoder (Sec. 3.1.1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TAEConfig:
    """Shape of a TAE; the defaults inflate LDM's image autoencoder to 8x8x8 with 16 channels."""

    halves: Literal["inflated", "inflated_3d", "framewise", "compact"] = "inflated"
    """inflated: the paper's 2.5D layers. inflated_3d: 3D ones in their place (Table 11). framewise: an image
    autoencoder for each frame (Table 10, upsampler). compact: ours, which learn in minutes on a processor."""
    widths: tuple[int, ...] = (128, 256, 512, 512)
    """Channels of each level, from pixels to latent: 4 levels make an inflated TAE 8x8x8, 3 a compact."""
    blocks: int = 2
    """Residual blocks of a level."""
    latent_channels: int = 16
    """Channels of the latent."""
    groups: int = 32
    """Groups of the group norms (not in compact)."""
    time_halvings: int | None = None
    """How often frames are halved: 3 is 8x, 2 is 4x. Left out: as often as rows; framewise: never."""
    latent_maps: bool = False
    """1x1 maps beside the latent: SD 1.5 and XL have them, SD 3.5 and FLUX do not (not in compact)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list, as YAML and JSON give it
        if not self.widths or min(self.widths) < 1 or self.blocks < 1 or self.latent_channels < 1:
            raise ValueError(
                f"widths {self.widths}, blocks {self.blocks}, latent_channels {self.latent_channels} must "
                "each be at least 1, and there must be at least one width."
            )
        self._check_time()
        if self.halves == "compact":
            self._check_compact()
        elif any(width % self.groups for width in self.widths):
            raise ValueError(
                f"widths {self.widths} do not all divide into {self.groups} groups. Change either."
            )

    @property
    def space_halvings(self) -> int:
        """How often rows and columns are halved: between levels, in compact before the first one too."""
        return len(self.widths) - (self.halves != "compact")

    @property
    def space_factor(self) -> int:
        """How many rows, and how many columns, of pixels one position of the latent stands for."""
        return 2**self.space_halvings

    @property
    def time_strides(self) -> tuple[int, ...]:
        """By how much frames shrink where rows and columns are halved, from pixels to latent."""
        halvings = self.space_halvings if self.time_halvings is None else self.time_halvings
        if self.halves == "framewise":
            halvings = 0
        # Where fewer halvings of time than of space sit is not disclosed: first, so that all that follows
        # sees fewer frames.
        return (2,) * halvings + (1,) * (self.space_halvings - halvings)

    @property
    def time_factor(self) -> int:
        """How many frames one frame of the latent stands for."""
        return 2 ** self.time_strides.count(2)

    def _check_time(self) -> None:
        most = 0 if self.halves == "framewise" else self.space_halvings
        if self.time_halvings is not None and not 0 <= self.time_halvings <= most:
            raise ValueError(
                f"time_halvings is {self.time_halvings}; {self.halves} halves with widths {self.widths} "
                f"allow 0 to {most}. Leave it out for {most}."
            )

    def _check_compact(self) -> None:
        if self.latent_maps:
            raise ValueError(
                "latent_maps are parts of image autoencoders; compact halves have none. Drop it."
            )
        for (narrow, wide), stride in zip(pairwise(self.widths), self.time_strides[1:], strict=True):
            if 4 * stride * narrow % wide:
                raise ValueError(
                    f"compact widths {self.widths}: {wide} must divide {4 * stride} x {narrow}, for the "
                    "average to pass through."
                )
