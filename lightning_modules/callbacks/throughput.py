"""Throughput: clips a second, seconds a step, and the share of them that was spent waiting for data."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override


class Throughput(Callback):
    """Means over the steps between two logged ones; validation and checkpoints are not counted."""

    def __init__(self) -> None:
        self._clips = 0
        self._steps = 0
        self._busy = 0.0  # seconds from a batch's arrival to the end of its step
        self._waited = 0.0  # what the loader's own clock showed when this count began
        self._began = 0.0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart(trainer)

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._began = time.perf_counter()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._busy += time.perf_counter() - self._began
        self._steps += 1
        self._clips += _clips_in(batch)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # pyright: ignore[reportAttributeAccessIssue]
            pl_module.log_dict(self.measured(trainer))
            self._restart(trainer)

    def measured(self, trainer: Trainer) -> dict[str, float]:
        """Clips a second over all data ranks, seconds a batch, and the share of both spent waiting."""
        waited = _waited(trainer) - self._waited
        seconds = max(self._busy + waited, 1e-9)
        ranks = getattr(trainer.strategy, "distributed_sampler_kwargs", {"num_replicas": 1})["num_replicas"]
        return {
            "throughput/clips_per_second": self._clips * ranks / seconds,
            "throughput/seconds_per_step": seconds / max(self._steps, 1),
            "throughput/data_wait": waited / seconds,
        }

    def _restart(self, trainer: Trainer) -> None:
        self._clips, self._steps, self._busy = 0, 0, 0.0
        self._waited = _waited(trainer)


def _waited(trainer: Trainer) -> float:
    """Seconds that the training loop has spent in its loader so far; 0 for a loader without a clock."""
    return float(getattr(trainer.train_dataloader, "waited", 0.0))


def _clips_in(batch: Any) -> int:
    return len(batch["clip_id"]) if isinstance(batch, dict) and "clip_id" in batch else 0
