"""Memory of a rank over a step, and where its peak lies."""

from collections.abc import Sequence
from typing import NamedTuple

from parallel.plan.activations import (
    Kernels,
    block_again,
    block_kept,
    block_working,
    inputs,
    output_saved,
    output_working,
)
from parallel.plan.layout import Layout
from parallel.plan.parameters import MASTER, Parameter, gathered, optimizer_bytes, weight_bytes
from parallel.plan.shape import Backbone, Batch


class Model(NamedTuple):
    """What is trained: its shape and every parameter, and whether a moving average is kept."""

    shape: Backbone
    parameters: tuple[Parameter, ...]
    average: bool = False

    @property
    def count(self) -> int:
        """Parameters."""
        return sum(each.numel for each in self.parameters)


class Memory(NamedTuple):
    """Bytes on the fullest rank at the fullest moment of a step."""

    parameters: float
    gradients: float
    optimizer: float
    average: float
    activations: float
    """Kept from the forward pass, recomputed ones included."""
    gathered: float
    """Parameters and gradients of blocks that FSDP holds whole for the moment."""
    working: float
    """Gradients of activations."""

    @property
    def total(self) -> float:
        """Of all parts."""
        return sum(self)


class _Sizes(NamedTuple):
    """Bytes of the pieces that the timeline adds up."""

    kept: float
    """By a block, from its forward pass."""
    again: float
    """By the block that goes backward, computed again."""
    inputs: float
    output: float
    output_working: float
    working: float
    whole: float
    """A block's parameters when FSDP has gathered them."""
    root: float
    """The same of all that is in no block."""
    block_gradients: float
    gradients: float


class _Moment(NamedTuple):
    gradients: float
    activations: float
    gathered: float
    working: float


def peak(model: Model, batch: Batch, layout: Layout, kernels: Kernels = "cuda") -> Memory:
    """The fullest moment of a step as Lightning runs it: forward, clear gradients, backward, optimizer.

    While block i goes backward, FSDP holds it whole, has gathered the one before it, and reduces the
    gradients of the one behind it.
    """
    sizes, layers = _sizes(model, batch, layout, kernels), model.shape.layers
    moments = [_end_of_forward(sizes, layers), _output_backward(sizes, layers, layout)]
    moments += [_block_backward(sizes, index, layers, layout) for index in range(layers)]
    moments += [_block_reduced(sizes, index, layers, layout) for index in range(layers)]
    moments.append(_root_reduced(sizes, layout))
    fullest = max(moments, key=sum)
    weights = float(weight_bytes(model.parameters, layout))
    return Memory(
        parameters=weights,
        gradients=fullest.gradients,
        optimizer=float(optimizer_bytes(model.parameters, layout)),
        average=weights if model.average else 0.0,
        activations=fullest.activations,
        gathered=fullest.gathered,
        working=fullest.working,
    )


def _sizes(model: Model, batch: Batch, layout: Layout, kernels: Kernels) -> _Sizes:
    shape = model.shape
    size = layout.bytes_compute if layout.sharded else layout.bytes_compute % MASTER  # in float32 no copy
    root = [each for each in model.parameters if not each.block]
    blocks = [each for each in model.parameters if each.block]
    return _Sizes(
        kept=block_kept(shape, batch, layout, kernels),
        again=block_again(shape, batch, layout, kernels),
        inputs=inputs(shape, batch, layout),
        output=output_saved(shape, batch, layout, kernels),
        output_working=output_working(shape, batch, layout, kernels),
        working=block_working(shape, batch, layout),
        whole=float(size * gathered(blocks, layout)) / shape.layers,
        root=float(size * gathered(root, layout)),
        block_gradients=float(weight_bytes(blocks, layout)) / shape.layers,
        gradients=float(weight_bytes(model.parameters, layout)),
    )


def _end_of_forward(sizes: _Sizes, layers: int) -> _Moment:
    """The gradients of the step before are still there: Lightning clears them between loss and backward."""
    activations = layers * sizes.kept + sizes.output + sizes.inputs
    return _Moment(sizes.gradients, activations, sizes.root + sizes.whole, 0.0)


def _output_backward(sizes: _Sizes, layers: int, layout: Layout) -> _Moment:
    activations = layers * sizes.kept + sizes.inputs
    gradients = sizes.gradients if layout.accumulate > 1 else 0.0
    return _Moment(gradients, activations, sizes.root + sizes.whole, sizes.output_working)


def _block_backward(sizes: _Sizes, index: int, layers: int, layout: Layout) -> _Moment:
    """While block `index` goes backward; those behind it are done."""
    activations = (index + 1) * sizes.kept + sizes.again + sizes.inputs
    behind = layers - 1 - index
    reducing = sizes.whole * MASTER / layout.bytes_compute if behind else 0.0
    before = sizes.whole if index else 0.0
    gradients = sizes.gradients if layout.accumulate > 1 else sizes.block_gradients * behind
    return _Moment(gradients, activations, sizes.root + sizes.whole + before + reducing, sizes.working)


def _block_reduced(sizes: _Sizes, index: int, layers: int, layout: Layout) -> _Moment:
    """Block `index` is let go: its gradients are whole, with a copy to reduce, as of the one behind it."""
    behind = layers - 1 - index
    reducing = sizes.whole * MASTER / layout.bytes_compute * (2 if behind else 1)
    before = sizes.whole if index else 0.0
    gradients = sizes.gradients if layout.accumulate > 1 else sizes.block_gradients * behind
    whole = sizes.root + sizes.whole + before + reducing
    return _Moment(gradients, index * sizes.kept + sizes.inputs, whole, 0.0)


def _root_reduced(sizes: _Sizes, layout: Layout) -> _Moment:
    """All blocks are done, and the gradients of the rest are reduced."""
    whole = (2 + MASTER / layout.bytes_compute) * sizes.root
    return _Moment(sizes.gradients, sizes.inputs, whole, 0.0)


def parts(memory: Memory) -> Sequence[tuple[str, float]]:
    """Name and bytes of each part that is there, for tables and charts."""
    return [(name, size) for name, size in memory._asdict().items() if size]
