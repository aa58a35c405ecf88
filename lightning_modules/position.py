"""Lightning's count of batches within an epoch, kept in step with the loader's after a change of ranks."""

from typing import Any

from lightning.pytorch import Trainer


def follow_loader(trainer: Trainer) -> None:
    """Move the count by as much as the loader was moved when its state was loaded.

    On another number of ranks an epoch has another number of batches, and as many of them are behind us as
    there would be had it always been so many; Lightning ends an epoch by its own count.
    """
    loader: Any = trainer.train_dataloader
    progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    shift = getattr(loader, "shift", 0)
    if not shift or not progress.ready:
        return
    loader.shift = 0
    for name in ("ready", "started", "processed", "completed"):
        setattr(progress, name, getattr(progress, name) + shift)
