"""One process that believes to be a rank of thousands: the truth that the planner is held against."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from models.text.tokens import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import checkpoint_blocks
from models.transformer.parallelize import parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.plan.layout import Layout
from parallel.plan.memory import Model
from parallel.plan.shape import Batch
from parallel.plan.stage import describe
from parallel.sharding import ShardingConfig

TEXT = 256


def small(width: int = 256, layers: int = 2, feed_forward: int = 768, **rest) -> TransformerConfig:
    """A transformer that is planned in a moment; heads of 128 channels, as the paper's."""
    return TransformerConfig(
        width=width, layers=layers, heads=width // 128, feed_forward=feed_forward, text_widths=(TEXT,),
        grid=(8, 16, 16), **rest,
    )  # fmt: skip


def planned(config: TransformerConfig) -> Model:
    """The planner's view of a transformer."""
    with torch.device("meta"):
        return describe(Transformer(config))[0]


@contextmanager
def rank_of(world: int, rank: int = 0) -> Iterator[None]:
    """Collectives return at once and move nothing."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def sharded(config: TransformerConfig, layout: Layout) -> Transformer:
    """The transformer on the meta device as training cuts it over this layout's mesh."""
    with torch.device("meta"):
        model = Transformer(config)
    checkpoint_blocks(model, layout.checkpointing)
    sizes = MeshConfig(dp_replicate=layout.dp_replicate, dp_shard=layout.dp_shard, cp=layout.cp, tp=layout.tp)
    compute = "bfloat16" if layout.bytes_compute == 2 else None
    parallelize(model, Mesh(sizes, "cpu"), ShardingConfig(compute=compute))
    return model


def local_bytes(tensors: Iterator[Tensor]) -> int:
    """Bytes of what this rank has of sharded tensors."""
    parts = [each.to_local() if isinstance(each, DTensor) else each for each in tensors]
    return sum(part.numel() * part.element_size() for part in parts)


def optimizer_state_bytes(model: nn.Module) -> int:
    """Bytes of AdamW's state after a step: the weights of this rank alone, with real memory."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = torch.optim.AdamW(model.parameters(), foreach=False)
        optimizer.step()
    return sum(local_bytes(iter(state.values())) for state in optimizer.state.values())


def feed(batch: Batch, grid: tuple[int, int, int]) -> tuple[Tensor, Tensor, list[TextTokens]]:
    """Latents of `grid` tokens, times and text of a batch."""
    t, h, w = grid
    (length,) = batch.text
    text = TextTokens(
        torch.randn(batch.samples, length, TEXT), torch.ones(batch.samples, length, dtype=torch.bool)
    )
    return torch.randn(batch.samples, t, 16, 2 * h, 2 * w), torch.rand(batch.samples), [text]
