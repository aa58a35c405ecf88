"""RunCheckpoint: the state of a run every N steps and at its end, so that a kill changes nothing."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from lightning_modules.callbacks.non_finite import NonFiniteLossError
from lightning_modules.run_folder import RunFolder


class RunCheckpoint(Checkpoint):
    """Keeps the newest checkpoints in `<run folder>/checkpoints` (the run folder is the trainer's root).

    Args:
        every: Optimizer steps between two checkpoints.
        keep: How many of the newest to keep.
    """

    def __init__(self, every: int = 500, keep: int = 2) -> None:
        if every < 1 or keep < 1:
            raise ValueError(
                f"checkpoint.every and checkpoint.keep must be at least 1; {every} and {keep} came."
            )
        self.every = every
        self.keep = keep
        self._saved_step = 0
        self._last_step = 0
        self._between_steps = True  # no gradient is half accumulated, no optimizer step half made
        self._random: dict[str, Any] | None = None

    def save(self, trainer: Trainer) -> Path:
        """Write the checkpoint of this step (once) and drop those beyond `keep`."""
        folder = RunFolder(trainer.default_root_dir)
        path = folder.checkpoint(trainer.global_step)
        rehearsal = trainer.fast_dev_run  # pyright: ignore[reportAttributeAccessIssue]
        if rehearsal or (self._saved_step == trainer.global_step and path.is_file()):
            return path
        self._saved_step = trainer.global_step
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            for old in folder.whole_checkpoints()[: -self.keep]:
                old.unlink(missing_ok=True)
                shutil.rmtree(old.with_suffix(""), ignore_errors=True)  # the model folder of that step
        return path

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_step = self._last_step = trainer.global_step
        if self._random is not None:  # last of all that starts a run, since set-up draws numbers too
            _set_random_state(self._random)
            self._random = None

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self._between_steps = False

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._between_steps = trainer.global_step > self._last_step
        self._last_step = trainer.global_step
        if self._between_steps and trainer.global_step % self.every == 0:
            self.save(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step > self._saved_step:
            self.save(trainer)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what was learnt, unless the exception came amid a step or the weights are in doubt."""
        if isinstance(exception, (NonFiniteLossError, OSError)) or not trainer.training:
            return
        if self._between_steps and trainer.global_step > self._saved_step:
            progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
            loader: Any = trainer.train_dataloader
            if progress.ready > progress.processed and hasattr(loader, "put_back"):
                loader.put_back()
            self.save(trainer)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"random": _random_state()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = state_dict.get("random")


def _random_state() -> dict[str, Any]:
    """The generators of python, numpy and torch, as types that load with weights_only=True."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
