"""How a run is laid out over its processes: the mesh, precision, and what is computed twice."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from parallel.plan.shape import Backbone, Batch

Checkpointing = Literal["none", "selective", "full"]  # as models.transformer.execution has it
KINDS: tuple[Checkpointing, ...] = ("none", "selective", "full")  # cheapest in time first


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The four dimensions of the mesh, outermost first, and the choices that trade memory for time."""

    dp_replicate: int = 1
    """Copies of the model (HSDP); gradients are all-reduced between them."""
    dp_shard: int = 1
    """Data ranks among which one copy is sharded (FSDP)."""
    cp: int = 1
    """Ranks that share the tokens of a sample; FSDP shards over them too."""
    tp: int = 1
    """Ranks that share each matrix, and the tokens between matrices (TP with SP)."""
    checkpointing: Checkpointing = "none"
    """What a block drops and computes again: nothing, all but its products, or all but its input."""
    bytes_compute: int = 2
    """Of a value in matrices and activations: 2 is bfloat16."""
    accumulate: int = 1
    """Batches between two optimizer steps."""
    sharded: bool = True
    """Whether FSDP keeps the weights; otherwise they are whole all the time, and a half copy of them."""

    @property
    def world(self) -> int:
        """Processes."""
        return self.dp_replicate * self.dp_shard * self.cp * self.tp

    @property
    def data_ranks(self) -> int:
        """Groups of processes that see different samples."""
        return self.dp_replicate * self.dp_shard

    @property
    def shards(self) -> int:
        """Processes among which FSDP shards a parameter."""
        return self.dp_shard * self.cp

    @property
    def recomputes(self) -> bool:
        """Whether a block's forward pass, collectives included, runs again in the backward pass."""
        return self.checkpointing != "none"

    def with_checkpointing(self, kind: Checkpointing) -> "Layout":
        """The same with another kind of checkpointing."""
        return replace(self, checkpointing=kind)

    def mesh(self) -> str:
        """As "replicate 1 x shard 1536 x cp 1 x tp 4"."""
        return f"replicate {self.dp_replicate} x shard {self.dp_shard} x cp {self.cp} x tp {self.tp}"


def fault(layout: Layout, shape: Backbone, batch: Batch) -> str | None:
    """Why the model or the batch does not divide over the mesh; None where it does."""
    if shape.heads % layout.tp or (shape.key_value_heads or shape.heads) % layout.tp:
        return f"{shape.heads} heads do not divide over tp {layout.tp}"
    if shape.feed_forward % layout.tp:
        return f"{shape.feed_forward} hidden channels do not divide over tp {layout.tp}"
    if batch.tokens < layout.cp * layout.tp:
        return f"{batch.tokens} tokens are fewer than cp {layout.cp} x tp {layout.tp}"
    return None


def meshes(world: int, node: int) -> Iterator[Layout]:
    """Every mesh of `world` processes whose tensor-parallel ranks stay within a node.

    Tensor parallelism waits for its collectives twice a layer; across nodes it is never worth it. HSDP is
    tried where a copy of the model fills whole nodes.
    """
    for tp in divisors(min(world, node)):
        if world % tp:
            continue
        for cp in divisors(world // tp):
            if cp > MOST_CONTEXT:
                continue
            for replicate in divisors(world // (tp * cp)):
                shard = world // (tp * cp * replicate)
                if replicate == 1 or shard * cp * tp >= node:
                    yield Layout(dp_replicate=replicate, dp_shard=shard, cp=cp, tp=tp)


MOST_CONTEXT = 64  # ranks for the tokens of one sample; the paper needs 2


def divisors(number: int) -> list[int]:
    """From 1 to `number`."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
