"""Jobs that die, hang and fail on command; in a file of their own, for worker processes import it."""

import errno
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from console import UserError


@dataclass(frozen=True)
class Scripted:
    """Writes its rows to `out`; `plan` says what happens at a row: die, once, hang, full, bug, user, wait,
    gpu."""

    key: str
    out: Path
    rows: int = 4
    plan: dict[int, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("scripted",)

    def run(self, beat, skip):
        done = []
        for row in range(self.rows):
            beat(row)
            done.append(skip.get(row) or self.act(row))
        (self.out / self.key).write_text("\n".join(done))
        return {"rows": len(done), "pid": os.getpid()}

    def act(self, row: int) -> str:
        deed = self.plan.get(row, "")
        mark = self.out / f"{self.key}.{row}"
        if deed == "die" or (deed == "once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "gpu":
            return os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if deed == "wait":
            time.sleep(0.5)
        if deed == "hang":
            time.sleep(60)
        if deed == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "part.parquet")
        if deed == "user":
            raise UserError("install it")
        if deed == "bug":
            raise KeyError("what")
        return "fine"
