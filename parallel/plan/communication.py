"""Bytes that a rank sends over a step, by kind, and the seconds that they take on a device's links.

A collective is a ring: of a tensor of b bytes among g ranks each sends b (g - 1) / g to gather or to
reduce-scatter it, twice that to all-reduce it. The mesh is laid out with tp innermost, then cp, then shards,
then replicas: a group whose span fits into a node uses the fast link.
"""

from typing import Literal, NamedTuple

from parallel.plan.activations import spans
from parallel.plan.devices import Device
from parallel.plan.layout import Layout
from parallel.plan.memory import Model
from parallel.plan.parameters import MASTER, gathered
from parallel.plan.shape import Backbone, Batch

Kind = Literal["gather weights", "reduce gradients", "replicas", "context", "tensor"]


class Traffic(NamedTuple):
    """Collectives of one kind in one step."""

    kind: Kind
    sent: float
    """Bytes that one rank sends."""
    calls: int
    group: int
    """Ranks that take part in one collective."""
    span: int
    """Ranks from the first to the last of a group, as the mesh lies over the nodes."""

    def seconds(self, device: Device) -> float:
        """On the link that the group's span needs."""
        if self.group == 1:
            return 0.0
        speed = device.link if self.span <= device.node else device.network
        return self.sent / speed + self.calls * device.latency


def traffic(model: Model, batch: Batch, layout: Layout) -> list[Traffic]:
    """What one rank sends in one optimizer step, `layout.accumulate` batches long."""
    return [*_weights(model, layout), *_tokens(model.shape, batch, layout)]


def _weights(model: Model, layout: Layout) -> list[Traffic]:
    """FSDP gathers each block twice in a batch and the rest once, and reduces gradients in every batch."""
    shards, times = layout.shards, layout.accumulate
    everything = gathered(model.parameters, layout)
    root = gathered((each for each in model.parameters if not each.block), layout)
    layers = model.shape.layers
    share = (shards - 1) / shards
    weights = layout.bytes_compute * (2 * (everything - root) + root) * share * times
    gradients = MASTER * everything * share * times
    copies = (layout.dp_replicate - 1) / layout.dp_replicate
    replicas = 2 * MASTER * everything / shards * copies * times
    inner = layout.cp * layout.tp
    return [
        Traffic("gather weights", weights, (2 * layers + 1) * times, shards, shards * layout.tp),
        Traffic("reduce gradients", gradients, (layers + 1) * times, shards, layout.dp_shard * inner),
        Traffic("replicas", replicas, (layers + 1) * times, layout.dp_replicate, layout.world),
    ]


def _tokens(shape: Backbone, batch: Batch, layout: Layout) -> list[Traffic]:
    """Keys and values of self-attention over cp; the residual stream before and behind each part over tp."""
    forwards = shape.layers * (2 if layout.recomputes else 1)
    context = _key_values(shape, batch, layout) * (forwards + shape.layers)
    parts = 3 if shape.text_widths else 2  # self-attention, cross-attention, feed-forward
    stream = layout.bytes_compute * spans(batch, layout).context * shape.width * batch.samples
    each = 2 * parts * stream * (layout.tp - 1) / layout.tp
    passes = forwards + shape.layers
    times = layout.accumulate
    return [
        Traffic("context", context * times, passes * times, layout.cp, layout.cp * layout.tp),
        Traffic("tensor", each * passes * times, 2 * parts * passes * times, layout.tp, layout.tp),
    ]


def _key_values(shape: Backbone, batch: Batch, layout: Layout) -> float:
    """Bytes a rank sends to gather one layer's keys and values of the whole sequence."""
    whole = 2 * layout.bytes_compute * batch.tokens * shape.kv_width / layout.tp * batch.samples
    return whole * (layout.cp - 1) / layout.cp
