"""Floating-point operations of a training step: what a formula says, as torch's counter counts them.

A product of n x k and k x m is 2 n k m operations. Attention is full, without a causal half: 4 n^2 d forward,
twice that backward. Model FLOPs (for MFU) count each product once; what a rank executes adds recomputation.
"""

from typing import NamedTuple

from parallel.plan.layout import Layout
from parallel.plan.shape import Backbone, Batch


class Flops(NamedTuple):
    """Operations of matrix products with weights, and of attention, which run at different rates."""

    matmul: float
    attention: float

    def __add__(self, other: "Flops") -> "Flops":  # type: ignore[override]
        return Flops(self.matmul + other.matmul, self.attention + other.attention)

    def times(self, factor: float) -> "Flops":
        """Both, `factor` times."""
        return Flops(self.matmul * factor, self.attention * factor)

    @property
    def total(self) -> float:
        """Of both kinds."""
        return self.matmul + self.attention


FUSED_BACKWARD = 2.5  # of forward: fused attention computes its logits again, as flash attention does


def block_forward(shape: Backbone, tokens: int, text: int) -> Flops:
    """One block, one sample of `tokens` video and `text` text tokens, forward."""
    width = shape.width
    matmul = 2 * tokens * width * (2 * width + 2 * shape.kv_width)
    attention = 4 * tokens * tokens * width * (0.5 if shape.causal else 1)
    if shape.text_widths:
        matmul += 2 * tokens * width * 2 * width + 2 * text * width * 2 * width
        attention += 4 * tokens * text * width
    matmul += 2 * tokens * width * shape.feed_forward * (3 if shape.gated else 2)
    return Flops(matmul, attention)


def outside_forward(shape: Backbone, batch: Batch) -> tuple[float, float]:
    """Everything but the blocks, one sample: products whose input needs no gradient, and the others."""
    width = shape.width
    first = 2 * batch.tokens * shape.patch_features * width
    last = 2 * batch.tokens * width * shape.patch_features
    if shape.text_widths:
        first += sum(2 * n * each * width for n, each in zip(batch.text, shape.text_widths, strict=True))
    if shape.time_features:
        first += 2 * shape.time_features * width
        last += 2 * width * width * (1 + 6 + 2)  # time, the blocks' modulation, the output's
    return first, last


def model_flops(shape: Backbone, batch: Batch) -> Flops:
    """One step on one data rank's batch, forward and backward, each product counted once."""
    blocks = block_forward(shape, batch.tokens, batch.text_tokens).times(3 * shape.layers)
    first, last = outside_forward(shape, batch)
    return (blocks + Flops(2 * first + 3 * last, 0)).times(batch.samples)


def block_on_rank(shape: Backbone, batch: Batch, layout: Layout) -> Flops:
    """What one rank executes of one block forward: text keys and values are made on every context rank."""
    whole = block_forward(shape, batch.tokens, batch.text_tokens)
    text = 2 * batch.text_tokens * shape.width * 2 * shape.width if shape.text_widths else 0
    matmul = ((whole.matmul - text) / layout.cp + text) / layout.tp
    return Flops(matmul, whole.attention / (layout.cp * layout.tp)).times(batch.samples)


def executed(shape: Backbone, batch: Batch, layout: Layout) -> Flops:
    """What one rank executes in a step: fused attention's backward and recomputed blocks included."""
    block = block_on_rank(shape, batch, layout)
    trained = Flops(3 * block.matmul, (1 + FUSED_BACKWARD) * block.attention)
    first, last = outside_forward(shape, batch)
    outside = (2 * first + 3 * last) / layout.cp * batch.samples  # tensor-parallel ranks do the same here
    again = shape.layers if layout.checkpointing == "full" else 0  # selective repeats no product
    return trained.times(shape.layers) + block.times(again) + Flops(outside, 0)
