"""NonFinite: a loss that is no number stops the run before it reaches the weights."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from console import UserError
from lightning_modules.run_folder import RunFolder

SHOWN = 8  # clips named in the message


class NonFiniteLossError(UserError):
    """The loss of a batch is NaN or infinite."""


class NonFinite(Callback):
    """Checks each loss before its backward pass, so that the weights are still those of the step before."""

    def __init__(self) -> None:
        self._clips: list[str] = []

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._clips = list(batch.get("clip_id", [])) if isinstance(batch, dict) else []

    @override
    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if torch.isfinite(loss.detach()).all():
            return
        named = ", ".join(map(str, self._clips[:SHOWN])) or "unknown"
        more = f" and {len(self._clips) - SHOWN} more" if len(self._clips) > SHOWN else ""
        newest = RunFolder(trainer.default_root_dir).newest()
        goes_on = f"the same command goes on from {newest}" if newest else "nothing was saved yet"
        raise NonFiniteLossError(
            f"The loss is {loss.item()} in step {trainer.global_step + 1}. Clips: {named}{more}. "
            f"Lower the learning rate, set trainer.gradient_clip_val, or look at these clips; {goes_on}."
        )
