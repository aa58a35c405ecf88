"""What to change where a config does not fit: the cheapest changes that make it fit, each with its price."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from parallel.plan.devices import Device
from parallel.plan.estimate import Estimate, estimate
from parallel.plan.layout import Checkpointing, Layout, divisors, fault
from parallel.plan.memory import Model
from parallel.plan.search import lightest
from parallel.plan.shape import Batch

COUNT = 3
CHECKPOINTING = "model.execution.checkpointing"


class Fix(NamedTuple):
    """A change of the config, in its own words, and the plan that it leads to."""

    change: str
    plan: Estimate


def cheapest_fixes(
    model: Model, batches: Sequence[Batch], layout: Layout, device: Device, count: int = COUNT
) -> list[Fix]:
    """Up to `count` changes with which every batch fits, by device time a token.

    Compute blocks again; share tokens (cp) or matrices (tp) among more ranks of the same world; shard over
    all data ranks instead of replicas; take fewer samples at once; take twice, four times ... the devices.
    Where one of these is not enough by itself, blocks are recomputed too.
    """
    fixes = []
    for change in _changes(model, batches, layout, device):
        kind = lightest(model, change.batches, change.layout, device)
        if kind is not None:
            fixes.append(_fix(model, change, kind, layout, device))
    return sorted(fixes, key=lambda fix: fix.plan.device_seconds_per_token)[:count]


class _Change(NamedTuple):
    text: str
    layout: Layout
    batches: Sequence[Batch]


def _fix(model: Model, change: _Change, kind: Checkpointing, before: Layout, device: Device) -> Fix:
    words = [change.text] if change.text else []
    if kind != before.checkpointing:
        words.append(f"{CHECKPOINTING}: {kind}")
    tried = replace(change.layout, checkpointing=kind)
    return Fix(", ".join(words), estimate(model, change.batches, tried, device))


def _changes(model: Model, batches: Sequence[Batch], layout: Layout, device: Device) -> Iterator[_Change]:
    """Every kind of change, of each kind the two smallest that help."""
    yield _Change("", layout, batches)
    if layout.dp_replicate > 1:
        whole = replace(layout, dp_replicate=1, dp_shard=layout.data_ranks)
        yield _Change(f"mesh.dp_replicate: 1, mesh.dp_shard: {whole.dp_shard}", whole, batches)
    kinds = (_axis(model, batches, layout, device, "cp"), _axis(model, batches, layout, device, "tp"),
             _smaller(batches, layout), _larger(batches, layout))  # fmt: skip
    for kind in kinds:
        helps = (change for change in kind if _possible(model, change, device))
        yield from itertools.islice(helps, 2)


def _axis(
    model: Model, batches: Sequence[Batch], layout: Layout, device: Device, axis: str
) -> Iterator[_Change]:
    """More ranks on `axis` in place of data ranks; tensor-parallel ones stay within a node."""
    size = getattr(layout, axis)
    for times in divisors(layout.dp_shard)[1:]:
        tried = replace(layout, dp_shard=layout.dp_shard // times, **{axis: size * times})
        divided = not any(fault(tried, model.shape, batch) for batch in batches)
        if divided and (axis == "cp" or size * times <= device.node):
            yield _Change(f"mesh.{axis}: {size * times}, mesh.dp_shard: {tried.dp_shard}", tried, batches)


def _smaller(batches: Sequence[Batch], layout: Layout) -> Iterator[_Change]:
    """Fewer samples at once, in as many more batches to a step."""
    for parts in range(2, max(batch.samples for batch in batches) + 1):
        fed = [replace(batch, samples=max(1, batch.samples // parts)) for batch in batches]
        tried = replace(layout, accumulate=layout.accumulate * parts)
        sizes = ", ".join(f"{batch.name}: {batch.samples}" for batch in fed)
        text = f"data.batch_size: {{{sizes}}}, trainer.accumulate_grad_batches: {tried.accumulate}"
        yield _Change(text, tried, fed)


def _larger(batches: Sequence[Batch], layout: Layout) -> Iterator[_Change]:
    """More devices to shard over."""
    for times in (2, 4, 8, 16, 32, 64, 128):
        tried = replace(layout, dp_shard=layout.dp_shard * times)
        yield _Change(f"{tried.world} devices, mesh.dp_shard: {tried.dp_shard}", tried, batches)


def _possible(model: Model, change: _Change, device: Device) -> bool:
    return lightest(model, change.batches, change.layout, device) is not None
