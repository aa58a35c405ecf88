"""The meshes and the checkpointing that fit, cheapest first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from parallel.plan.devices import Device
from parallel.plan.estimate import Estimate, estimate
from parallel.plan.layout import KINDS, Checkpointing, Layout, fault, meshes
from parallel.plan.memory import Model, peak
from parallel.plan.shape import Batch


class Found(NamedTuple):
    """Plans that fit, best first, and the nearest miss where none does."""

    plans: list[Estimate]
    nearest: Estimate | None


def search(
    model: Model, batches: Sequence[Batch], world: int, device: Device, start: Layout | None = None
) -> Found:
    """Every mesh of `world` devices, each with the least checkpointing that fits.

    `start` gives what a mesh does not say: precision and accumulation. Raises ValueError where the model
    divides over no mesh at all.
    """
    base = start or Layout()
    plans: dict[tuple[int, int], Estimate] = {}  # the best number of replicas of each cp and tp
    nearest, faults = None, []
    for mesh in meshes(world, device.node):
        layout = replace(mesh, bytes_compute=base.bytes_compute, accumulate=base.accumulate)
        wrong = next(filter(None, (fault(layout, model.shape, batch) for batch in batches)), None)
        if wrong:
            faults.append(wrong)
            continue
        kind = lightest(model, batches, layout, device)
        whole = replace(layout, checkpointing=kind or "full")
        found = estimate(model, batches, whole, device)
        if kind:
            plans[layout.cp, layout.tp] = min(
                found,
                plans.get((layout.cp, layout.tp), found),
                key=lambda plan: plan.device_seconds_per_token,
            )
        elif nearest is None or found.memory.total < nearest.memory.total:
            nearest = found
    if not plans and nearest is None:
        raise ValueError(f"No mesh of {world} devices divides this model: {faults[0]}.")
    return Found(sorted(plans.values(), key=lambda plan: plan.device_seconds_per_token), nearest)


def lightest(model: Model, batches: Sequence[Batch], layout: Layout, device: Device) -> Checkpointing | None:
    """The checkpointing that costs least of those with which every batch fits, or None."""
    kernels = "cuda" if device.fused_norm else "cpu"
    for kind in KINDS:
        tried = replace(layout, checkpointing=kind)
        if all(peak(model, batch, tried, kernels).total <= device.memory for batch in dict.fromkeys(batches)):
            return kind
    return None
