"""GracefulStop: Ctrl-C, SIGTERM and SIGUSR1 end a fit after the step at hand, with a checkpoint of it."""

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

from lightning_modules.callbacks.checkpoint import RunCheckpoint
from lightning_modules.mlflow_logger import RunLogger

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # the last is what Slurm sends ahead of its limit


class Stopped(BaseException):
    """A fit that ended on a signal, after its checkpoint was written."""

    def __init__(self, signum: int, step: int) -> None:
        super().__init__(f"stopped by signal {signum} after step {step}")
        self.signum = signum
        self.step = step


class GracefulStop(Callback):
    """The first signal asks for the end of the step; a second Ctrl-C does not wait for it."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._saved = False
        self._handlers: dict[int, Any] = {}
        self._last_step = 0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step
        if trainer.received_sigterm:  # it came during set-up
            self._asked = signal.SIGTERM
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                self._handlers[signum] = signal.signal(signum, self._ask)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        amid_step = trainer.global_step == self._last_step  # gradients are still being accumulated
        self._last_step = trainer.global_step
        asked = self._asked is not None
        if trainer.world_size > 1:  # a signal may reach one process only
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if not asked or amid_step:
            return
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, RunCheckpoint):
                callback.save(trainer)
                callback.finish()
        self._saved = True

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._end(trainer)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()
        self._end(trainer)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore()
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.killed = isinstance(exception, (Stopped, KeyboardInterrupt, SIGTERMException))

    def _end(self, trainer: Trainer) -> None:
        """Leave at the first chance after the step was saved and its numbers were logged."""
        if self._saved:
            raise Stopped(self._asked or signal.SIGTERM, trainer.global_step)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self._asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self._asked is None:
            print("\nStopping after this step; Ctrl-C again stops at once.", file=sys.stderr, flush=True)
        self._asked = signum

    def _restore(self) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        self._handlers.clear()
