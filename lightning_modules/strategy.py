"""MeshStrategy: the strategy of every stage on more than one process (Sec. 3.1.6)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from typing_extensions import override

from console import UserError
from models.transformer.parallelize import parallelize, transformers
from parallel.gradients import average_gradients, clip_gradients
from parallel.mesh import Mesh, MeshConfig
from parallel.seeds import begin_step
from parallel.sharding import ShardingConfig


class MeshStrategy(ModelParallelStrategy):
    """Cuts a stage's transformers over a mesh and keeps all else whole on every process; gloo or nccl.

    A stage needs nothing for it: no wrapping, no `configure_model`. Gradients are averaged over the processes
    that see other samples or other tokens. Random numbers of a step are equal where samples are shared and
    differ where they are not.

    Args:
        mesh: Sizes of the axes dp_replicate, dp_shard, cp and tp.
        sharding: How weights are kept and tokens are shared.
        save_distributed_checkpoint: A folder with a file for each process instead of one file for all.
        timeout: Seconds that a process waits for the others before it gives up.
    """

    def __init__(
        self,
        mesh: MeshConfig = MeshConfig(),  # noqa: B008, it is frozen
        sharding: ShardingConfig = ShardingConfig(),  # noqa: B008
        save_distributed_checkpoint: bool = False,
        timeout: float = 1800.0,
    ) -> None:
        super().__init__(
            save_distributed_checkpoint=save_distributed_checkpoint, timeout=timedelta(seconds=timeout)
        )
        self.mesh_config, self.sharding = mesh, sharding
        self._mesh: Mesh | None = None
        self._seed = 0
        self._accumulating = False

    @property
    def mesh(self) -> Mesh:
        """The mesh, once the processes have found each other."""
        if self._mesh is None:
            raise RuntimeError("The mesh is there once the trainer runs.")
        return self._mesh

    @override
    def _configure_launcher(self) -> None:
        """The trainer is being built: the first moment at which the number of processes is known."""
        self.mesh_config = self.mesh_config.over(self.num_nodes * self.num_processes)
        super()._configure_launcher()

    @override
    def setup_environment(self) -> None:
        self._setup_distributed()
        if self._mesh is None:
            self._mesh = Mesh(self.mesh_config, self.root_device.type)
        self._device_mesh = self._mesh.root
        self._seed = self.broadcast(torch.initial_seed())

    @override
    def setup(self, trainer: pl.Trainer) -> None:
        """As Lightning's own, which asks the stage to do what is done here."""
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self._begin_equal(self.model)
        if not self.sharding.cpu_offload:
            self.model_to_device()
        found = transformers(self.model)
        if not found and self.mesh.sequence_parts > 1:
            raise UserError(
                f"{type(self.lightning_module).__name__} has no transformer to cut: with mesh.cp and mesh.tp "
                "above 1 several processes would do the same work. Set both to 1."
            )
        for transformer in found:
            parallelize(transformer, self.mesh, self.sharding)
        self.barrier()
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()
        setattr(self.precision_plugin, "clip_grad_by_norm", self._clip)  # noqa: B010, torch's refuses two meshes

    @property
    @override
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """Samples are dealt to data ranks: the processes of a cp or tp group read the same ones."""
        return {"num_replicas": self.mesh.config.data_ranks, "rank": self.mesh.data_rank}

    @override
    def process_dataloader(self, dataloader: object) -> object:
        """Refuse loaders that would leave some processes waiting for others."""
        length = len(dataloader) if hasattr(dataloader, "__len__") else None  # pyright: ignore
        lengths: list[int | None] = [None] * self.world_size
        dist.all_gather_object(lengths, length)
        if len(set(lengths)) > 1 or lengths[0] == 0:
            raise UserError(
                f"The processes have {lengths} batches; all need equally many, and at least one. Give the "
                "data more samples, or take fewer data ranks (mesh.dp_replicate x mesh.dp_shard)."
            )
        return dataloader

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        epoch = self.lightning_module.current_epoch if self.lightning_module is not None else 0
        begin_step(self._seed, epoch, batch_idx, self.mesh.data_rank)

    @override
    def post_backward(self, closure_loss: Tensor) -> None:
        super().post_backward(closure_loss)
        if not self._accumulating:
            assert self.model is not None
            average_gradients(self.model.parameters(), self.mesh.average)

    @contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        """A micro-batch that is not the last of its step: whole weights are averaged once, after the last."""
        self._accumulating = True
        try:
            yield
        finally:
            self._accumulating = False

    def _clip(self, optimizer: Optimizer, clip_val: float) -> None:
        clip_gradients([weight for group in optimizer.param_groups for weight in group["params"]], clip_val)

    def _begin_equal(self, module: nn.Module) -> None:
        """Weights and buffers of the first process on all: seeds may differ."""
        if self.world_size > 1:
            for value in (*module.parameters(), *module.buffers()):
                if not isinstance(value, DTensor) and not value.is_meta:
                    dist.broadcast(value.detach(), src=0)
