"""AdamW and its learning rate over a run: warm-up, then constant, linear or cosine (Sec. 3.2, 3.3, 6.1.6)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW, whose settings the paper discloses for audio alone (Sec. 6.1.6)."""

    lr: float = 1e-4
    """Learning rate after warm-up."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the moments. Not disclosed."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices; vectors, norms and tables have none."""
    warmup: int = 0
    """Steps of linear warm-up."""
    decay: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate goes on to the end of the run."""
    final: float = 0.0
    """Rate at the end of a linear or cosine decay, as a fraction of `lr`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.lr <= 0 or self.warmup < 0 or not 0 <= self.final <= 1:
            raise ValueError(
                f"lr {self.lr} must be > 0, warmup {self.warmup} at least 0, final {self.final} in [0, 1]."
            )


class Trained(NamedTuple):
    """A network, how it is trained, and the optimizer step with which that begins."""

    network: nn.Module
    config: OptimizerConfig
    start: int = 0


def optimizer_and_schedule(model: nn.Module, config: OptimizerConfig, steps: int) -> dict[str, Any]:
    """What `configure_optimizers` returns for the trained parameters of `model` in a run of `steps`."""
    return train_together([Trained(model, config)], steps)


def train_together(networks: Sequence[Trained], steps: int) -> dict[str, Any]:
    """The same for networks of which each has its own settings. AdamW treats every weight alone, so that one
    of it with groups is as many of it: they are stepped, saved and scheduled at once.
    """
    groups, rates = [], []
    for network, config, start in networks:
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        for parameters, decay in ((matrices, config.weight_decay), (vectors, 0.0)):
            own = {"params": parameters, "weight_decay": decay, "lr": config.lr, "betas": config.betas}
            groups.append(own)
            rates.append(partial(_rate_from, start=start, config=config, steps=steps))
    optimizer = AdamW(groups)
    schedule = LambdaLR(optimizer, rates)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _rate_from(step: int, start: int, config: OptimizerConfig, steps: int) -> float:
    return rate(max(0, step - start), config, max(1, steps - start))


def rate(step: int, config: OptimizerConfig, steps: int) -> float:
    """The learning rate of optimizer step `step` (from 0) of `steps`, as a fraction of `config.lr`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    if config.decay == "constant":
        return 1.0
    done = min(1.0, (step - config.warmup) / max(1, steps - config.warmup))
    left = 1 - done if config.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return config.final + (1 - config.final) * left
