"""SeedSteps: random numbers that differ between processes with samples of their own, for any strategy."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from lightning_modules.strategy import MeshStrategy
from parallel.seeds import MicroBatches, begin_step


class SeedSteps(Callback):
    """Lightning gives all processes one seed: noise and times would be the same on each of them.

    MeshStrategy, which knows who shares samples, does this itself; one process draws on as it began.
    """

    def __init__(self) -> None:
        self._seed: int | None = None
        self._micro_batches = MicroBatches()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._seed is None:  # a fit that goes on in this process is seeded by its latest step by now
            self._seed = trainer.strategy.broadcast(torch.initial_seed())

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert self._seed is not None
        if trainer.world_size > 1 and not isinstance(trainer.strategy, MeshStrategy):
            step = trainer.global_step
            begin_step(self._seed, step, self._micro_batches.number(step), trainer.global_rank)
