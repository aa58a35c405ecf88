"""Reading a checkpoint folder into a stage that is cut over a mesh: each process takes its part in place."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_modules.checkpoint_io import check_fits, read_checkpoint
from lightning_modules.sealed import read_plain, verify, write_checkpoint
from lightning_modules.shards import empty_tensors, read_tensors
from lightning_modules.snapshot import MODEL, OPTIMIZER, Snapshot, put_together, take_apart, weight_names
from lightning_modules.team import Team
from parallel.sharding import shard_of


class SealedShards(ModelParallelStrategy):
    """Gives its parts of the state to whoever writes a checkpoint, and takes them from any checkpoint folder.

    The folder may have been written by any number of processes, on any mesh or none.
    """

    @override
    def lightning_module_state_dict(self) -> dict[str, Any]:
        assert self.lightning_module is not None
        return self.lightning_module.state_dict()

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        inner = optimizer._optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        return inner.state_dict()

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        assert self.lightning_module is not None
        names = [weight_names(self.lightning_module, optimizer) for optimizer in self.optimizers]
        snapshot = take_apart(checkpoint, names)
        write_checkpoint(Path(filepath), snapshot, Team.of_all(), int(checkpoint["global_step"]))

    @override
    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        assert self.lightning_module is not None
        path = Path(checkpoint_path)
        if path.is_dir():
            return read_into(path, self.lightning_module, self.optimizers, Team.of_all())
        checkpoint = read_checkpoint(path)  # a single file, whole on every process
        self._take(path, checkpoint)
        return {**checkpoint, "state_dict": {}}

    def _take(self, path: Path, checkpoint: dict[str, Any]) -> None:
        """Copy this process's parts of whole weights and moments."""
        assert self.lightning_module is not None
        state = self.lightning_module.state_dict()
        check_fits(path, checkpoint["state_dict"], state)
        values = {name: shard_of(value, state[name]) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(values)
        for optimizer, saved in zip(self.optimizers, checkpoint.get("optimizer_states", []), strict=False):
            optimizer.load_state_dict(saved)  # which knows whose each moment is, also of older groups
            for weight, moments in optimizer.state.items():
                optimizer.state[weight] = {name: shard_of(value, weight) for name, value in moments.items()}


def read_into(folder: Path, stage: nn.Module, optimizers: list[Optimizer], team: Team) -> dict[str, Any]:
    """Fill weights and moments in place, after every byte of the folder was held against its seal.

    Returns Lightning's checkpoint without the weights.
    """
    verify(folder, team)
    plain = read_plain(folder, team.rank)
    there = empty_tensors(folder, "meta")
    state = stage.state_dict()
    saved = {name.removeprefix(f"{MODEL}/"): value for name, value in there.items() if name.startswith(MODEL)}
    check_fits(folder, {**saved, **plain["model_values"]}, state)
    wanted = {f"{MODEL}/{name}": value for name, value in state.items() if name in saved}
    for number, optimizer in enumerate(optimizers):
        wanted |= _moments(there, number, stage, optimizer)
    read_tensors(folder, wanted)
    with torch.no_grad():
        for name, value in plain["model_values"].items():
            state[name].copy_(value)
    checkpoint = put_together(Snapshot(wanted, plain))
    for optimizer, moments in zip(optimizers, checkpoint["optimizer_states"], strict=False):
        optimizer.load_state_dict(moments)
    return {**checkpoint, "state_dict": {}}


def _moments(
    there: dict[str, Tensor], number: int, stage: nn.Module, optimizer: Optimizer
) -> dict[str, Tensor]:
    """Tensors to be filled for each moment of each weight of an optimizer, cut as the weight is."""
    weights = dict(stage.named_parameters(remove_duplicate=False))
    made = {}
    for name in weight_names(stage, optimizer):
        start = f"{OPTIMIZER}/{number}/{name}/"
        for key, saved in there.items():
            if key.startswith(start):
                weight = weights[name].detach()
                alike = saved.shape == weight.shape
                made[key] = (
                    torch.zeros_like(weight, dtype=saved.dtype)
                    if alike
                    else torch.zeros(saved.shape, dtype=saved.dtype, device=weight.device)
                )
    return made
