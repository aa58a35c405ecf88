"""Latents to tokens and back (Sec. 3.1.3).

A convolution whose kernel is its stride is a linear map of patches, and faster written as one.
"""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


def patches(latent: Float[Tensor, "b t c h w"], patch: int) -> Float[Tensor, "b n p"]:
    """Cut each latent frame into `patch` x `patch` squares."""
    h, w = latent.shape[-2:]
    if h % patch or w % patch:
        raise ValueError(f"A latent of {h} x {w} does not divide into patches of {patch} x {patch}.")
    return rearrange(latent, "b t c (h i) (w j) -> b (t h w) (c i j)", i=patch, j=patch)


def unpatch(
    tokens: Float[Tensor, "b n p"], t: int, h: int, w: int, patch: int
) -> Float[Tensor, "b t c hh ww"]:
    """Undo `patches` for a grid of t x h x w tokens."""
    return rearrange(tokens, "b (t h w) (c i j) -> b t c (h i) (w j)", t=t, h=h, w=w, i=patch, j=patch)


class Patchify(nn.Module):
    """The patch embedder: squares of latent to the model's width."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(channels * patch * patch, width)

    def forward(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b n d"]:
        return self.linear(patches(latent, self.patch))


class ExtraPatches(nn.Module):
    """Extra input channels, added to the embedded patches; zero at the start, and for zeros always."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(channels * patch * patch, width, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero: a model that gains a condition begins as it was."""
        nn.init.zeros_(self.linear.weight)

    def forward(self, extra: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b n d"]:
        return self.linear(patches(extra, self.patch))
