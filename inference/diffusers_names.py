"""The transformer's tensors under the names and in the layouts of diffusers, and back.

Attention is diffusers' `Attention` (to_q, to_k, to_v, to_out.0, norm_q, norm_k), the feed-forward layer its
`FeedForward`, the time embedding its `TimestepEmbedding`, the patch embedding a Conv3d, and modulation is in
the order shift, scale, gate. Positions and text embedders have no counterpart there and get names of ours.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

ATTENTION = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "out": "to_out.0",
    "norm.query": "norm_q",
    "norm.key": "norm_k",
}
NAMES = {  # beginnings of names, ours to theirs; the longest that fits counts
    "patchify.linear": "patch_embedding",
    "position.time": "pos_embed.time",
    "position.row": "pos_embed.row",
    "position.column": "pos_embed.column",
    "time.first": "time_embedder.linear_1",
    "time.second": "time_embedder.linear_2",
    "modulation.linear": "time_proj",
    "output.norm": "norm_out",
    "output.modulation.linear": "time_proj_out",
    "output.linear": "proj_out",
    "text.encoders.#.0": "text_embedders.#.linear",
    "text.encoders.#.1": "text_embedders.#.norm",
    "blocks.#.attention_norm": "blocks.#.norm1",
    "blocks.#.cross_norm": "blocks.#.norm2",
    "blocks.#.feed_forward_norm": "blocks.#.norm3",
    "blocks.#.feed_forward.up": "blocks.#.ffn.net.0.proj",
    "blocks.#.feed_forward.down": "blocks.#.ffn.net.2",
    "blocks.#.table.weight": "blocks.#.scale_shift_table",
    **{f"blocks.#.attention.{ours}": f"blocks.#.attn1.{theirs}" for ours, theirs in ATTENTION.items()},
    **{f"blocks.#.cross_attention.{ours}": f"blocks.#.attn2.{theirs}" for ours, theirs in ATTENTION.items()},
}
GATE, UP = "feed_forward.gate.", "feed_forward.up."


class Layout(NamedTuple):
    """How tensors of one kind lie differently there; `back` undoes `there`."""

    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def to_diffusers(tensors: Mapping[str, Tensor], patch: int) -> dict[str, Tensor]:
    """Our state dict under their names. A tensor that has no name there is a KeyError: extend NAMES."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if GATE in name:
            continue  # it goes with `up`
        gate = tensors.get(name.replace(UP, GATE)) if UP in name else None
        whole = tensor if gate is None else torch.cat([tensor, gate])  # their SwiGLU is value, then gate
        there = _renamed(name, NAMES)
        found[there] = _layout(there, patch).there(whole)
    return found


def from_diffusers(tensors: Mapping[str, Tensor], patch: int, *, gated: bool) -> dict[str, Tensor]:
    """Their state dict under our names; `gated` says that the feed-forward layer is SwiGLU."""
    back = {theirs: ours for ours, theirs in NAMES.items()}
    found: dict[str, Tensor] = {}
    for there, tensor in tensors.items():
        name = _renamed(there, back)
        ours = _layout(there, patch).back(tensor)
        if UP in name and gated:
            found[name.replace(UP, GATE)], ours = ours.chunk(2)[::-1]
        found[name] = ours
    return found


def _renamed(name: str, names: Mapping[str, str]) -> str:
    pattern = (
        re.sub(r"(?<=\.)\d+(?=\.)", "#", name, count=1) if name.startswith(("blocks.", "text")) else name
    )
    fitting = [start for start in names if pattern == start or pattern.startswith(f"{start}.")]
    if not fitting:
        raise KeyError(name)
    start = max(fitting, key=len)
    number = re.search(r"\.(\d+)\.", name)
    return (names[start] + pattern[len(start) :]).replace("#", number[1] if number else "#")


def _layout(there: str, patch: int) -> Layout:
    if there == "patch_embedding.weight":
        return Layout(
            lambda weight: rearrange(weight, "d (c i j) -> d c 1 i j", i=patch, j=patch),
            lambda weight: rearrange(weight, "d c 1 i j -> d (c i j)"),
        )
    if there.endswith("scale_shift_table"):
        return Layout(lambda table: _swapped(table)[None], lambda table: _swapped(table[0]))
    for name, vectors in (("time_proj.", 6), ("time_proj_out.", 2)):
        if there.startswith(name):
            return Layout(partial(_swapped_rows, vectors), partial(_swapped_rows, vectors))
    return Layout(lambda tensor: tensor, lambda tensor: tensor)


def _swapped_rows(vectors: int, rows: Tensor) -> Tensor:
    return _swapped(rows.unflatten(0, (vectors, -1))).flatten(0, 1)


def _swapped(vectors: Tensor) -> Tensor:
    """Scale and shift change places; gates stay. The same again undoes it."""
    order = [1, 0, 2, 4, 3, 5] if len(vectors) == 6 else [1, 0]
    return vectors[order]
