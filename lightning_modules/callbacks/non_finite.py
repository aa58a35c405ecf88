"""NonFinite: a step whose loss or gradient is no number is left out; a run of them stops the fit."""

from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from console import UserError
from lightning_modules.run_folder import RunFolder
from parallel.gradients import total_norm

SHOWN = 8  # clips named in the message


class BadStepError(UserError):
    """A step that training cannot go on from."""


class NonFiniteLossError(BadStepError):
    """Too many steps in a row had a loss or gradient that is NaN or infinite."""


@runtime_checkable
class Writes(Protocol):
    """A callback that may still be writing a checkpoint."""

    def finish(self) -> None:
        """Wait until it is written."""
        ...


class NonFinite(Callback):
    """Takes away the gradients of such a step before the optimizer sees them, so that weights, moments and
    averages stay what they were. The step counts: schedules, checkpoints and the data go on as in any other.

    Args:
        in_a_row: Steps that may be left out one after the other, before the fit stops; 0 stops at the first.
    """

    def __init__(self, in_a_row: int = 4) -> None:
        if in_a_row < 0:
            raise ValueError(f"non_finite.in_a_row must be at least 0; {in_a_row} came.")
        self.in_a_row = in_a_row
        self.skipped = 0  # steps in the whole run
        self.row = 0  # of the latest steps, without one that was made
        self._clips: list[str] = []  # of the step at hand
        self._losses: list[Tensor] = []

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._clips += list(batch.get("clip_id", [])) if isinstance(batch, dict) else []

    @override
    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        loss, norm = torch.stack(self._losses).sum(), total_norm(pl_module.parameters())
        whole = bool(torch.isfinite(loss + norm))  # one wait for the device, not two
        if trainer.world_size > 1:  # all leave the step out, or none
            whole = trainer.strategy.reduce_boolean_decision(whole, all=True)
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        clips, self._clips, self._losses = self._clips, [], []
        if whole:
            self.row = 0
        elif not (scaled and torch.isfinite(loss)):  # else float16 overflowed, which its scaler answers
            self.row, self.skipped = self.row + 1, self.skipped + 1
            pl_module.zero_grad(set_to_none=True)
            if self.row > self.in_a_row:
                raise NonFiniteLossError(self._message(trainer, float(loss), float(norm), clips))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        pl_module.log("train/skipped_steps", float(self.skipped))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "row": self.row}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.skipped, self.row = state_dict["skipped"], state_dict["row"]

    def _message(self, trainer: Trainer, loss: float, norm: float, clips: list[str]) -> str:
        named = ", ".join(map(str, clips[:SHOWN])) or "unknown"
        more = f" and {len(clips) - SHOWN} more" if len(clips) > SHOWN else ""
        row = f", as in {self.row - 1} before it" if self.row > 1 else ""
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, Writes):
                callback.finish()
        newest = RunFolder(trainer.default_root_dir).newest()
        goes_on = f"the same command goes on from {newest}" if newest else "nothing was saved yet"
        return (
            f"The loss is {loss} and the gradient's norm {norm} in step {trainer.global_step + 1}{row}. "
            f"Clips: {named}{more}. Lower the learning rate, set trainer.gradient_clip_val, or look at these "
            f"clips; {goes_on}."
        )
