"""Watchdog: a run that stands still says which process waits for which in which collective, and ends."""

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from lightning_modules.ending import requeue_job
from lightning_modules.run_folder import RunFolder
from storage import write_json

HANGS = 75  # EX_TEMPFAIL: the same command may well succeed
WORDS = "watchdog"  # folder in the run's, with the last words of each process
PLAIN = {"wrapper", "inner", "_fn", "__call__"}  # functions that only call others


class Watchdog(Callback):
    """A thread that looks at the time since the last sign of life: a batch, a backward pass, a checkpoint.

    Args:
        seconds: Without a sign of life after which the process ends with exit code 75; 0 never. More than the
            longest validation batch, sample or compilation takes.
    """

    def __init__(self, seconds: float = 3600.0) -> None:
        if seconds < 0:
            raise ValueError(f"watchdog.seconds must be at least 0; {seconds} came.")
        self.seconds = seconds
        self.requeue = False  # whether Slurm is asked to start the job again
        self._beat = time.monotonic()
        self._phase = "start"
        self._stop = threading.Event()
        self._trainer: Trainer | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trainer = trainer
        self._alive("start")
        if self.seconds:
            folder = RunFolder(trainer.default_root_dir).path / WORDS
            with contextlib.suppress(FileNotFoundError):
                _words_of(folder, trainer.global_rank).unlink()
            self._stop = threading.Event()
            owner = threading.get_ident()
            watch = threading.Thread(target=self._watch, args=(self._stop, folder, owner), daemon=True)
            watch.start()

    @override
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._alive("training step")

    @override
    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        self._alive("backward pass")

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self._alive("optimizer step")

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._alive("end of the step, checkpoint, next batch")

    @override
    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._alive("validation")

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._alive("end of the validation, samples")

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop.set()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop.set()

    def _alive(self, phase: str) -> None:
        self._beat, self._phase = time.monotonic(), phase

    def _watch(self, stop: threading.Event, folder: Path, owner: int) -> None:
        while not stop.wait(min(5.0, self.seconds / 10)):
            if time.monotonic() - self._beat > self.seconds:
                self._bark(stop, folder, owner)
                return

    def _bark(self, stop: threading.Event, folder: Path, owner: int) -> None:
        """Leave word, read that of the others, say what they tell together, and end the process."""
        assert self._trainer is not None
        rank, world = self._trainer.global_rank, self._trainer.world_size
        frame = sys._current_frames().get(owner)
        write_json(_words_of(folder, rank), {
            "rank": rank,
            "step": self._trainer.global_step + 1,
            "phase": self._phase,
            "seconds": round(time.monotonic() - self._beat, 1),
            **where(frame),
        })  # fmt: skip
        patience = min(10.0, max(1.0, self.seconds / 2)) if world > 1 else 0.0
        if stop.wait(patience):
            return  # it went on after all
        words = [json.loads(file.read_text()) for file in sorted(folder.glob("rank-*.json"))]
        if not words or words[0]["rank"] == rank:
            print(f"error: {told(words, world)}", file=sys.stderr, flush=True)
            if self.requeue:
                requeue_job()
        elif stop.wait(patience):  # the first one speaks, then all end
            return
        launcher: Any = self._trainer.strategy.launcher
        if launcher is not None and hasattr(launcher, "kill"):
            launcher.kill(9)  # processes that this one has started
        os._exit(HANGS)  # the main thread does not answer


def where(frame: FrameType | None) -> dict[str, str | None]:
    """The collective that a thread is in, if it is in one, and the line of its code that led there."""
    line = "unknown"
    found: dict[str, str] = {}
    for entry in traceback.extract_stack(frame) if frame is not None else []:
        path = entry.filename.replace(os.sep, "/")
        if "site-packages" not in path and "/lib/python" not in path and not path.startswith("<frozen"):
            line = f"{Path(path).name}:{entry.lineno} {entry.name}"
            found = {}
        elif path.endswith("torch/autograd/graph.py") and torch.distributed.is_initialized():
            found.setdefault("backward", "the backward pass, where gradients are averaged")
        elif "torch/distributed/" in path and entry.name not in PLAIN:
            found.setdefault("c10d" if path.endswith("distributed_c10d.py") else "above", entry.name)
    named = [found[kind] for kind in ("c10d", "above", "backward") if kind in found]
    return {"collective": named[0] if named else None, "line": line}


def told(words: list[dict[str, Any]], world: int) -> str:
    """One message of what the processes said: who waits, and for whom."""
    silent = sorted(set(range(world)) - {word["rank"] for word in words})
    behind = min((word["step"] for word in words), default=0)
    late = [
        w for w in words if w["collective"] is None or w["step"] == behind < max(x["step"] for x in words)
    ]
    lines = [
        f"rank {word['rank']}: step {word['step']}, {word['phase']}, "
        + (f"waits in {word['collective']}" if word["collective"] else "in no collective")
        + f", {word['line']}, for {word['seconds']:.0f} s"
        for word in words
    ]
    lines += [f"rank {rank}: no word; its process is gone or stopped" for rank in silent]
    blamed = silent or [word["rank"] for word in late]
    names = ", ".join(map(str, blamed)) or "none that stands out"
    return (
        f"The run stands still (watchdog.seconds). Held up by rank: {names}.\n  "
        + "\n  ".join(lines)
        + "\nThe same command goes on from the newest checkpoint."
    )


def _words_of(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank:05d}.json"
