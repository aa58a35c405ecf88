"""The stand-in with troubles that are asked for in its config, so that they reach processes of a command."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.lightning_modules.stand_in import StandIn


class Troubled(StandIn):
    """As StandIn, and writes down what each process trains on.

    Args:
        record: Folder with a file for each rank and a line for each batch: step, clips, the exact loss.
        bad_clip: A clip of which a batch becomes no number, or a thousand times its loss.
        factor: By which the loss of a batch with the bad clip is multiplied; 0 makes it NaN.
        hang_at: Step (from 0) at which rank `hang_rank` stands still.
        pause: Seconds that each step takes at least.
    """

    def __init__(
        self,
        record: str | None = None,
        bad_clip: str | None = None,
        factor: float = 0.0,
        hang_at: int | None = None,
        pause: float = 0.0,
    ) -> None:
        super().__init__()
        self.record, self.bad_clip, self.factor = record, bad_clip, factor
        self.hang_at, self.pause = hang_at, pause

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        if self.hang_at == self.global_step and self.global_rank == self.trainer.world_size - 1:
            time.sleep(3600)
        time.sleep(self.pause)
        loss = super().training_step(batch, batch_idx)
        if self.record is not None:
            line = {"step": self.global_step, "clips": batch["clip_id"], "loss": loss.item().hex()}
            with open(Path(self.record) / f"rank-{self.global_rank}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        if self.bad_clip in batch["clip_id"]:
            loss = loss * (self.factor or torch.nan)
        return loss
