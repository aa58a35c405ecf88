"""How weights are kept and tokens are shared, once the mesh is known."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy
from torch.distributed.tensor import DTensor, distribute_tensor


@dataclass(frozen=True, kw_only=True)
class ShardingConfig:
    """What FSDP2 and context parallelism do on their axes of the mesh."""

    context: Literal["gather", "ulysses"] = "gather"
    """gather: keys and values of all tokens on each process, the paper's scheme. ulysses: all tokens of some
    heads, which must divide over cp x tp."""
    compute: Literal["float32", "bfloat16"] | None = None
    """Type in which sharded weights are gathered and multiplied; null keeps that of the weights. The flow
    time stays in float32 always."""
    reduce: Literal["float32", "bfloat16"] | None = "float32"
    """Type in which gradients are summed; null takes that of the gradients."""
    cpu_offload: bool = False
    """Keep weights, gradients and moments in the memory of the host; the GPU holds what it multiplies."""
    reshard: bool = True
    """Give gathered weights back after each block's forward pass; else they wait for the backward pass."""

    def policy(self, *, cast_inputs: bool) -> MixedPrecisionPolicy:
        """FSDP2's mixed precision; a root that gets the flow time must not cast its inputs."""
        if self.compute is None:  # nothing is cast; float64 weights are reduced as they are
            return MixedPrecisionPolicy(cast_forward_inputs=cast_inputs)
        return MixedPrecisionPolicy(
            param_dtype=getattr(torch, self.compute),
            reduce_dtype=getattr(torch, self.reduce) if self.reduce else None,
            output_dtype=None if cast_inputs else torch.float32,
            cast_forward_inputs=cast_inputs,
        )

    def offload(self) -> OffloadPolicy:
        """FSDP2's offloading."""
        return CPUOffloadPolicy(pin_memory=torch.cuda.is_available()) if self.cpu_offload else OffloadPolicy()


def shard_of(whole: Any, like: Any) -> Any:
    """This process's part of a tensor that all hold, cut as `like` is; no process waits for another.

    What is no whole tensor of a sharded one's shape comes back as it is.
    """
    if not (isinstance(whole, Tensor) and isinstance(like, DTensor)) or isinstance(whole, DTensor):
        return whole
    if whole.shape != like.shape:
        return whole
    moved = whole.to(like.device).contiguous()
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)
