"""What goes wrong on one process, and what each process says of it: run on ranks by test_failures.py."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from console import UserError
from lightning_modules.strategy import MeshStrategy
from parallel.mesh import MeshConfig
from tests.parallel.stage import Case, Recorded, trainer


class Failing(Recorded):
    """Does something else than training, on one process, in its third step."""

    def __init__(self, case: Case, failing: Callable[[], Any]) -> None:
        super().__init__(case)
        self.failing = failing

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        if batch_idx == 2 and self.trainer.global_rank == 1:
            self.failing()
        return super().training_step(batch, batch_idx)


class WithoutData(Recorded):
    """The second process has nothing to train on."""

    def train_dataloader(self) -> Any:
        loader = super().train_dataloader()
        loader.batches = loader.batches[: 0 if self.trainer.global_rank == 1 else None]
        return loader


def raise_error() -> None:
    """A fault of this process alone."""
    raise ZeroDivisionError("a fault of rank 1 alone")


def kill() -> None:
    """As the kernel does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    """Longer than the others wait."""
    time.sleep(30)


FAILING = {"killed": kill, "raises": raise_error, "hangs": hang}


def said(rank: int, kind: str, options: dict[str, Any]) -> list[Any]:
    """The error of a fit that goes wrong in the way of `kind`, as its type, its message and its seconds."""
    case = Case(mesh=MeshConfig(dp_shard=2))
    stage = Failing(case, FAILING[kind]) if kind in FAILING else Recorded(case)
    if kind == "no data":
        stage = WithoutData(case)
    if kind == "stale port":
        os.environ["MASTER_PORT"] = str(options.pop("port"))
        os.dup2(os.open(options.pop("said") / f"{rank}.txt", os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    began = time.monotonic()
    try:
        trainer(MeshStrategy(**options), 2, max_steps=5).fit(stage)
    except (UserError, ZeroDivisionError) as error:
        return [type(error).__name__, str(error), time.monotonic() - began]
    return ["nothing", "", time.monotonic() - began]
