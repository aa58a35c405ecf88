"""Processes that form a group with gloo on this machine, for tests: forked from a server that imported torch.

A launch costs little over the work itself, but two cores are two cores: give it many cases at once.
"""

import io
import multiprocessing
import os
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

PRELOADED = ["tests.parallel.stage"]
GRACE = 5.0  # seconds


class RankError(RuntimeError):
    """What went wrong on some processes, and what the others returned, by their ranks."""

    def __init__(self, errors: dict[int, str], results: dict[int, Any]) -> None:
        super().__init__("\n".join(f"rank {rank}: {error}" for rank, error in errors.items()))
        self.errors = errors
        self.results = results


def run_ranks(
    world: int, function: Callable[..., Any], *args: Any, timeout: float = 240.0, grace: float = GRACE
) -> list[Any]:
    """`function(rank, *args)` on `world` processes at once; what each returned, tensors and plain values.

    Once one has failed the others get `grace` seconds to say what they see.

    Raises:
        RankError: If one of them failed, ended without an answer, or did not end in `timeout` seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    port = free_port()
    ends: dict[Connection, int] = {}
    processes = []
    for rank in range(world):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_begin, args=(there, rank, world, port, function, args), daemon=True)
        process.start()
        there.close()
        ends[here] = rank
        processes.append(process)
    try:
        return _collect(ends, world, time.monotonic() + timeout, grace)
    finally:
        for process in processes:
            process.kill()
            process.join()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _collect(ends: dict[Connection, int], world: int, deadline: float, grace: float) -> list[Any]:
    import torch

    results: dict[int, Any] = {}
    errors: dict[int, str] = {}
    while ends and (left := deadline - time.monotonic()) > 0:
        for end in wait(list(ends), timeout=left):
            assert isinstance(end, Connection)
            rank = ends.pop(end)
            try:
                error, answer = end.recv()
            except EOFError:
                error, answer = "ended without an answer", b""
            if error is None:
                results[rank] = torch.load(io.BytesIO(answer), weights_only=True)
            else:
                errors[rank] = error
                deadline = min(deadline, time.monotonic() + grace)
    if errors or len(results) < world:
        raise RankError({**errors, **dict.fromkeys(ends.values(), "hangs")}, results)
    return [results[rank] for rank in range(world)]


def _begin(
    end: Connection, rank: int, world: int, port: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    import torch

    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(world), NODE_RANK="0",
        RANK=str(rank), LOCAL_RANK=str(rank),
    )  # fmt: skip
    torch.set_num_threads(1)
    buffer = io.BytesIO()
    try:
        torch.save(function(rank, *args), buffer)
    except BaseException as error:
        traceback.print_exc()
        end.send((f"{type(error).__name__}: {error}", b""))
    else:
        end.send((None, buffer.getvalue()))
    end.close()
    os._exit(0)  # gloo's threads would be waited for
