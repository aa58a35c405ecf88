"""MemoryGuard: a fit that will not fit into memory is refused before it starts, with what would fit."""

from dataclasses import replace
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from console import UserError
from datamodules.latent_format import text_limits
from lightning_modules.strategy import MeshStrategy
from parallel.plan.devices import DEVICES, Device
from parallel.plan.estimate import estimate
from parallel.plan.layout import Checkpointing, Layout
from parallel.plan.run import refusal
from parallel.plan.shape import Batch, bucket_tokens
from parallel.plan.stage import TEXT_TOKENS, Stage, describe

GB = 1e9


class MemoryGuard(Callback):
    """Predicts the peak of each process from the stage's transformer, its batches and the mesh.

    Not judged are stages without a transformer, weights that are offloaded to the host, and latents whose
    bucket is no multiple of 8x8x8 patches.

    Args:
        limit: GB that one process may take. null: what its GPU has free when the fit starts, no limit on a
            processor; 0: never refuse.
    """

    def __init__(self, limit: float | None = None) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"memory.limit must be at least 0; {limit} came.")
        self.limit = limit

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Here the weights are there, and not yet cut, and the mesh is known."""
        limit = self._bytes(trainer)
        if stage != "fit" or limit is None:
            return
        planned = planned_stage(trainer, pl_module)
        if planned is None:
            return
        plan = estimate(planned.model, planned.batches, planned.layout, like(trainer, limit))
        if not plan.fits:
            raise UserError(f"{refusal(planned, plan)}\nTo try all the same: --memory.limit 0")

    def _bytes(self, trainer: Trainer) -> float | None:
        if self.limit is not None:
            return self.limit * GB or None
        device = trainer.strategy.root_device
        return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def planned_stage(trainer: Trainer, module: LightningModule) -> Stage | None:
    """The fit as the planner sees it, or None where it cannot."""
    strategy = trainer.strategy
    mesh = strategy if isinstance(strategy, MeshStrategy) else None
    batches = batches_of(cast(Any, trainer).datamodule, module)
    if not batches or (mesh is not None and mesh.sharding.cpu_offload):
        return None
    model, _ = describe(module, average=getattr(module, "average", None) is not None)
    sizes = mesh.mesh_config.shape if mesh is not None else {"dp_replicate": trainer.world_size}
    half = "bf16" in str(trainer.precision) or (mesh is not None and mesh.sharding.compute == "bfloat16")
    layout = Layout(
        **sizes,
        checkpointing=cast(Checkpointing, getattr(module, "checkpointing", "none")),
        bytes_compute=2 if half else 4,
        accumulate=trainer.accumulate_grad_batches,
        sharded=mesh is not None,
    )
    return Stage(model, batches, layout, None)


def batches_of(data: Any, module: LightningModule) -> list[Batch]:
    """A batch of each bucket of the latents that the stage trains on; none where it has no transformer."""
    sizes = getattr(data, "batch_sizes", None)
    transformer = getattr(module, "transformer", None)
    if sizes is None or transformer is None:
        return []
    config = transformer.config
    text = tuple(limit or TEXT_TOKENS for limit in text_limits(data.max_tokens, len(config.text_widths)))
    try:
        return [
            Batch(samples=samples, tokens=bucket_tokens(bucket, config.patch), text=text, name=bucket)
            for bucket, samples in sizes().items()
        ]
    except ValueError:  # an autoencoder of another compression
        return []


def like(trainer: Trainer, limit: float) -> Device:
    """A device with so much memory; its rates, by the GPU's name where it is known, order the fixes alone."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device).lower() if device.type == "cuda" else ""
    kind = next((kind for kind in DEVICES if kind in name), "h100")
    return replace(DEVICES[kind], memory=limit, fused_norm=device.type == "cuda")
