"""MeshStrategy: the strategy of every stage on more than one process (Sec. 3.1.6)."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.fabric.utilities.device_dtype_mixin import _update_properties
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from typing_extensions import override

from console import UserError
from lightning_modules.meeting import Place, meeting
from lightning_modules.sharded import SealedShards
from models.transformer.parallelize import draw, parallelize, transformers
from parallel.gradients import average_gradients, clip_gradients
from parallel.mesh import Mesh, MeshConfig
from parallel.seeds import MicroBatches, begin_step
from parallel.sharding import ShardingConfig


class MeshStrategy(SealedShards):
    """Cuts a stage's transformers over a mesh and keeps all else whole on every process; gloo or nccl.

    A stage needs nothing for it: no wrapping, no `configure_model`. Gradients are averaged over the processes
    that see other samples or other tokens. Random numbers of a step are equal where samples are shared and
    differ where they are not.

    Args:
        mesh: Sizes of the axes dp_replicate, dp_shard, cp and tp.
        sharding: How weights are kept and tokens are shared.
        timeout: Seconds that a process waits for the others in a step before it gives up.
        start_timeout: The same while they find each other.
    """

    def __init__(
        self,
        mesh: MeshConfig = MeshConfig(),  # noqa: B008, it is frozen
        sharding: ShardingConfig = ShardingConfig(),  # noqa: B008
        timeout: float = 1800.0,
        start_timeout: float = 300.0,
    ) -> None:
        super().__init__(timeout=timedelta(seconds=start_timeout))
        self._start, self._patience = start_timeout, timedelta(seconds=timeout)
        self.mesh_config, self.sharding = mesh, sharding
        self._mesh: Mesh | None = None
        self._seed, self._micro_batches = 0, MicroBatches()
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
    def _get_process_group_backend(self) -> str:
        """Offloaded gradients lie in the host's memory, where nccl cannot add up their norms."""
        name = super()._get_process_group_backend()
        return f"cpu:gloo,cuda:{name}" if name == "nccl" and self.sharding.cpu_offload else name

    @override
    def setup_environment(self) -> None:
        with meeting(self._place, self._start, self._end_launched):
            self._setup_distributed()
            if self._mesh is None:
                self._seed = self.broadcast(torch.initial_seed())
                self._mesh = Mesh(self.mesh_config, self.root_device.type)
                self._mesh.set_timeout(self._patience)
        self._device_mesh = self._mesh.root

    @override
    def setup(self, trainer: pl.Trainer) -> None:
        """As Lightning's own, which asks the stage to do what is done here."""
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        if self.sharding.cpu_offload and self.root_device.type == "cpu":
            rank_zero_warn("sharding.cpu_offload has no effect: there is no GPU to take weights from.")
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self._begin_equal(self.model)
        found = transformers(self.model)
        if not found and self.mesh.sequence_parts > 1:
            raise UserError(
                f"{type(self.lightning_module).__name__} has no transformer to cut: with mesh.cp and mesh.tp "
                "above 1 several processes would do the same work. Set both to 1."
            )
        try:
            for transformer in found:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(self._seed)  # empty weights: the same on all, and in the average
                    parallelize(transformer, self.mesh, self.sharding, fill=draw)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.model_to_device()
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
        assert self.lightning_module is not None
        step = self.lightning_module.global_step
        begin_step(self._seed, step, self._micro_batches.number(step), self.mesh.data_rank)

    @override
    def post_backward(self, closure_loss: Tensor) -> None:
        super().post_backward(closure_loss)
        if not self._accumulating:
            assert self.model is not None
            average_gradients(self.model.parameters(), self.mesh.average)

    @contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        """A micro-batch that is not the last of its step: copies are averaged once, after the last.

        Shards are still reduced after each, since whole gradients would need the memory of whole weights.
        """
        self._accumulate(True)
        try:
            yield
        finally:
            self._accumulate(False)

    @override
    def on_exception(self, exception: BaseException) -> None:
        """Say that another process is gone, where that is what came."""
        lost = self._place.lost(exception)
        if lost is not None:
            raise lost from exception

    @property
    def _place(self) -> Place:
        environment = self.cluster_environment
        assert environment is not None
        return Place(self.global_rank, self.world_size, environment.main_address, environment.main_port)

    def _end_launched(self) -> None:
        """The processes that this one has started would wait for it."""
        if isinstance(self._launcher, _SubprocessScriptLauncher):
            self._launcher.kill(signal.SIGTERM)

    def _accumulate(self, accumulating: bool) -> None:
        self._accumulating = accumulating
        assert self.model is not None
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.set_requires_all_reduce(not accumulating, recurse=False)

    def _clip(self, optimizer: Optimizer, clip_val: float) -> None:
        clip_gradients([weight for group in optimizer.param_groups for weight in group["params"]], clip_val)

    @override
    def model_to_device(self) -> None:
        """What is sharded is where it belongs: on the device, or for offloading in the host's memory."""
        assert self.model is not None
        for value in _whole(self.model):
            value.data = value.data.to(self.root_device)
        _update_properties(self.model, device=self.root_device)  # of LightningModule.device; .to would do it

    def _begin_equal(self, module: nn.Module) -> None:
        """Weights and buffers of the first process on all, one at a time: seeds may differ."""
        if self.world_size > 1:
            for value in _whole(module):
                sent = value.detach().to(self.root_device).contiguous()
                dist.broadcast(sent, src=0)
                value.data.copy_(sent)


def _whole(module: nn.Module) -> list[Tensor]:
    """Weights and buffers that are not sharded."""
    values = (*module.parameters(), *module.buffers())
    return [value for value in values if not isinstance(value, DTensor) and not value.is_meta]
