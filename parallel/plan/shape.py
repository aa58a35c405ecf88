"""The shape of a transformer and of what it is fed: all that its FLOPs and activations depend on."""

import math
import re
from dataclasses import dataclass, field

COMPRESSION = (8, 8, 8)  # of the TAE: frames, rows, columns (Sec. 3.1.1)


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A transformer of LLaMa3's kind; the variants beside ours are those of published measurements."""

    width: int
    """Channels of the residual stream."""
    layers: int
    """Blocks."""
    heads: int
    """Attention heads."""
    feed_forward: int
    """Hidden channels of the feed-forward layer."""
    patch_features: int = 64
    """Channels of a token before the first and behind the last layer: 16 x 2 x 2."""
    text_widths: tuple[int, ...] = ()
    """Width of each text encoder; none: no cross-attention."""
    time_features: int = 256
    """Cosines and sines of the flow time."""
    qk_norm: bool = False
    """Whether queries and keys are normalised."""
    gated: bool = True
    """SwiGLU's three matrices, or two."""
    key_value_heads: int | None = None
    """Fewer heads of keys and values than of queries; None: as many."""
    causal: bool = False
    """A token sees those before it only: half of the attention."""

    @property
    def kv_width(self) -> int:
        """Channels of the keys, and of the values, of self-attention."""
        return self.width * (self.key_value_heads or self.heads) // self.heads


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one data rank is fed in a step; those of one size are equal, whatever the bucket."""

    samples: int
    """Clips or images."""
    tokens: int
    """Video tokens of each."""
    text: tuple[int, ...] = ()
    """Text tokens of each encoder."""
    name: str = field(default="", compare=False)
    """The bucket's, as 768x768x256."""

    @property
    def text_tokens(self) -> int:
        """Of all encoders together, as cross-attention sees them."""
        return sum(self.text)


def bucket_grid(
    bucket: str, patch: int, compression: tuple[int, int, int] = COMPRESSION
) -> tuple[int, int, int]:
    """Tokens in time, rows and columns of bucket "width x height x frames", as "768x768x256": (32, 48, 48).

    Raises ValueError for what is no bucket or does not divide into patches.
    """
    found = re.fullmatch(r"(\d+)x(\d+)x(\d+)", bucket)
    if found is None:
        raise ValueError(f"'{bucket}' is no bucket. Give width x height x frames, as 768x768x256.")
    width, height, frames = map(int, found.groups())
    time, rows, columns = compression
    if width % (columns * patch) or height % (rows * patch) or not frames:
        raise ValueError(
            f"The bucket '{bucket}' does not divide into patches of {columns * patch} x {rows * patch} "
            "pixels. Change its width or height."
        )
    return math.ceil(frames / time), height // rows // patch, width // columns // patch


def bucket_tokens(bucket: str, patch: int, compression: tuple[int, int, int] = COMPRESSION) -> int:
    """Tokens of a clip of a bucket: 73,728 of "768x768x256" with patches of 2; raises as `bucket_grid`."""
    return math.prod(bucket_grid(bucket, patch, compression))
