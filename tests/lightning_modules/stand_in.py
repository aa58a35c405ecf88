"""A stage small enough for the tests of the command: a linear autoencoder of frames that really trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from lightning_modules.plateau import Plateau


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A nested config, as the real stages have."""

    width: int = 8
    """Numbers that a frame is squeezed through."""


@dataclass
class Disturbance:
    """What happens once in the middle of a run: at `step` (from 0), before its loss, `action` is called."""

    step: int
    action: Callable[[], None]


class StandIn(LightningModule):
    """Reconstructs 16 px frames with noise added, so that the random state matters; keeps what it saw.

    Args:
        shape: Of the model.
        lr: Learning rate.
        broken_at: Step (from 0) at which the loss becomes NaN.
        patience: Validations after which the rate is cut, whatever they show; none: it is constant.
    """

    made: ClassVar[list["StandIn"]] = []  # every one, so that a test finds that of a command
    disturbance: ClassVar[Disturbance | None] = None

    def __init__(
        self,
        shape: Shape | None = None,
        lr: float = 1e-2,
        broken_at: int | None = None,
        patience: int | None = None,
    ) -> None:
        super().__init__()
        shape = shape or Shape()
        self.save_hyperparameters({"width": shape.width, "lr": lr})
        self.squeeze = nn.Linear(16 * 16 * 3, shape.width)
        self.expand = nn.Linear(shape.width, 16 * 16 * 3)
        self.lr = lr
        self.broken_at = broken_at
        self.patience = patience
        self.rates: list[float] = []
        self.seen: list[tuple[str, ...]] = []
        self.losses: list[float] = []
        StandIn.made.append(self)

    def forward(self, video: Tensor) -> Tensor:
        return self.expand(self.squeeze(video.flatten(2))).view_as(video)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        video, disturbance = batch["video"], StandIn.disturbance
        if disturbance is not None and self.global_step == disturbance.step:
            StandIn.disturbance = None
            disturbance.action()
        loss = (self(video + 0.1 * torch.randn_like(video)) - video).square().mean()
        if self.broken_at is not None and self.global_step == self.broken_at:
            loss = loss * float("nan")
        self.seen.append(tuple(batch["clip_id"]))
        self.losses.append(loss.item())
        optimizer: Any = self.optimizers()
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        loss = (self(batch["video"]) - batch["video"]).square().mean()
        self.log("val/loss", loss, batch_size=len(batch["clip_id"]))

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self(batch["video"])

    def reconstruct(self, batch: dict[str, Any]) -> Tensor:
        return self(batch["video"])

    def configure_optimizers(self) -> Any:
        if self.patience is not None:
            never = Plateau(patience=self.patience, gain=0.999)
            return optimizer_and_schedule(
                self, OptimizerConfig(lr=self.lr, decay="plateau", plateau=never), 0
            )
        return torch.optim.AdamW(self.parameters(), lr=self.lr)
