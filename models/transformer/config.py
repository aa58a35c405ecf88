"""The shape of a transformer (Table 1)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Shape of the joint image and video transformer; the defaults are Table 1's 30B."""

    width: int = 6144
    """Channels of the residual stream."""
    layers: int = 48
    """Blocks."""
    heads: int = 48
    """Attention heads; each has width / heads channels."""
    feed_forward: int = 16384
    """Hidden channels of the feed-forward layer: SwiGLU's, or those of the DiT block's two matrices."""
    latent_channels: int = 16
    """Channels of the TAE's latent."""
    extra_channels: int = 0
    """Input channels beside the noisy latent, for a condition of its size; 0 adds no weights."""
    patch: int = 2
    """Rows and columns of latent that become one token; frames are never merged."""
    grid: tuple[int, int, int] = (32, 96, 96)
    """Largest token grid: frames, rows, columns of the position tables."""
    positions: Literal["every", "first"] = "every"
    """Layers that are given the positions: every one as in the paper, or the first alone for the ablation."""
    block: Literal["llama", "dit"] = "llama"
    """Kind of block: LLaMa3's as in the paper, or DiT's for the ablation of Table 9."""
    text_widths: tuple[int, ...] = (4096, 1280, 1472)
    """Width of each text encoder: UL2, Long-prompt MetaCLIP, ByT5 (Fig. 8)."""
    qk_norm: bool = False
    """Normalise queries and keys. Not in the paper; steadier at high learning rates."""
    norm_eps: float = 1e-5
    """Epsilon of every RMS norm (Table 9)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))  # lists, as YAML and JSON give them
        object.__setattr__(self, "text_widths", tuple(self.text_widths))
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} does not divide into {self.heads} heads. Change width or heads."
            )
        for name, known in (("positions", ("every", "first")), ("block", ("llama", "dit"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is '{getattr(self, name)}'; it must be one of {', '.join(known)}.")
        if not self.text_widths:
            raise ValueError("text_widths is empty; the model needs the width of at least one text encoder.")
