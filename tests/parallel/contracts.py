"""Who shares samples, noise, times and dropped texts with whom: what a T2V stage sees on each process."""

import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lightning_modules.t2v as t2v
from datamodules.latents import LatentData
from flow.loss import flow_matching_loss
from flow.path import Path as FlowPath
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.strategy import MeshStrategy
from models.transformer import TransformerConfig
from models.transformer.execution import Execution
from parallel.mesh import MeshConfig
from tests.parallel.stage import trainer

SAMPLES, EPOCHS = 10, 2
DRAWN = ("noise", "time", "dropped")


class Spied(t2v.T2VModule):
    """The real stage without the text encoder of its latents; notes what each step is given and draws."""

    def __init__(self, execution: Execution = Execution()) -> None:  # noqa: B008, it is frozen
        shape = TransformerConfig(
            width=16, layers=1, heads=2, feed_forward=24, latent_channels=3, grid=(2, 2, 2), text_widths=(5,)
        )
        super().__init__(shape, OptimizerConfig(lr=1e-2), text_drop=0.5, ema=0.5, execution=execution)
        self.steps: list[dict[str, Any]] = []
        self._facts = {"fps": 8.0}

    def setup(self, stage: str) -> None:
        self.nulls = (torch.zeros(1, 5),)
        self._count_by_bucket(self.trainer.datamodule, stage)  # pyright: ignore[reportAttributeAccessIssue]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self.steps.append({"clips": list(batch["clip_id"])})
        return super().training_step(batch, batch_idx)


def seen(rank: int, folder: Path, mesh: MeshConfig, world: int) -> list[dict[str, Any]]:
    """All steps of two epochs on this process."""
    stage = Spied()

    def loss(velocity: Any, latent: Tensor, noise: Tensor, time: Tensor, path: FlowPath) -> Tensor:
        stage.steps[-1] |= {"noise": noise.clone(), "time": time.clone()}
        return flow_matching_loss(velocity, latent, noise, time, path)

    def replace_text(text: Any, rows: Tensor, null: Tensor) -> Any:
        stage.steps[-1]["dropped"] = rows.clone()
        return replaced(text, rows, null)

    replaced, t2v.replace_text, t2v.flow_matching_loss = t2v.replace_text, replace_text, loss
    try:
        data = LatentData(latents=str(folder), batch_size=2, memory=True)
        trainer(MeshStrategy(mesh=mesh, timeout=60), world, max_epochs=EPOCHS, limit_val_batches=0).fit(
            stage, data
        )
    finally:
        t2v.replace_text, t2v.flow_matching_loss = replaced, flow_matching_loss
    return stage.steps


def seen_on(rank: int, folder: Path, meshes: dict[str, MeshConfig], world: int) -> dict[str, Any]:
    """The same for several meshes in one launch."""
    return {name: seen(rank, folder, mesh, world) for name, mesh in meshes.items()}


def violations(steps: list[list[dict[str, Any]]], mesh: MeshConfig) -> list[str]:
    """Which rules the steps of all processes break; the processes of a data rank are neighbours."""
    peers = mesh.cp * mesh.tp
    groups = [steps[start : start + peers] for start in range(0, len(steps), peers)]
    found = []
    for group, (index, _) in itertools.product(groups, enumerate(steps[0])):
        here = [process[index] for process in group]
        if any(each["clips"] != here[0]["clips"] for each in here):
            found.append(f"step {index}: peers have other clips")
        found += [
            f"step {index}: peers have another {name}"
            for name in DRAWN
            if any(not torch.equal(each[name], here[0][name]) for each in here)
        ]
    leaders = [group[0] for group in groups]
    found += [
        f"step {index}: data ranks draw the same {name}"
        for one, other in itertools.combinations(leaders, 2)
        for index, (a, b) in enumerate(zip(one, other, strict=True))
        for name in ("noise", "time")
        if torch.isin(a[name], b[name]).any()
    ]
    noises = [step["noise"].flatten()[0].item() for step in leaders[0]]
    if len(set(noises)) < len(noises):
        found.append("two steps have the same noise")
    return found + _epochs(leaders)


def _epochs(leaders: list[list[dict[str, Any]]]) -> list[str]:
    """Each clip comes once in an epoch, over all data ranks together."""
    length = len(leaders[0]) // EPOCHS
    found = []
    for epoch in range(EPOCHS):
        part = slice(epoch * length, (epoch + 1) * length)
        clips = [clip for process in leaders for step in process[part] for clip in step["clips"]]
        if len(clips) != SAMPLES or len(set(clips)) != SAMPLES:
            found.append(f"epoch {epoch}: {len(clips)} clips, {len(set(clips))} different ones of {SAMPLES}")
    return found
