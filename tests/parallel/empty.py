"""Models that are built without weights, on ranks: what they hold once they are cut, and after training."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from datamodules.latents import LatentData
from lightning_modules.strategy import MeshStrategy
from models.transformer import Transformer
from models.transformer.execution import Execution
from models.transformer.parallelize import draw, parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.sharding import ShardingConfig
from tests.parallel.contracts import Spied
from tests.parallel.stage import MODEL, trainer, whole


def differences(rank: int, folder: Path) -> dict[str, Any]:
    """Names of weights that differ from those of a model that was built whole, by mesh."""
    torch.distributed.init_process_group("gloo")
    torch.manual_seed(3)
    built = {name: whole(value) for name, value in Transformer(MODEL).named_parameters()}
    found = {}
    for axis in ("dp_shard", "tp"):
        with torch.device("meta"):
            model = Transformer(MODEL)
        torch.manual_seed(3)
        parallelize(model, Mesh(MeshConfig(**{axis: 2}).over(2), "cpu"), ShardingConfig(), fill=draw)
        found[axis] = differing(model, built)
    trained = fit(Execution(), folder)
    found["trained"] = differing(
        fit(Execution(empty=True), folder),
        {name: whole(value) for name, value in trained.named_parameters()},
    )
    return found


def fit(execution: Execution, folder: Path) -> Spied:
    """One epoch on two processes from seed 0."""
    torch.manual_seed(0)
    stage = Spied(execution)
    data = LatentData(latents=str(folder), batch_size=2, memory=True)
    strategy = MeshStrategy(mesh=MeshConfig(dp_shard=2), timeout=60)
    trainer(strategy, 2, max_epochs=1, limit_val_batches=0).fit(stage, data)
    return stage


def differing(model: nn.Module, expected: dict[str, torch.Tensor]) -> list[str]:
    """Names of weights that are not bit for bit those of `expected`."""
    held = {name: whole(value) for name, value in model.named_parameters()}
    assert held.keys() == expected.keys()
    return [name for name, value in held.items() if not torch.equal(value, expected[name])]
