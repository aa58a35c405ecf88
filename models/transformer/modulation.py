"""How flow time steers the blocks: an embedding and adaLN shared by all layers (Sec. 3.1.3, 6.1.2)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

FREQUENCIES = 128  # not disclosed: as in DiT, 128 cosines and 128 sines
TIME_SCALE = 1000.0  # flow times of [0, 1] are spread as diffusion's 1000 steps were
LONGEST_PERIOD = 10_000.0


def sinusoid(time: Float[Tensor, " b"]) -> Float[Tensor, "b 256"]:
    """Cosines and sines of the flow time at geometrically spaced frequencies, in float32 always."""
    exponents = torch.arange(FREQUENCIES, device=time.device, dtype=torch.float32) / FREQUENCIES
    angles = TIME_SCALE * time.float()[:, None] * torch.exp(-math.log(LONGEST_PERIOD) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Flow time in [0, 1] to a vector of the model's width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2 * FREQUENCIES, width), nn.Linear(width, width)

    def forward(self, time: Float[Tensor, " b"]) -> Float[Tensor, "b d"]:
        return self.second(silu(self.first(sinusoid(time).to(self.first.weight.dtype))))


class SharedModulation(nn.Module):
    """One linear layer gives all blocks their modulation; each block adds a table of its own.

    A layer of its own in each block would bring the 30B model to 40B: 48 x 6 x 6144^2 more.
    """

    def __init__(self, width: int, vectors: int) -> None:
        super().__init__()
        self.vectors = vectors
        self.linear = nn.Linear(width, vectors * width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Zero: at the start only the blocks' tables speak."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, embedding: Float[Tensor, "b d"]) -> Float[Tensor, "b vectors d"]:
        return self.linear(silu(embedding)).unflatten(-1, (self.vectors, -1))


class ModulationTable(nn.Module):
    """What a block adds to the modulation that all share."""

    def __init__(self, vectors: int, width: int, gates: tuple[int, ...]) -> None:
        super().__init__()
        self.gates = list(gates)
        self.weight = nn.Parameter(torch.empty(vectors, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gates open at one: with shared adaLN starting at zero the block begins as LLaMa3's own."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[self.gates] = 1.0

    def forward(self, modulation: Float[Tensor, "b vectors d"]) -> Float[Tensor, "b vectors d"]:
        return self.weight + modulation


def modulate(x: Float[Tensor, "b n d"], scale: Tensor, shift: Tensor) -> Float[Tensor, "b n d"]:
    """`x (1 + scale) + shift`, with `scale` and `shift` of shape `b 1 d`."""
    return torch.addcmul(shift, x, 1 + scale)
