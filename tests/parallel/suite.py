"""The cases of the equivalence suite, and how far each is from one process."""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from parallel.mesh import MeshConfig
from parallel.sharding import ShardingConfig
from tests.parallel.stage import Case, Record, train, train_alone

TOLERANCE = 1e-10  # relative, in float64: sums are taken in another order, nothing else differs

ULYSSES = ShardingConfig(context="ulysses")

TWO = {
    "ddp": Case(mesh=MeshConfig(dp_replicate=2), accumulate=2),
    "fsdp": Case(mesh=MeshConfig(dp_shard=2)),
    "whole on each": Case(mesh=MeshConfig(dp_shard=2), plain=True, accumulate=2),
    "fsdp-accumulate-recompute": Case(mesh=MeshConfig(dp_shard=2), accumulate=2, recompute="full"),
    "tp": Case(mesh=MeshConfig(tp=2), accumulate=2),
    "tp-recompute": Case(mesh=MeshConfig(tp=2), recompute="selective"),
    "cp-gather": Case(mesh=MeshConfig(cp=2), accumulate=2),
    "cp-gather-recompute": Case(mesh=MeshConfig(cp=2), recompute="selective"),
    "cp-ulysses": Case(mesh=MeshConfig(cp=2), sharding=ULYSSES),
    "cp-gather, 9 tokens": Case(mesh=MeshConfig(cp=2), frames=3, rows=2),
    "cp-ulysses, 9 tokens": Case(mesh=MeshConfig(cp=2), sharding=ULYSSES, frames=3, rows=2),
    "tp, 9 tokens": Case(mesh=MeshConfig(tp=2), frames=3, rows=2, recompute="full"),
    "fsdp, muon": Case(mesh=MeshConfig(dp_shard=2), optimizer="muon"),
    "tp, dit block": Case(mesh=MeshConfig(tp=2), block="dit"),
    "cp-ulysses-recompute": Case(mesh=MeshConfig(cp=2), sharding=ULYSSES, accumulate=2, recompute="full"),
}
FOUR = {
    "hsdp": Case(mesh=MeshConfig(dp_replicate=2, dp_shard=2), accumulate=2),
    "fsdp x tp, muon": Case(mesh=MeshConfig(dp_shard=2, tp=2), optimizer="muon"),
    "fsdp x tp": Case(mesh=MeshConfig(dp_shard=2, tp=2)),
    "ddp x tp": Case(mesh=MeshConfig(dp_replicate=2, tp=2), recompute="full"),
    "fsdp x cp-gather": Case(mesh=MeshConfig(dp_shard=2, cp=2), accumulate=2, recompute="full"),
    "ddp x cp-ulysses": Case(mesh=MeshConfig(dp_replicate=2, cp=2), sharding=ULYSSES),
    "cp-gather x tp": Case(mesh=MeshConfig(cp=2, tp=2), accumulate=2, recompute="full"),
    "cp-ulysses x tp": Case(mesh=MeshConfig(cp=2, tp=2), sharding=ULYSSES),
    "cp-gather x tp, 9 tokens": Case(mesh=MeshConfig(cp=2, tp=2), frames=3, rows=2),
    "cp-ulysses x tp, 9 tokens": Case(mesh=MeshConfig(cp=2, tp=2), sharding=ULYSSES, frames=3, rows=2),
    "cp-gather on 4": Case(mesh=MeshConfig(cp=4)),
    "cp-ulysses on 4": Case(mesh=MeshConfig(cp=4), sharding=ULYSSES),
    "tp on 4": Case(mesh=MeshConfig(tp=4)),
}

Difference = dict[str, float]  # loss, norm, and the worst of gradients, weights, averages with its name


def run_cases(rank: int, cases: dict[str, Case], world: int) -> dict[str, Any]:
    """On each process: every case, and on the first how far it is from one process."""
    return {name: difference(train(case, world), case.reference) for name, case in cases.items()}


def difference(record: Record, reference: Case) -> Difference:
    """Relative to the size of what is compared."""
    alone = _alone(reference)
    found = {
        "loss": _relative(_numbers(record.losses), _numbers(alone.losses)),
        "norm": _relative(_numbers(record.norms), _numbers(alone.norms)),
    }
    named = [("weight", record.weights, alone.weights), ("average", record.average, alone.average)]
    named += [
        (f"gradient{index}", *both)
        for index, both in enumerate(zip(record.gradients, alone.gradients, strict=True))
    ]
    for kind, ours, theirs in named:
        assert ours.keys() == theirs.keys()
        found |= {f"{kind} {name}": _relative(ours[name], theirs[name]) for name in theirs}
    return found


def too_far(found: Difference) -> Difference:
    """What differs by more than rounding, the worst first."""
    far = {name: value for name, value in found.items() if not value < TOLERANCE}
    return dict(sorted(far.items(), key=lambda item: -item[1]))


def _relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max().clamp(min=1e-6))


def _numbers(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@cache
def _alone(reference: Case) -> Record:
    return train_alone(reference)
