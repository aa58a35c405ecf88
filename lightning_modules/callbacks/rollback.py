"""RollBack: after a loss that leaps or is no number, back to the last checkpoint without those samples."""

import math
import statistics
from collections import deque
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from typing_extensions import override

from datamodules.quarantine import Quarantine
from lightning_modules.callbacks.non_finite import BadStepError, NonFinite
from lightning_modules.team import Team

LEAST = 20  # losses that must be known before one of them can be called a leap
SIGMA = 1.4826  # a standard deviation in median absolute deviations of a normal distribution


class LossSpikeError(BadStepError):
    """The loss of a step is far above those before it."""


class Step(NamedTuple):
    """What one process trained on in a step, and the loss that it saw itself."""

    loss: float
    data: list[str]
    numbers: list[int]
    clips: list[str]


class RollBack(Callback):
    """Answers what `non_finite` gives up on, and leaps of the loss, before the optimizer takes the step.

    The samples of the steps go to quarantine.json in the run's folder: those of the processes whose own loss
    stands out, or of all where none does. The run then goes on from its last checkpoint and leaves them out.

    Args:
        times: How often, before the fit stops; 0 stops at the first.
        spike: A loss this many (robust) standard deviations above the median of the latest is a leap; 0 looks
            for none.
        window: How many of the latest losses are compared with.
    """

    def __init__(self, times: int = 2, spike: float = 0.0, window: int = 200) -> None:
        if times < 0 or spike < 0 or window < LEAST:
            raise ValueError(
                f"rollback.times and rollback.spike must be at least 0 and rollback.window at least {LEAST}; "
                f"{times}, {spike} and {window} came."
            )
        self.times = times
        self.spike = spike
        self.window = window
        self.rolled_back = 0  # times in this process
        self.ready = False  # the samples are set aside, the run may go on from a checkpoint
        self._losses: deque[float] = deque(maxlen=window)
        self._steps: deque[Step] = deque(maxlen=1)
        self._current = Step(0.0, [], [], [])
        self._parts: list[Tensor] = []

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rows = [callback.in_a_row for callback in _callbacks(trainer) if isinstance(callback, NonFinite)]
        self._steps = deque(maxlen=1 + max(rows, default=0))
        self._begin()

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        loader: Any = trainer.train_dataloader
        if hasattr(loader, "last"):
            data, numbers = loader.last
            clips = list(batch.get("clip_id", [])) if isinstance(batch, dict) else []
            self._current.data.extend([data] * len(numbers))
            self._current.numbers.extend(numbers)
            self._current.clips.extend(map(str, clips or ["unknown"] * len(numbers)))

    @override
    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._parts.append(loss.detach())

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        mine = torch.stack(self._parts).sum()
        self._steps.append(self._current._replace(loss=float(mine)))
        self._begin()
        if not self.spike:
            return
        mean = trainer.strategy.reduce(mine, reduce_op="mean") if trainer.world_size > 1 else mine
        value = float(mean)  # pyright: ignore[reportArgumentType]
        limit = self._limit()
        if value > limit:
            raise LossSpikeError(
                f"The loss leapt to {value:.4g} in step {trainer.global_step + 1}; {limit:.4g} is the limit "
                f"(rollback.spike {self.spike:g}). Lower the learning rate, or look at the clips of "
                f"{Quarantine(trainer.default_root_dir).path}."
            )
        if math.isfinite(value):
            self._losses.append(value)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """All processes come here with the same fault, in the same step."""
        self.ready = False
        if not isinstance(exception, BadStepError) or self.rolled_back >= self.times or not self._steps:
            return
        count = 1 if isinstance(exception, LossSpikeError) else len(self._steps)
        limit = self._limit()
        mine = list(self._steps)[-count:]
        told = Team.of_all().all(lambda: mine)
        if trainer.is_global_zero:
            self._set_aside(
                trainer, [[Step(*step) for step in of_rank] for of_rank in told], limit, exception
            )
        Team.of_all().all(lambda: None)  # the file is there before anyone reads it
        self.rolled_back += 1
        self.ready = True

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self._losses)}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._losses = deque(state_dict["losses"], maxlen=self.window)

    def _limit(self) -> float:
        """The loss above which a step is a leap."""
        if not self.spike or len(self._losses) < LEAST:
            return math.inf
        median = statistics.median(self._losses)
        deviation = SIGMA * statistics.median(abs(loss - median) for loss in self._losses)
        return median + self.spike * max(deviation, 1e-6 * abs(median))

    def _set_aside(
        self, trainer: Trainer, told: list[list[Step]], limit: float, exception: BaseException
    ) -> None:
        quarantine = Quarantine(trainer.default_root_dir)
        for steps in zip(*told, strict=True):  # of all processes, one after the other
            outstanding = [step for step in steps if not step.loss <= limit or not math.isfinite(step.loss)]
            for step in outstanding or steps:
                facts = {"step": trainer.global_step + 1, "reason": type(exception).__name__}
                for data in set(step.data):
                    rows = zip(step.data, step.numbers, step.clips, strict=True)
                    quarantine.add(
                        data, {number: {"clip_id": clip, **facts} for d, number, clip in rows if d == data}
                    )

    def _begin(self) -> None:
        self._current, self._parts = Step(0.0, [], [], []), []


def _callbacks(trainer: Trainer) -> list[Any]:
    return trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
