"""The shape of a temporal autoencoder (Sec. 3.1.1)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TAEConfig:
    """Shape of a TAE; the defaults inflate LDM's image autoencoder to 8x8x8 with 16 channels."""

    halves: Literal["inflated", "compact"] = "inflated"
    """inflated: the paper's layers (Sec. 3.1.1). compact: ours, which learn in minutes on a processor."""
    widths: tuple[int, ...] = (128, 256, 512, 512)
    """Channels of each level, from pixels to latent: 4 levels make an inflated TAE 8x8x8, 3 a compact."""
    blocks: int = 2
    """Residual blocks of a level."""
    latent_channels: int = 16
    """Channels of the latent."""
    groups: int = 32
    """Groups of the group norms (inflated only)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list, as YAML and JSON give it
        if not self.widths or min(self.widths) < 1 or self.blocks < 1 or self.latent_channels < 1:
            raise ValueError(
                f"widths {self.widths}, blocks {self.blocks}, latent_channels {self.latent_channels} must "
                "each be at least 1, and there must be at least one width."
            )
        if self.halves == "inflated" and any(width % self.groups for width in self.widths):
            raise ValueError(
                f"widths {self.widths} do not all divide into {self.groups} groups. Change either."
            )
        if self.halves == "compact":
            _check_compact(self.widths)

    @property
    def space_factor(self) -> int:
        """How many rows, and how many columns, of pixels one position of the latent stands for."""
        return 2 ** (len(self.widths) - (self.halves == "inflated"))

    @property
    def time_factor(self) -> int:
        """How many frames one frame of the latent stands for."""
        return self.space_factor


def _check_compact(widths: tuple[int, ...]) -> None:
    for narrow, wide in pairwise(widths):
        if 8 * narrow % wide:
            raise ValueError(
                f"compact widths {widths}: {wide} must divide 8 x {narrow}, for the average to pass through."
            )
