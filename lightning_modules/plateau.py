"""A learning rate that is cut where the held-out loss no longer falls (Sec. 3.2.2).

The paper cuts its rate by hand when the validation loss is flat: 6e-5, 3e-5, 2e-5, 1e-5 (Table 3). The rule
behind it is not disclosed: docs/decisions/0033.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """When the rate is cut, and by how much."""

    metric: str = "val/loss"
    """Number of the validation that is to fall."""
    patience: int = 5
    """Validations in a row without a fall that make a plateau. Not disclosed."""
    gain: float = 1e-3
    """Part of the lowest value by which it must fall to count. Not disclosed."""
    factor: float = 0.5
    """What a cut leaves of the rate; the paper's are 1/2, 2/3 and 1/2."""

    def __post_init__(self) -> None:
        if self.patience < 1 or not 0 <= self.gain < 1 or not 0 < self.factor < 1:
            raise ValueError(
                f"plateau.patience {self.patience} must be at least 1, gain {self.gain} in [0, 1), factor "
                f"{self.factor} between 0 and 1."
            )


class PlateauRate:
    """The rate of a step as a fraction of the config's. LambdaLR keeps what it has seen in checkpoints: all
    of `__dict__`, plain numbers; the config is no part of that."""

    __slots__ = ("__dict__", "config", "least", "start", "warmup")

    def __init__(self, config: Plateau, warmup: int, start: int, least: float) -> None:
        """`start` is the step with which training begins, `least` where cutting ends."""
        self.config, self.warmup, self.start, self.least = config, warmup, start, least
        self.cuts = 0
        self.best: float | None = None
        self.flat = 0  # validations since the last fall
        self.seen_at = -1  # step of the latest validation

    def __call__(self, step: int) -> float:
        done = max(0, step - self.start)
        warm = (done + 1) / self.warmup if done < self.warmup else 1.0
        return warm * max(self.least, self.config.factor**self.cuts)

    def see(self, value: float, step: int) -> bool:
        """Take a validation's number into account, once for each step; True where it brings a cut.

        A run that goes on from a checkpoint of a step may validate that step again.
        """
        new, self.seen_at = step != self.seen_at, step
        if not new or step < self.start + self.warmup:
            return False
        needed = math.inf if self.best is None else self.best - self.config.gain * abs(self.best)
        if value < needed:  # which no NaN is
            self.best, self.flat = value, 0
            return False
        self.flat += 1
        if self.flat < self.config.patience:
            return False
        self.flat, before = 0, self(step)
        self.cuts += 1
        return self(step) < before


def plateau_rates(scheduler: Any) -> Iterator[PlateauRate]:
    """Those of a schedule, each once."""
    if isinstance(scheduler, LambdaLR):
        for rate in dict.fromkeys(scheduler.lr_lambdas):
            if isinstance(rate, PlateauRate):
                yield rate


def apply(scheduler: LambdaLR) -> None:
    """Let a cut hold from the next step on, which the schedule has prepared before the validation."""
    groups = zip(scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, base, rate in groups:
        group["lr"] = base * rate(scheduler.last_epoch)
