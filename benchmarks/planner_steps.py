"""Measured training steps on this machine, on 1, 2 and 4 processes of one thread, beside the planner's.

The device is calibrated by the pieces of one block of one size (parallel.plan.calibrate); the steps are of
whole models of other sizes under MeshStrategy's own cuts, in float32 over gloo. Both in seconds of a process
on its core, so that a shared machine does not decide the result.
"""

import os
import statistics
import time
from typing import Any

import torch
import torch.distributed as dist

from models.text.tokens import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import checkpoint_blocks
from models.transformer.parallelize import parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.plan.calibrate import calibrated, free_port
from parallel.plan.estimate import estimate
from parallel.plan.layout import Layout
from parallel.plan.shape import Batch
from parallel.plan.stage import describe
from parallel.sharding import ShardingConfig

TEXT, WARM, TIMED = 32, 1, 3
Case = tuple[Layout, int, int, int, tuple[int, int, int], int]  # layout, width, layers, hidden, grid, samples
CASES: tuple[Case, ...] = (
    (Layout(), 256, 4, 768, (4, 12, 12), 2),
    (Layout(), 512, 3, 1408, (2, 16, 16), 2),
    (Layout(checkpointing="full"), 256, 4, 768, (4, 12, 12), 2),
    (Layout(dp_shard=2), 256, 4, 768, (4, 12, 12), 2),
    (Layout(cp=2), 512, 3, 1408, (2, 16, 16), 2),
    (Layout(tp=2), 512, 3, 1408, (2, 16, 16), 2),
    (Layout(dp_shard=4), 256, 4, 768, (4, 12, 12), 2),
)


def lines() -> list[tuple[object, ...]]:
    """A row of the table for each case."""
    devices = {world: calibrated(world) for world in sorted({case[0].world for case in CASES})}
    found = []
    for case in CASES:
        layout, width, layers, hidden, grid, samples = case
        measured = statistics.median(measure(case))
        batch = Batch(samples=samples, tokens=grid[0] * grid[1] * grid[2], text=(TEXT,))
        with torch.device("meta"):
            model, _ = describe(Transformer(shape(case)))
        laid = Layout(**{**vars(layout), "bytes_compute": 4})
        said = estimate(model, [batch], laid, devices[layout.world]).time.total
        name = f"{layers} x {width}, {hidden} hidden{', recomputed' if layout.recomputes else ''}"
        found.append((
            layout.world, layout.mesh(), name, f"{samples} x {batch.tokens}", f"{1e3 * measured:.0f}",
            f"{1e3 * said:.0f}", f"{said / measured - 1:+.0%}",
        ))  # fmt: skip
    return found


def shape(case: Case) -> TransformerConfig:
    """The transformer of a case; heads of 128 channels."""
    _, width, layers, hidden, grid, _ = case
    return TransformerConfig(
        width=width, layers=layers, heads=width // 128, feed_forward=hidden, text_widths=(TEXT,), grid=grid
    )


def measure(case: Case) -> list[float]:
    """Seconds of each timed step on a core, of the process that needs most."""
    world, port = case[0].world, free_port()
    context = torch.multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [
        context.Process(target=_rank, args=(rank, world, port, case, answers), daemon=True)
        for rank in range(world)
    ]
    for worker in workers:
        worker.start()
    taken = [answers.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    return [max(step) for step in zip(*taken, strict=True)]


def _rank(rank: int, world: int, port: int, case: Case, answers: Any) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    layout, *_, grid, samples = case
    torch.manual_seed(0)
    model = Transformer(shape(case))
    checkpoint_blocks(model, layout.checkpointing)
    sizes = MeshConfig(dp_replicate=layout.dp_replicate, dp_shard=layout.dp_shard, cp=layout.cp, tp=layout.tp)
    parallelize(model, Mesh(sizes, "cpu"), ShardingConfig())
    optimizer = torch.optim.AdamW(model.parameters())
    t, h, w = grid
    latent, times = torch.randn(samples, t, 16, 2 * h, 2 * w), torch.rand(samples)
    text = [TextTokens(torch.randn(samples, TEXT, TEXT), torch.ones(samples, TEXT, dtype=torch.bool))]
    taken = []
    for _ in range(WARM + TIMED):
        dist.barrier()
        start = time.process_time()
        loss = model(latent, times, text).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        dist.barrier()
        taken.append(time.process_time() - start)
    answers.put(taken[WARM:])
    dist.barrier()
    dist.destroy_process_group()
