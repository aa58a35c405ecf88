"""How far the seams between tiles stand out in a video: 1 is as smooth as what lies beside them."""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor

REACH = 4  # positions on each side of a seam that it is compared with


def seam_contrast(video: Float[Tensor, "b t c h w"], seams: Collection[int], axis: int) -> float:
    """The mean step across `seams` over the mean step between the positions beside them, along `axis`.

    A seam at p lies between the positions p - 1 and p. Without a seam the contrast is 1: nothing stands out.
    """
    if not seams:
        return 1.0
    length = video.shape[axis]
    outside = [seam for seam in seams if not 1 <= seam < length]
    if outside:
        raise ValueError(f"Seams {outside} are not within the {length} positions of axis {axis}.")
    around = {near for seam in seams for near in range(seam - REACH, seam + REACH + 1)}
    beside = sorted(near for near in around - set(seams) if 1 <= near < length)
    if not beside:
        raise ValueError(f"Nothing lies beside the seams {sorted(seams)} of {length} positions.")
    change = torch.diff(video.float(), dim=axis).abs().movedim(axis, 0).flatten(1).mean(dim=1)
    at = change[torch.tensor(sorted(seams)) - 1].mean()
    return (at / change[torch.tensor(beside) - 1].mean().clamp(min=1e-12)).item()
