"""This machine as a device: what its cores reach, measured with as many processes as the run will have.

The pieces of a block are timed one by one: products, attention, what lies between them, the optimizer, and
collectives over gloo, each while the other processes do the same. Seconds are those of the process on its
core: what else runs on the machine hardly matters, and they are the clock's where every process has a core.
"""

import os
import socket
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm, scaled_dot_product_attention, silu

from parallel.plan.activations import block_saved
from parallel.plan.devices import Device
from parallel.plan.layout import Layout
from parallel.plan.shape import Backbone, Batch
from parallel.plan.step_time import OPTIMIZER_TRIPS, TRIPS

REPEATS = 5
MESSAGE = 2**21  # elements of a collective whose speed is measured
SMALL = 2**8  # and of one whose latency is
SAMPLE = Backbone(width=384, layers=1, heads=3, feed_forward=1024, text_widths=(384,), time_features=256)
BATCH = Batch(samples=2, tokens=512, text=(16,))


def calibrated(processes: int, shape: Backbone = SAMPLE, batch: Batch = BATCH) -> Device:
    """The device "cpu" for `processes` processes of one thread each, by blocks of `shape` on `batch`."""
    measured = _on_processes(processes, shape, batch)
    mean = {name: statistics.mean(each[name] for each in measured) for name in measured[0]}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / processes
    return Device(
        name="cpu", memory=memory, peak=mean["matmul"], matmul=1.0,
        attention=mean["attention"] / mean["matmul"],
        attention_backward=mean["attention_backward"] / mean["matmul"],
        bandwidth=mean["bandwidth"], optimizer=mean["optimizer"], link=mean["link"], network=mean["link"],
        latency=mean["latency"], node=processes, price=0.0, fused_norm=False, overlap=0.0,
    )  # fmt: skip


def _on_processes(processes: int, shape: Backbone, batch: Batch) -> list[dict[str, float]]:
    if processes == 1:
        threads = torch.get_num_threads()
        try:
            return [_measure(1, shape, batch)]
        finally:
            torch.set_num_threads(threads)
    context = torch.multiprocessing.get_context("spawn")
    answers = context.Queue()
    port = free_port()
    workers = [
        context.Process(target=_rank, args=(rank, processes, port, shape, batch, answers), daemon=True)
        for rank in range(processes)
    ]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    return found


def _rank(rank: int, world: int, port: int, shape: Backbone, batch: Batch, answers: Any) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    answers.put(_measure(world, shape, batch))
    dist.barrier()
    dist.destroy_process_group()


def _measure(world: int, shape: Backbone, batch: Batch) -> dict[str, float]:
    torch.set_num_threads(1)
    found = {**_products(shape, batch), **_attention(shape, batch), **_between(shape, batch), **_updates()}
    return {**found, **(_collectives(world) if world > 1 else {"link": 1e12, "latency": 0.0})}


def _products(shape: Backbone, batch: Batch) -> dict[str, float]:
    """FLOP/s of a matrix product with its two backward products, of the block's two widths."""
    rows, flops, seconds = batch.samples * batch.tokens, 0.0, 0.0
    for inside, outside in ((shape.width, shape.width), (shape.width, shape.feed_forward)):
        x = torch.randn(rows, inside, requires_grad=True)
        weight = torch.randn(outside, inside, requires_grad=True)
        seconds += _seconds(lambda x=x, weight=weight: linear(x, weight).sum().backward())
        flops += 3 * 2 * rows * inside * outside
    return {"matmul": flops / seconds}


def _attention(shape: Backbone, batch: Batch) -> dict[str, float]:
    """FLOP/s of attention forward, and backward with its logits computed again."""
    size = (batch.samples, shape.heads, batch.tokens, shape.width // shape.heads)
    query, key, value = (torch.randn(size, requires_grad=True) for _ in range(3))
    flops = 4 * batch.samples * batch.tokens**2 * shape.width
    forward = _seconds(lambda: scaled_dot_product_attention(query, key, value))
    both = _seconds(lambda: scaled_dot_product_attention(query, key, value).sum().backward())
    return {"attention": flops / forward, "attention_backward": 2.5 * flops / max(both - forward, 1e-9)}


def _between(shape: Backbone, batch: Batch) -> dict[str, float]:
    """Bytes a second of norms, modulation, gates and SiLU: what the planner counts over what they take."""
    x = torch.randn(batch.samples, batch.tokens, shape.width, requires_grad=True)
    hidden = torch.randn(batch.samples, batch.tokens, 2 * shape.feed_forward, requires_grad=True)
    vector = torch.randn(batch.samples, 1, shape.width, requires_grad=True)
    weight = torch.ones(shape.width, requires_grad=True)

    def norm(y: Tensor) -> Tensor:
        return rms_norm(y, (shape.width,), weight, 1e-5)

    def run() -> None:
        y = x + vector
        y = y + vector * torch.addcmul(vector, norm(y), 1 + vector)
        y = y + norm(y)
        y = y + vector * torch.addcmul(vector, norm(y), 1 + vector)
        gate, up = hidden.chunk(2, -1)
        (y.sum() + (silu(gate) * up).sum()).backward()

    counted = sum(block_saved(shape, batch, Layout(bytes_compute=4), "cpu").values())
    return {"bandwidth": TRIPS * counted / _seconds(run)}


def _updates() -> dict[str, float]:
    """Bytes a second of clipping and AdamW."""
    weights = [nn.Parameter(torch.randn(1024, 512)) for _ in range(4)]
    for each in weights:
        each.grad = torch.randn_like(each)
    optimizer = torch.optim.AdamW(weights)

    def run() -> None:
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    return {"optimizer": OPTIMIZER_TRIPS * 4 * sum(each.numel() for each in weights) / _seconds(run)}


def _collectives(world: int) -> dict[str, float]:
    """Bytes a second that a rank sends, and seconds of a collective of almost nothing."""
    part, whole = torch.randn(MESSAGE), torch.empty(MESSAGE * world)
    tiny, tiny_whole = torch.randn(SMALL), torch.empty(SMALL * world)
    latency = _seconds(lambda: dist.all_gather_into_tensor(tiny_whole, tiny))
    gather = _seconds(lambda: dist.all_gather_into_tensor(whole, part))
    reduce = _seconds(lambda: dist.reduce_scatter_tensor(part, whole))
    sent = 4 * MESSAGE * (world - 1)
    return {"link": 2 * sent / max(gather + reduce - 2 * latency, 1e-9), "latency": latency}


def _seconds(run: Callable[[], Any]) -> float:
    """The median of several runs, all processes at once."""
    run()
    taken = []
    for _ in range(REPEATS):
        if dist.is_initialized():
            dist.barrier()
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
