"""What MeshStrategy and Lightning cost over plain FSDP2, step by step: python -m benchmarks.strategy

Two processes train one transformer on one batch: some steps of `Trainer.fit` with MeshStrategy, then
as many of a loop without Lightning, and again. The ratio is that of the medians over all steps, so that what
else the machine does falls on both. Both clip gradients and step AdamW.
"""

import argparse
import itertools
import json
import logging
import os
import socket
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from flow.loss import flow_matching_loss
from lightning_modules.strategy import MeshStrategy
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from parallel.mesh import MeshConfig

SHAPE = TransformerConfig(width=256, layers=6, heads=8, feed_forward=704, grid=(8, 8, 8), text_widths=(64,))
RATE, CLIP, WARM = 1e-4, 1.0, 2  # learning rate, largest norm, steps of each turn that are not counted


class Clips:
    """The same two clips of 256 tokens for ever, as a loader."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        g = torch.Generator().manual_seed(0)
        self.latent, self.noise = (torch.randn(2, 8, 16, 8, 16, generator=g) for _ in range(2))
        self.text = TextTokens(torch.randn(2, 8, 64, generator=g), torch.ones(2, 8, dtype=torch.bool))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.steps):
            yield {"latent": self.latent, "noise": self.noise, "text": self.text}


def loss_of(model: torch.nn.Module, batch: dict[str, Any]) -> Tensor:
    """One flow-matching loss."""
    time_ = torch.full((2,), 0.5)

    def velocity(point: Tensor, at: Tensor) -> Tensor:
        return model(point, at, [batch["text"]])

    return flow_matching_loss(velocity, batch["latent"], batch["noise"], time_).mean()


class Stage(L.LightningModule):
    """The least that Lightning trains; notes when each step has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Transformer(SHAPE)
        self.ends: list[float] = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return loss_of(self.model, batch)

    def on_train_batch_end(self, *args: Any) -> None:
        self.ends.append(time.perf_counter())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), lr=RATE)


class Plain:
    """The same without Lightning: FSDP2, clipping, AdamW."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = Transformer(SHAPE)
        mesh = init_device_mesh("cpu", (2,))
        for block in self.model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(self.model, mesh=mesh)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE)

    def ends(self, steps: int) -> list[float]:
        """Train, and tell when each step has ended."""
        found = []
        for batch in Clips(steps):
            self.optimizer.zero_grad()
            loss_of(self.model, batch).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
            found.append(time.perf_counter())
        return found


def seconds(ends: list[float]) -> list[float]:
    """Of each step but the first ones."""
    return [b - a for a, b in itertools.pairwise(ends)][WARM:]


def rank(index: int, port: int, steps: int, rounds: int) -> None:
    """One of the two processes; the first prints what was measured, after each turn."""
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2", NODE_RANK="0", LOCAL_RANK=str(index)
    )
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_num_threads(1)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    stage, plain = Stage(), None
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        trainer = L.Trainer(
            accelerator="cpu", devices=2, strategy=MeshStrategy(mesh=MeshConfig(dp_shard=2)),
            max_steps=steps, gradient_clip_val=CLIP, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        )  # fmt: skip
        stage.ends.clear()
        trainer.fit(stage, Clips(steps))
        ours += seconds(stage.ends)
        plain = plain or Plain()
        theirs += seconds(plain.ends(steps))
        if index == 0:
            print(json.dumps(report(ours, theirs)), flush=True)


def report(ours: list[float], plain: list[float]) -> dict[str, float]:
    """Medians and their ratio over all turns so far."""
    a, b = statistics.median(ours), statistics.median(plain)
    return {"steps": len(ours), "ours": round(a, 4), "plain": round(b, 4), "ratio": round(a / b, 4)}


def main() -> None:
    """Start both processes and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="of each turn")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each of the two")
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torch.multiprocessing.spawn(rank, args=(port, options.steps, options.rounds), nprocs=2)


if __name__ == "__main__":
    main()
