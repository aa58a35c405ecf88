"""TrainingProgress: step, losses, speed, time left of the whole fit; a bar on a terminal, lines in a log."""

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, Timer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from typing_extensions import override

LINE_EVERY = 10.0  # seconds between two lines where there is no terminal
SMOOTHING = 0.9  # of the mean seconds of a step


class TrainingProgress(ProgressBar):
    """Counts optimizer steps towards max_steps, or time towards max_time, whichever ends the fit first."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last_line = 0.0
        self._last_end: float | None = None
        self._seconds: float | None = None  # of a step, smoothed
        self._enabled = True

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def print(self, *args: Any, **kwargs: Any) -> None:
        if self._bar is not None:
            self._bar.console.print(*args)
        else:
            print(*args, file=sys.stderr, flush=True)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_line = time.monotonic()
        self._last_end = None
        if self._enabled and trainer.is_global_zero and sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("starting", total=1.0)
            self._bar.start()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._last_end is not None:
            taken = now - self._last_end
            kept = SMOOTHING if self._seconds is not None else 0.0
            self._seconds = kept * (self._seconds or 0.0) + (1 - kept) * taken
        self._last_end = now
        if not self._enabled or not trainer.is_global_zero:
            return
        if self._bar is not None:
            done, _ = self._done_and_left(trainer)
            self._bar.update(self._task, completed=done, description=self.line(trainer, pl_module))
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            print(self.line(trainer, pl_module), file=sys.stderr, flush=True)

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._bar is not None and trainer.training is False:
            self._bar.update(self._task, description=f"step {trainer.global_step}  validating")

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_end = None  # the next step's seconds begin after the validation
        if (
            self._enabled
            and trainer.is_global_zero
            and trainer.state.fn == "fit"
            and not trainer.sanity_checking
        ):
            metrics = trainer.callback_metrics
            shown = "  ".join(
                f"{name} {float(metrics[name]):.4g}" for name in metrics if name.startswith("val")
            )
            self.print(f"step {trainer.global_step}  {shown}")

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._enabled and trainer.is_global_zero:
            self._stop()
            print(self.line(trainer, pl_module), file=sys.stderr, flush=True)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def line(self, trainer: Trainer, pl_module: LightningModule) -> str:
        """`step 120/1500  train/loss 0.123  3.4 it/s  about 7 min left`."""
        total = f"/{trainer.max_steps}" if trainer.max_steps and trainer.max_steps > 0 else ""
        values = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.get_metrics(trainer, pl_module).items()
            if name != "v_num" and not name.startswith("val")
        ]
        speed = [f"{1 / self._seconds:.2f} it/s"] if self._seconds else []
        _, left = self._done_and_left(trainer)
        ends = [f"about {_duration(left)} left"] if left else []
        return "  ".join([f"step {trainer.global_step}{total}", *values, *speed, *ends])

    def _done_and_left(self, trainer: Trainer) -> tuple[float, float | None]:
        """Fraction done in [0, 1] and seconds left, by the limit that comes first."""
        ends: list[tuple[float, float | None]] = []
        steps = trainer.estimated_stepping_batches
        if steps and steps != float("inf"):
            left = (steps - trainer.global_step) * self._seconds if self._seconds else None
            ends.append((trainer.global_step / steps, left))
        callbacks: list[Any] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue]
        for timer in (callback for callback in callbacks if isinstance(callback, Timer)):
            remaining, elapsed = timer.time_remaining(), timer.time_elapsed()
            if remaining is not None:
                ends.append((elapsed / (elapsed + remaining), max(0.0, remaining)))
        return max(ends, default=(0.0, None), key=lambda end: end[0])

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
