"""Layers of LDM's image autoencoder, and the paper's: with a temporal half behind each (Sec. 3.1.1).

What an image autoencoder has sits in `space`, what time adds in `time`. A new layer does to each frame of a
still video what the image layer does: its temporal half is the identity. Video is `b t h w c` here: frames
are channels-last views of it, and nothing is copied between layers.
"""

from collections.abc import Callable

from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, scaled_dot_product_attention

from models.tae.temporal import TemporalAttention, TemporalConv, TemporalDown, TemporalUp


def per_frame(layer: Callable[[Tensor], Tensor], x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t _ _ _"]:
    """Apply an image layer to each frame."""
    frames = layer(rearrange(x, "b t h w c -> (b t) c h w"))
    return rearrange(frames, "(b t) c h w -> b t h w c", b=len(x))


def double_pixels(conv: nn.Conv2d, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t hh ww cc"]:
    """Nearest-neighbour upsampling of each frame, then a 3 x 3 convolution, in one.

    The nine taps see the same pixel up to four times: per output they are four, of a transposed convolution.
    """
    spread = conv.weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])  # which taps of 3 make one
    kernel = einsum(conv.weight, spread, spread, "o i j k, jj j, kk k -> i o jj kk")
    return per_frame(lambda frames: conv_transpose2d(frames, kernel, conv.bias, stride=2, padding=1), x)


class HalvingConv(nn.Conv2d):
    """LDM's strided convolution, which pads below and right alone; for even numbers of rows and columns.

    Padded by two on all sides, it has the same outputs behind a first row and column that are dropped.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2, padding=2)

    def forward(self, frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:  # pyright: ignore
        return super().forward(frames)[:, :, 1:, 1:]


class FrameConv(nn.Module):
    """A 2D convolution of each frame."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.space = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w cc"]:
        return per_frame(self.space, x)


class FrameDown(nn.Module):
    """Halve rows and columns by a strided 2D convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        assert stride == 1, "single frames have no time to shrink"
        self.space = HalvingConv(channels)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t hh ww c"]:
        return per_frame(self.space, x)


class FrameUp(FrameConv):
    """Double rows and columns by repetition, then a 2D convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels)
        assert stride == 1, "single frames have no time to grow"

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t hh ww c"]:
        return double_pixels(self.space, x)


class SpatialAttention(nn.Module):
    """Attention among the positions of one frame, one head, around the identity."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        tokens = rearrange(per_frame(self.norm, x), "b t h w c -> (b t) 1 (h w) c")
        mixed = self.attend(tokens)
        return x + rearrange(mixed, "(b t) 1 (h w) c -> b t h w c", b=len(x), h=x.shape[2])

    def attend(self, tokens: Float[Tensor, "n 1 l c"]) -> Float[Tensor, "n 1 l c"]:
        """Mix tokens that see each other."""
        heads = self.query(tokens), self.key(tokens), self.value(tokens)
        return self.out(scaled_dot_product_attention(*heads))


class FrameAttention(nn.Module):
    """Attention within each frame."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.space = SpatialAttention(channels, groups)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        return self.space(x)


class Conv(FrameConv):
    """A 2D convolution, then a 1D convolution along time."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(inputs, outputs, kernel)
        self.time = TemporalConv(outputs)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w cc"]:
        return self.time(super().forward(x))


class Down(nn.Module):
    """Halve rows and columns by a strided 2D convolution, then frames by a strided 1D convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.space = HalvingConv(channels)
        self.time = TemporalDown(channels) if stride == 2 else TemporalConv(channels)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww c"]:
        return self.time(per_frame(self.space, x))


class Up(Conv):
    """Double frames, rows and columns by repetition, each followed by its convolution."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels)
        self.time = TemporalUp(channels) if stride == 2 else TemporalConv(channels)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b tt hh ww c"]:
        return self.time(
            double_pixels(self.space, x)
        )  # before frames are doubled: the same, for half the work


class Attention(FrameAttention):
    """Attention within each frame, then along time at each position."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, groups)
        self.time = TemporalAttention(channels, groups)

    def forward(self, x: Float[Tensor, "b t h w c"]) -> Float[Tensor, "b t h w c"]:
        return self.time(self.space(x))
