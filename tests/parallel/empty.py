"""Models that are built without weights, on ranks: what they hold once they are cut, and after training."""

import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

import inference.weights as weights_module
import lightning_modules.start as start
from datamodules.latents import LatentData
from inference.tensor_files import each_tensor
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.start import Start, open_before
from lightning_modules.strategy import MeshStrategy
from lightning_modules.t2v import T2VModule
from models.transformer import Transformer
from models.transformer.execution import Execution
from models.transformer.parallelize import draw, parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.sharding import ShardingConfig
from tests.parallel.contracts import Spied
from tests.parallel.stage import MODEL, trainer, whole

FACTS = {"tae": "t" * 64, "text": {"fingerprint": "minilm"}, "path": "straight", "buckets": ["32x32x16"]}


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


def begun(
    rank: int, world: int, meshes: list[MeshConfig], latents: Path, before: Path, run: Path
) -> dict[str, Any]:
    """Differences from the weights of `before`, by mesh, of runs that begin with them, built empty or whole;
    and how many of its tensors were in memory at once.
    """
    expected = Transformer(MODEL)
    open_before(start_of(before), MODEL, FACTS).give(expected)
    weights = {name: whole(value) for name, value in expected.named_parameters()}
    found: dict[str, Any] = {}
    weights_module.read_tensors = None  # it would read all of a folder at once
    alive = start.each_tensor = Alive()
    for mesh, empty in itertools.product(meshes, (True, False)):
        execution = Execution(empty=empty)
        stage = T2VModule(MODEL, OptimizerConfig(), ema=0.5, start=start_of(before), execution=execution)
        strategy = MeshStrategy(mesh=mesh, timeout=60)
        noted = Noted()
        trainer(
            strategy, world, max_steps=1, limit_val_batches=0, callbacks=[noted], default_root_dir=run
        ).fit(stage, LatentData(latents=str(latents), batch_size=2, memory=True))
        found[f"{mesh}, empty {empty}"] = [
            name
            for model in (noted.weights, noted.average)
            for name in model
            if not torch.equal(model[name], weights[name])
        ]
    return {**found, "at once": alive.most}


def start_of(folder: Path) -> Start:
    """Every table grows in its own way into that of MODEL."""
    return Start(model=str(folder), scale=(1, 2, 1))


class Noted(L.Callback):
    """The weights before the first step."""

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.weights, self.average = (
            {name: whole(value) for name, value in model.named_parameters()}
            for model in (pl_module.transformer, pl_module.exported_model())
        )


class Alive:
    """Stands for `each_tensor`; counts the tensors that it read and that somebody still holds."""

    def __init__(self) -> None:
        self.held: list[weakref.ref[torch.Tensor]] = []
        self.most = 0

    def __call__(self, folder: Path, **options: Any) -> Iterator[tuple[str, torch.Tensor]]:
        for name, value in each_tensor(folder, **options):
            self.held = [each for each in self.held if each() is not None] + [weakref.ref(value)]
            self.most = max(self.most, len(self.held))
            yield name, value
            del value


def differing(model: nn.Module, expected: dict[str, torch.Tensor]) -> list[str]:
    """Names of weights that are not bit for bit those of `expected`."""
    held = {name: whole(value) for name, value in model.named_parameters()}
    assert held.keys() == expected.keys()
    return [name for name, value in held.items() if not torch.equal(value, expected[name])]
