"""Seconds of a step: what is computed, what is sent, and which of that hides behind the computing."""

from typing import NamedTuple

from parallel.plan.activations import Kernels, block_saved
from parallel.plan.communication import Traffic, traffic
from parallel.plan.devices import Device
from parallel.plan.flops import FUSED_BACKWARD, block_on_rank, executed
from parallel.plan.layout import Layout
from parallel.plan.memory import Model
from parallel.plan.parameters import weight_bytes
from parallel.plan.shape import Batch

HIDDEN = ("gather weights", "reduce gradients", "replicas")  # nothing waits for these at once
OPTIMIZER_TRIPS = (
    10  # read weight, gradient, two moments; write three; read the gradient twice and write it to clip
)

TRIPS = (
    5.0  # of what a block keeps, between memory and cores: written and read forward; read, two written back
)
AGAIN = 2.0  # more where it is made twice


class StepTime(NamedTuple):
    """Seconds of one optimizer step."""

    matmul: float
    attention: float
    elementwise: float
    optimizer: float
    waiting: float
    """For keys, values and the residual stream: computing stands still."""
    exposed: float
    """Of the traffic of weights and gradients, what computing is too short to hide."""

    @property
    def total(self) -> float:
        """Of all parts."""
        return sum(self)


def step_time(model: Model, batch: Batch, layout: Layout, device: Device) -> StepTime:
    """One optimizer step, `layout.accumulate` batches long, on one rank; all ranks do the same.

    Element-wise kernels are bound by memory: forward each tensor that the backward pass needs is written once
    and read once, backward it is read and two gradients of its size are handled.
    """
    shape, times = model.shape, layout.accumulate
    matmul = executed(shape, batch, layout).matmul / (device.peak * device.matmul) * times
    forward = block_on_rank(shape, batch, layout).attention / device.peak
    passes = shape.layers * (2 if layout.checkpointing == "full" else 1)
    attention = passes * forward / device.attention
    attention += shape.layers * FUSED_BACKWARD * forward / device.attention_backward
    moved = _moved(model, batch, layout, "cuda" if device.fused_norm else "cpu")
    elementwise = moved * times / device.bandwidth
    optimizer = OPTIMIZER_TRIPS * weight_bytes(model.parameters, layout) / device.optimizer
    sent = traffic(model, batch, layout)
    computing = matmul + attention * times + elementwise
    waiting = sum(each.seconds(device) for each in sent if each.kind not in HIDDEN)
    return StepTime(
        matmul, attention * times, elementwise, optimizer, waiting, _exposed(sent, computing, layout, device)
    )


def _moved(model: Model, batch: Batch, layout: Layout, kernels: Kernels) -> float:
    """Bytes between memory and cores of all blocks in one batch."""
    saved = sum(block_saved(model.shape, batch, layout, kernels).values())
    return model.shape.layers * saved * (TRIPS + (AGAIN if layout.recomputes else 0))


def _exposed(sent: list[Traffic], computing: float, layout: Layout, device: Device) -> float:
    """The first gather and the last reduction have nothing to hide behind; the rest has the whole step."""
    hidden = [each for each in sent if each.kind in HIDDEN]
    ends = sum(each.seconds(device) / max(each.calls, 1) for each in hidden)
    rest = sum(each.seconds(device) for each in hidden) - ends
    return ends + max(0.0, rest - device.overlap * computing)
