"""What a checkpoint costs, and how long training stands still for it, beside torch's own ways.

    python -m benchmarks.checkpoint              two processes, a sharded transformer with AdamW's moments
    python -m benchmarks.checkpoint --width 256  a smaller one

Three ways take turns in one run: ours (sealed shards, written by a thread), torch.distributed.checkpoint, and
torch.save of what was gathered to one process. Ratios of the medians hold on a loaded machine, seconds not.
Ours hashes what it writes and checks all hashes before it loads; the others do neither.
"""

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from rich.console import Console
from rich.table import Table
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_state_dict,
)

from console import command
from lightning_modules.background import Background
from lightning_modules.callbacks.checkpoint import stager
from lightning_modules.sealed import write_checkpoint
from lightning_modules.sharded import read_into
from lightning_modules.snapshot import Snapshot, take_apart, weight_names
from lightning_modules.team import Team
from models.transformer import Transformer, TransformerConfig
from models.transformer.parallelize import parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.sharding import ShardingConfig

WORLD = 2
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
PLAIN = StateDictOptions(cpu_offload=True)


class Trained:
    """A sharded transformer whose optimizer has made a step, so that it has moments."""

    def __init__(self, width: int) -> None:
        shape = TransformerConfig(
            width=width, layers=8, heads=8, feed_forward=width * 11 // 4, grid=(4, 8, 8), text_widths=(64,)
        )
        torch.manual_seed(0)
        self.model = Transformer(shape)
        parallelize(self.model, Mesh(MeshConfig(dp_shard=WORLD), "cpu"), ShardingConfig())
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        for weight in self.model.parameters():
            weight.grad = torch.ones_like(weight)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.bytes = 12 * sum(weight.numel() for weight in self.model.parameters())


class Ours:
    """Sealed shards, as RunCheckpoint writes them."""

    def __init__(self) -> None:
        self.team, self.writer, self.stager = Team.of_all(apart=True), Background(), stager()

    def save(self, state: Trained, folder: Path) -> float:
        """Seconds until training may go on; the thread is waited for afterwards."""
        began = time.perf_counter()
        names = [weight_names(state.model, state.optimizer)]
        checkpoint = {
            "state_dict": state.model.state_dict(), "optimizer_states": [state.optimizer.state_dict()]
        }  # fmt: skip
        snapshot = take_apart(checkpoint, names)
        staged = Snapshot(self.stager.stage(snapshot.tensors), snapshot.plain)  # type: ignore[arg-type]
        self.writer.start(lambda: write_checkpoint(folder, staged, self.team, 1))
        stalled = time.perf_counter() - began
        self.writer.wait()
        return stalled

    def load(self, state: Trained, folder: Path) -> None:
        """Check the hashes, then take this process's parts."""
        read_into(folder, state.model, [state.optimizer], Team.of_all())


class Torch:
    """torch.distributed.checkpoint: async_save on a group of its own, and load."""

    def __init__(self) -> None:
        self.group = dist.new_group(backend="gloo")

    def save(self, state: Trained, folder: Path) -> float:
        """Seconds until training may go on; the write is waited for afterwards."""
        began = time.perf_counter()
        model, optimizer = get_state_dict(state.model, state.optimizer, options=PLAIN)
        saved = {"model": model, "optimizer": optimizer}
        future = dcp.async_save(saved, checkpoint_id=folder, process_group=self.group)  # type: ignore  # its types omit kinds
        stalled = time.perf_counter() - began
        future.result()  # type: ignore[union-attr]  # a future, as asked
        return stalled

    def load(self, state: Trained, folder: Path) -> None:
        """Each process its parts."""
        model, optimizer = get_state_dict(state.model, state.optimizer, options=PLAIN)
        loaded = {"model": model, "optimizer": optimizer}
        dcp.load(loaded, checkpoint_id=folder)
        set_state_dict(
            state.model, state.optimizer, model_state_dict=loaded["model"],
            optim_state_dict=loaded["optimizer"],
        )  # fmt: skip


class Gathered:
    """torch.save by the first process, of what all have sent to it."""

    def save(self, state: Trained, folder: Path) -> float:
        """Seconds until training may go on: all of it."""
        began = time.perf_counter()
        model, optimizer = get_state_dict(state.model, state.optimizer, options=WHOLE)
        if dist.get_rank() == 0:
            folder.mkdir()
            with open(folder / "all.pt", "wb") as file:
                torch.save({"model": model, "optimizer": optimizer}, file)
                file.flush()
                os.fsync(file.fileno())
        dist.barrier()
        return time.perf_counter() - began

    def load(self, state: Trained, folder: Path) -> None:
        """Every process reads all and keeps its parts."""
        loaded = torch.load(folder / "all.pt", weights_only=True)
        set_state_dict(
            state.model, state.optimizer, model_state_dict=loaded["model"],
            optim_state_dict=loaded["optimizer"], options=WHOLE,
        )  # fmt: skip


def measure(rank: int, port: int, options: argparse.Namespace, results: Path) -> None:
    """One process: all ways in turn, some rounds after one that is not counted."""
    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(WORLD))
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    state = Trained(options.width)
    ways = {"ours": Ours(), "torch DCP": Torch(), "torch.save, gathered": Gathered()}
    times: dict[str, dict[str, list[float]]] = {way: {"stall": [], "save": [], "load": []} for way in ways}
    for number in range(1 + options.rounds):
        for name, way in ways.items():
            folder = results / f"{name.split()[0]}-{number}"
            stalls: list[float] = []
            whole = _timed(lambda: stalls.append(way.save(state, folder)))  # noqa: B023, called at once
            load = _timed(lambda: way.load(state, folder))  # noqa: B023, called at once
            if number:
                for kind, value in (("stall", stalls[0]), ("save", whole), ("load", load)):
                    times[name][kind].append(value)
            dist.barrier()
            if rank == 0:
                shutil.rmtree(folder)
    if rank == 0:
        medians = {n: {k: statistics.median(v) for k, v in kinds.items()} for n, kinds in times.items()}
        torch.save({"medians": medians, "bytes": state.bytes}, results / "results.pt")
    dist.barrier()
    dist.destroy_process_group()


def _timed(action: Callable[[], None]) -> float:
    dist.barrier()
    began = time.perf_counter()
    action()
    dist.barrier()
    return time.perf_counter() - began


def main() -> int:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpoint", description=__doc__)
    parser.add_argument("--width", type=int, default=512, help="of the transformer of 8 layers (default 512)")
    parser.add_argument("--rounds", type=int, default=5, help="of all three ways (default 5)")
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(target=measure, args=(rank, port, options, Path(folder))) for rank in range(WORLD)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            return 1
        found = torch.load(Path(folder, "results.pt"), weights_only=True)
    table = Table(
        title=f"{found['bytes'] / 1e6:.0f} MB on {WORLD} processes, medians of {options.rounds} rounds"
    )
    for column in ("", "training stands still", "until it is on the disk", "until it is loaded"):
        table.add_column(column)
    ours = found["medians"]["ours"]
    for name, medians in found["medians"].items():
        cells = [f"{medians[kind]:.2f} s ({medians[kind] / ours[kind]:.2f}x)" for kind in ours]
        table.add_row(name, *cells)
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    command(main)
