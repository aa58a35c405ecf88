"""The optimizer and its rate: warm-up, then constant, linear, cosine or cut on plateaus (Sec. 3.2, 3.3)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_modules.muon import Muon
from lightning_modules.plateau import Plateau, PlateauRate


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights move. The paper takes AdamW, and discloses its settings for audio alone (Sec. 6.1.6)."""

    kind: Literal["adamw", "muon"] = "adamw"
    """muon: not the paper's; the matrices of repeated layers by Muon, all else by AdamW, at one rate."""
    lr: float = 1e-4
    """Learning rate after warm-up."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of AdamW's moments. Not disclosed."""
    momentum: float = 0.95
    """Decay of the momentum of the matrices that Muon moves."""
    weight_decay: float = 0.1
    """Decoupled weight decay of linear maps and convolutions; biases, norms and tables have none."""
    warmup: int = 0
    """Steps of linear warm-up."""
    decay: Literal["constant", "linear", "cosine", "plateau"] = "constant"
    """How the rate goes on to the end of the run."""
    final: float = 0.0
    """Rate at the end of a linear or cosine decay, and below which no plateau cuts, as a fraction of `lr`."""
    plateau: Plateau = field(default_factory=Plateau)
    """When and how `decay: plateau` cuts."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.lr <= 0 or self.warmup < 0 or not 0 <= self.final <= 1 or not 0 <= self.momentum < 1:
            raise ValueError(
                f"lr {self.lr} must be > 0, warmup {self.warmup} at least 0, final {self.final} in [0, 1], "
                f"momentum {self.momentum} in [0, 1)."
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
    """The same for networks of which each has its own settings. Both optimizers treat every weight alone, so
    that one with groups is as many of it: they are stepped, saved and scheduled at once.
    """
    groups, rates = [], []
    for network, config, start in networks:
        own = _groups(network, config)
        groups += own
        if config.decay == "plateau":
            rates += [PlateauRate(config.plateau, config.warmup, start, config.final)] * len(own)
        else:
            rates += [partial(_rate_from, start=start, config=config, steps=steps)] * len(own)
    mixed = any(config.kind == "muon" for _, config, _ in networks)
    optimizer = Muon(groups) if mixed else AdamW(groups)
    optimizer.register_load_state_dict_pre_hook(partial(_take_older, networks))
    schedule = LambdaLR(optimizer, rates)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The groups of one network. Decay would pull gates and positions of tables to zero: matrices alone."""
    shared = {"lr": config.lr, "betas": config.betas}
    decayed = {**shared, "weight_decay": config.weight_decay}
    settings = [
        decayed,
        {**shared, "weight_decay": 0.0},
        {**decayed, "momentum": config.momentum, "orthogonal": True},
    ]
    dealt = _dealt(network, config, {id(weight) for weight in matrices(network)})
    return [{"params": part, **each} for part, each in zip(dealt, settings, strict=False)]


def _dealt(network: nn.Module, config: OptimizerConfig, decayed: set[int]) -> list[list[Tensor]]:
    """The trained weights: those `decayed`, those not and, for Muon, the matrices of repeated layers."""
    inner = {id(weight) for weight in hidden_matrices(network)} if config.kind == "muon" else set()
    trained: list[Tensor] = [each for each in network.parameters() if each.requires_grad]
    outer = [each for each in trained if id(each) not in inner]
    parts = [[each for each in outer if (id(each) in decayed) is yes] for yes in (True, False)]
    return [*parts, [each for each in trained if id(each) in inner]] if inner else parts


def matrices(model: nn.Module) -> Iterator[Tensor]:
    """Weights of the linear maps and convolutions of `model`: no biases, norms, or tables of positions or
    modulation, of which a row is an entry of its own.
    """
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            yield layer.weight


def hidden_matrices(model: nn.Module) -> Iterator[Tensor]:
    """The `matrices` in the repeated layers of `model`, those in its module lists: not the first and last."""
    for layers in model.modules():
        if isinstance(layers, nn.ModuleList):
            yield from matrices(layers)


def _take_older(networks: Sequence[Trained], optimizer: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint from before tables were spared, which has them among the decayed weights,
    with the numbers that its weights have now; any other as it is.
    """
    older = [
        part
        for network, config, _ in networks
        for part in _dealt(network, config, {id(each) for each in network.parameters() if each.ndim > 1})
    ]
    now = [group["params"] for group in optimizer.param_groups]
    sizes = [len(group["params"]) for group in saved["param_groups"]]
    if sizes == [len(part) for part in now] or sizes != [len(part) for part in older]:
        return saved
    numbers = {id(weight): number for number, weight in enumerate(chain.from_iterable(now))}
    renumbered = {old: numbers[id(weight)] for old, weight in enumerate(chain.from_iterable(older))}
    groups = [
        {**group, "params": [numbers[id(weight)] for weight in part]}
        for group, part in zip(saved["param_groups"], now, strict=True)
    ]
    state = {renumbered[old]: moments for old, moments in saved["state"].items()}
    return {**saved, "state": state, "param_groups": groups}


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
