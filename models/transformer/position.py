"""Where a token stands: factorised learnable position embeddings, added before every layer (Sec. 3.1.3)."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class FactorisedPosition(nn.Module):
    """One table for each of time, rows and columns; a token's position is the sum of its three entries."""

    def __init__(self, grid: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.time, self.row, self.column = (nn.Parameter(torch.empty(size, width)) for size in grid)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small normal values: positions differ from the start and do not drown the tokens."""
        for table in self.parameters():
            nn.init.normal_(table, std=0.02)

    def forward(self, t: int, h: int, w: int) -> Float[Tensor, "n d"]:
        """Positions of a grid of t x h x w tokens, in the order of the tokens."""
        for name, size, table in (
            ("frames", t, self.time),
            ("rows", h, self.row),
            ("columns", w, self.column),
        ):
            if size > len(table):
                raise ValueError(
                    f"The input has {size} {name} of tokens; the model's position table ends at {len(table)}."
                )
        time, row, column = self.time[:t, None, None], self.row[:h, None], self.column[:w]
        return rearrange(time + row + column, "t h w d -> (t h w) d")


def at_every_layer(position: Tensor, layers: int) -> list[Tensor | None]:
    """What each layer adds to its input: the positions, as in the paper."""
    return [position] * layers


def at_first_layer(position: Tensor, layers: int) -> list[Tensor | None]:
    """What each layer adds to its input: the positions in the first, nothing after (the ablation)."""
    return [position, *[None] * (layers - 1)]


PLACES: dict[str, Callable[[Tensor, int], list[Tensor | None]]] = {
    "every": at_every_layer,
    "first": at_first_layer,
}
