"""The mesh: which processes share samples, weights, tokens and heads (Sec. 3.1.6, A.2)."""

from dataclasses import dataclass, replace
from datetime import timedelta

import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

SET_TIMEOUT = getattr(dist, "set_timeout", None) or distributed_c10d._set_pg_timeout  # before torch 2.14


@dataclass(frozen=True, kw_only=True)
class MeshConfig:
    """Sizes of the mesh's axes; their product is the number of processes. On the last axis are neighbours."""

    dp_replicate: int = 1
    """Copies of the sharded weights, each with samples of its own (HSDP)."""
    dp_shard: int | None = None
    """Processes over which weights are sharded, each with samples of its own (FSDP); null takes all that the
    other axes leave."""
    cp: int = 1
    """Context parallelism: processes that share the tokens of a sample, and shards of the weights."""
    tp: int = 1
    """Tensor and sequence parallelism: processes that share the heads and hidden channels of a layer."""

    def __post_init__(self) -> None:
        for name, size in vars(self).items():
            if size is not None and size < 1:
                raise ValueError(f"mesh.{name} must be at least 1; {size} came.")

    def over(self, world: int) -> "MeshConfig":
        """The mesh on `world` processes, with `dp_shard` filled in.

        Raises:
            ValueError: If the axes do not multiply to `world`.
        """
        others = self.dp_replicate * self.cp * self.tp
        size = world // others if self.dp_shard is None else self.dp_shard
        if size * others != world:
            asked = " x ".join(f"{name} {value}" for name, value in vars(self).items() if value is not None)
            needs = f"{size * others}" if self.dp_shard is not None else f"a multiple of {others}"
            raise ValueError(
                f"The mesh {asked} needs {needs} processes; there are {world}. Change trainer.devices x "
                "trainer.num_nodes or an axis of the mesh."
            )
        return replace(self, dp_shard=size)

    @property
    def shape(self) -> dict[str, int]:
        """Names and sizes of the axes, outermost first.

        Raises:
            ValueError: If `dp_shard` is not known yet.
        """
        if self.dp_shard is None:
            raise ValueError("mesh.dp_shard is not known before `over` is told the number of processes.")
        return {
            "dp_replicate": self.dp_replicate, "dp_shard": self.dp_shard, "cp": self.cp, "tp": self.tp,
        }  # fmt: skip

    @property
    def data_ranks(self) -> int:
        """Processes that have samples of their own."""
        return self.shape["dp_replicate"] * self.shape["dp_shard"]


class Mesh:
    """The mesh of this process group and the parts of it that training needs."""

    def __init__(self, config: MeshConfig, device: str) -> None:
        """`config` has all its sizes; `device` is "cpu" (gloo) or "cuda" (nccl)."""
        self.config = config
        shape = config.shape
        self.root = init_device_mesh(device, tuple(shape.values()), mesh_dim_names=tuple(shape))
        self.cp, self.tp = self.root["cp"], self.root["tp"]
        self.data = self.root["dp_replicate", "dp_shard"]._flatten("dp")
        self.average = self.root["dp_replicate", "dp_shard", "cp"]._flatten("dp_cp")
        shard = self.root["dp_shard", "cp"]._flatten("dp_shard_cp")
        replicated = config.dp_replicate > 1
        self.fsdp = DeviceMesh._concatenate([self.root["dp_replicate"], shard]) if replicated else shard

    def set_timeout(self, timeout: timedelta) -> None:
        """How long a process waits for the others in any communication; torch's default is 30 minutes."""
        meshes = (self.root, self.data, self.average, self.fsdp)
        groups = [group for mesh in meshes for group in mesh.get_all_groups()]
        for group in {id(group): group for group in (*groups, dist.group.WORLD)}.values():
            SET_TIMEOUT(timeout, group)

    @property
    def data_rank(self) -> int:
        """Which part of the samples this process has; the same on all that share them."""
        return self.data.get_local_rank()

    @property
    def sequence_parts(self) -> int:
        """Parts into which a block's sequence is cut: over cp, then over tp."""
        return self.config.cp * self.config.tp
