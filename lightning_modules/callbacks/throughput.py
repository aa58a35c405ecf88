"""Throughput: what a second of training does, what it could, and what of it is spent waiting for data."""

import time
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from lightning_modules.work import Work
from parallel.plan.devices import DEVICES

SIDE, REPEATS = 768, 5  # of the products that a processor's peak is measured by
COUNTS = ("clips", "frames", "tokens", "text", "padding", "flops")


@runtime_checkable
class CountsWork(Protocol):
    """A stage that knows what a batch costs it."""

    def work(self, batch: dict[str, Any]) -> Work:
        """Of one process's batch."""
        ...


class Throughput(Callback):
    """Means over the steps between two logged ones; validation and checkpoints are not counted.

    Counts are of all data ranks together; processes that share samples count them once. MFU is the model's
    operations over what the devices could do: each product counted once, attention in full.

    Args:
        peak: FLOP/s of one device. null: by its data sheet (dense bfloat16), as parallel.plan has it; on a
            processor as measured when the fit starts; no MFU for a GPU that is not known.
    """

    def __init__(self, peak: float | None = None) -> None:
        if peak is not None and peak <= 0:
            raise ValueError(f"throughput.peak must be above 0; {peak} came.")
        self.peak = peak
        self._counts: dict[str, float | Tensor] = dict.fromkeys(COUNTS, 0.0)
        self._steps = 0
        self._busy = 0.0  # seconds from a batch's arrival to the end of its step
        self._waited = 0.0  # what the loader's own clock showed when this count began
        self._began = 0.0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.peak is None and isinstance(pl_module, CountsWork):
            self.peak = peak_of(pl_module.device)
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
        self._counts["clips"] += _clips_in(batch)
        if isinstance(pl_module, CountsWork):
            for name, value in pl_module.work(batch)._asdict().items():
                self._counts[name] = self._counts[name] + value
        if trainer.global_step % trainer.log_every_n_steps == 0:  # pyright: ignore[reportAttributeAccessIssue]
            pl_module.log_dict(self.measured(trainer))
            self._restart(trainer)

    def measured(self, trainer: Trainer) -> dict[str, float]:
        """By name; all processes ask together."""
        waited = _waited(trainer) - self._waited
        seconds = max(self._busy + waited, 1e-9)
        count = self._of_all(trainer)
        found = {
            "clips_per_second": count["clips"] / seconds,
            "seconds_per_step": seconds / max(self._steps, 1),
            "data_wait": waited / seconds,
        }
        if count["tokens"]:
            found |= {
                "frames_per_second": count["frames"] / seconds,
                "tokens_per_second": count["tokens"] / seconds,
                "text_padding": count["padding"] / max(count["text"], 1.0),
                "flops_per_step": count["flops"] / max(self._steps, 1),
                "flops_per_second": count["flops"] / seconds,
            }
        if count["flops"] and self.peak is not None:
            found["mfu"] = count["flops"] / seconds / (self.peak * trainer.world_size)
        return {f"throughput/{name}": value for name, value in found.items()}

    def _of_all(self, trainer: Trainer) -> dict[str, float]:
        """The counts of all data ranks."""
        own = torch.tensor([float(self._counts[name]) for name in COUNTS], dtype=torch.float64)
        if trainer.world_size > 1:
            own = own.to(trainer.strategy.root_device)
            own = trainer.strategy.reduce(own, reduce_op="sum")
            dealt = getattr(trainer.strategy, "distributed_sampler_kwargs", None)
            own = own * ((dealt["num_replicas"] if dealt else 1) / trainer.world_size)
        return dict(zip(COUNTS, own.tolist(), strict=True))  # pyright: ignore[reportAttributeAccessIssue]

    def _restart(self, trainer: Trainer) -> None:
        self._counts = dict.fromkeys(COUNTS, 0.0)
        self._steps, self._busy = 0, 0.0
        self._waited = _waited(trainer)


def peak_of(device: torch.device) -> float | None:
    """FLOP/s that a device can do; None where nobody knows."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device).lower()
        return next((known.peak for kind, known in DEVICES.items() if kind in name), None)
    return measured_peak() if device.type == "cpu" else None


def measured_peak() -> float:
    """FLOP/s of this process's threads in products of float32, at best of a few: half a second at most."""
    one = torch.ones(SIDE, SIDE)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        torch.mm(one, one)
        seconds.append(time.perf_counter() - began)
    return 2 * SIDE**3 / min(seconds)


def _waited(trainer: Trainer) -> float:
    """Seconds that the training loop has spent in its loader so far; 0 for a loader without a clock."""
    return float(getattr(trainer.train_dataloader, "waited", 0.0))


def _clips_in(batch: Any) -> int:
    return len(batch["clip_id"]) if isinstance(batch, dict) and "clip_id" in batch else 0
