"""Image to video: the first frame as extra input channels (docs/decisions/0020; not in the paper).

A mask says where a latent frame is given and the latent of the image stands there; both are zero elsewhere.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor


def channels(latent_channels: int) -> int:
    """Extra input channels that a transformer needs for this condition: the mask and the latent."""
    return 1 + latent_channels


def first_frame(
    image: Float[Tensor, "b 1 c h w"], frames: int, given: Bool[Tensor, " b"] | None = None
) -> Float[Tensor, "b t extra h w"]:
    """The condition for clips of `frames` latent frames: `image` is the normalised latent of the first alone.

    Where `given` is False, no frame is: all zeros, for which the weights of these channels do nothing.
    """
    told = torch.cat([torch.ones_like(image[:, :, :1]), image], dim=2)
    if given is not None:
        told = told * rearrange(given, "b -> b 1 1 1 1")
    later = told.new_zeros(len(told), frames - 1, *told.shape[2:])
    return torch.cat([told, later], dim=1)
