"""Position tables that grow from stage to stage, all else kept (Sec. 3.2.2).

The paper doubles the spatial tables for the aspect ratios of the joint stage, at the old resolution, adds one
for up to 32 latent frames, and triples the spatial ones for 768 px. It does not say how the new entries come
about: docs/decisions/0018.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from models.transformer.config import TransformerConfig
from models.transformer.model import Transformer

TABLES = ("position.time", "position.row", "position.column")  # in a model's state
NEW_STD = 0.02  # of entries that no old one can speak for, about the last that can

Grid = tuple[int, int, int]


def grow(
    model: Transformer, grid: Grid, scale: Grid, generator: torch.Generator | None = None
) -> Transformer:
    """`model` with position tables of `grid` entries (frames, rows, columns), in training mode.

    `scale` new tokens stand where one stood: (1, 3, 3) goes from 256 to 768 px and keeps what places mean;
    (1, 1, 1), for pictures of the old resolution, only adds room. What lies past the old table's end begins
    near its last entry. Other weights are `model`'s own tensors.
    ValueError: the grid is smaller than the old one at that scale.
    """
    config: TransformerConfig = replace(model.config, grid=grid)
    with torch.device("meta"):
        grown = Transformer(config)
    state = model.state_dict()
    grown.load_state_dict({**state, **grow_tables(state, grid, scale, generator)}, assign=True)
    return grown.requires_grad_(True)


def grow_tables(
    state: Mapping[str, Tensor], grid: Grid, scale: Grid, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """The position tables TABLES of a model's `state`, grown as `grow` says; nothing else is read."""
    grown = {}
    for axis, (key, size, factor) in enumerate(zip(TABLES, grid, scale, strict=True)):
        needed = factor * len(state[key])
        if factor < 1 or size < needed:
            counted = ("frames", "rows", "columns")[axis]
            raise ValueError(
                f"The {counted} grow from {len(state[key])} by {factor} to {needed}; "
                f"a grid of {size} came. Give a grid of at least {needed} and a scale of at least 1."
            )
        grown[key] = grow_table(state[key], size, factor, generator)
    return grown


def grow_table(
    table: Float[Tensor, "old d"], size: int, scale: int, generator: torch.Generator | None = None
) -> Float[Tensor, "new d"]:
    """`scale` entries for each old one on the line to its neighbours, then new ones near the last.

    A group's middle is the old entry, so a picture at `scale` times the resolution finds its old places.
    """
    stretched = interpolate(table.T[None].float(), scale_factor=scale, mode="linear")[0].T
    beyond = size - len(stretched)
    noise = torch.randn(beyond, table.shape[1], generator=generator).to(stretched)
    return torch.cat([stretched, stretched[-1] + NEW_STD * noise]).to(table.dtype)
