"""What a rank keeps of a forward pass until the backward pass needs it, tensor by tensor.

The rows of `block_saved` follow models/transformer/block.py; a test holds their sum against what autograd
really saves. `kernels` says whether RMS norm is one kernel (CUDA) or a chain in float32 (processors).
"""

from typing import Literal, NamedTuple

from parallel.plan.layout import Layout
from parallel.plan.shape import Backbone, Batch

Kernels = Literal["cuda", "cpu"]
FLOAT = 4  # bytes; of norms' statistics, of latents, of the loss


class Spans(NamedTuple):
    """Tokens of one sample on one rank, in the three states in which a block holds them."""

    whole: int
    """Of all context ranks: keys and values, when they have been gathered."""
    context: int
    """Of this context rank: between the gather before a matrix and the scatter behind the next."""
    split: int
    """Of this tensor-parallel rank: the residual stream, norms and modulation."""


def spans(batch: Batch, layout: Layout) -> Spans:
    """How many tokens of a sample a rank holds."""
    parts = layout.cp * layout.tp
    split = -(-batch.tokens // parts)  # what does not divide is padded
    return Spans(split * parts, split * layout.tp, split)


def block_saved(shape: Backbone, batch: Batch, layout: Layout, kernels: Kernels) -> dict[str, float]:
    """Bytes that one block leaves for its backward pass, of one step on one rank, by what they are."""
    n, tp, size, width = spans(batch, layout), layout.tp, layout.bytes_compute, shape.width
    norm = n.split * _norm_saved(width, size, kernels)
    split, gathered, heads = (size * tokens * width for tokens in (n.split, n.context, n.context / tp))
    statistics = FLOAT * n.context * shape.heads / tp
    saved = {
        "norms": 2 * norm,
        "modulation": 4 * split,  # normed twice, and what the two gates scale
        "inputs of matrices": 2 * gathered,
        "queries, keys, values": heads + 2 * size * n.whole * shape.kv_width / tp,
        "attention": heads + statistics,
        "feed-forward": size * n.context * shape.feed_forward / tp * (4 if shape.gated else 2),
    }
    if shape.qk_norm:
        saved["norms of heads"] = _head_norm_saved(shape, n.context / tp, size, kernels)
    if shape.text_widths:
        text = 2 * size * batch.text_tokens * width / tp
        saved["cross-attention"] = norm + gathered + 2 * heads + statistics + text
    return {name: count * batch.samples for name, count in saved.items()}


def _norm_saved(width: int, size: int, kernels: Kernels) -> float:
    """Of one token: its input and a statistic; a chain keeps the input and the product in float32."""
    if kernels == "cuda":
        return size * width + FLOAT
    return 2 * FLOAT * width + FLOAT


def _head_norm_saved(shape: Backbone, tokens: float, size: int, kernels: Kernels) -> float:
    """Of queries and keys of self-attention and queries of cross-attention, before their norm.

    Behind a norm heads lie apart in memory, so that what attention gives is copied for the matrix after it.
    """
    kinds = 2 if shape.text_widths else 1  # of attention
    channels = (kinds + 1) * (size if kernels == "cuda" else 2 * FLOAT) + kinds * size
    return tokens * channels * shape.width


def block_input(shape: Backbone, batch: Batch, layout: Layout) -> float:
    """Bytes that a recomputed block keeps: the residual stream that entered it."""
    return layout.bytes_compute * spans(batch, layout).split * shape.width * batch.samples


def selective_saved(shape: Backbone, batch: Batch, layout: Layout) -> float:
    """Bytes of a block that keeps its input and what its matrices and attention give, before any scatter."""
    n, size = spans(batch, layout), layout.bytes_compute
    kinds = 2 if shape.text_widths else 1  # of attention
    hidden = (2 if shape.gated else 1) * shape.feed_forward / layout.tp
    outputs = shape.width * (kinds + 1)
    queries = (2 * kinds * shape.width + 2 * shape.kv_width) / layout.tp  # with what attention gives
    statistics = FLOAT * kinds * n.context * shape.heads / layout.tp
    text = 2 * size * batch.text_tokens * shape.width / layout.tp if shape.text_widths else 0
    kept = size * n.context * (hidden + outputs + queries) + statistics + text
    return batch.samples * kept + block_input(shape, batch, layout)


def block_kept(shape: Backbone, batch: Batch, layout: Layout, kernels: Kernels) -> float:
    """Bytes that a block keeps from its forward pass, by what the layout says of checkpointing."""
    if layout.checkpointing == "full":
        return block_input(shape, batch, layout)
    if layout.checkpointing == "selective":
        return selective_saved(shape, batch, layout)
    return sum(block_saved(shape, batch, layout, kernels).values())


def block_again(shape: Backbone, batch: Batch, layout: Layout, kernels: Kernels) -> float:
    """Bytes that come on top while a block goes backward: what was dropped and is computed again."""
    if not layout.recomputes:
        return 0.0
    whole = sum(block_saved(shape, batch, layout, kernels).values())
    return whole - (selective_saved(shape, batch, layout) if layout.checkpointing == "selective" else 0.0)


def block_working(shape: Backbone, batch: Batch, layout: Layout) -> float:
    """Most bytes of gradients that the backward pass of a block holds at once, beside what was saved.

    That is in the feed-forward layer, where all of the block's tensors are still there: the gradients of the
    gate, of the value and of their product, and of the residual stream.
    """
    n, size = spans(batch, layout), layout.bytes_compute
    hidden = n.context * (3 if shape.gated else 2) * shape.feed_forward / layout.tp
    scattered = n.context * shape.width if layout.tp > 1 else 0  # gathered again before `down`
    return batch.samples * size * (hidden + scattered + n.split * shape.width)


def output_saved(shape: Backbone, batch: Batch, layout: Layout, kernels: Kernels) -> float:
    """Bytes that the output layer keeps: norm, modulation, linear layer, of joined tokens."""
    n, size = spans(batch, layout), layout.bytes_compute
    return batch.samples * n.context * (_norm_saved(shape.width, size, kernels) + 2 * size * shape.width)


def output_working(shape: Backbone, batch: Batch, layout: Layout, kernels: Kernels) -> float:
    """Gradients in the output layer; where its norm is a chain, five in float32."""
    each = 5 * FLOAT if kernels == "cpu" else 2 * layout.bytes_compute
    return batch.samples * spans(batch, layout).context * shape.width * each


def inputs(shape: Backbone, batch: Batch, layout: Layout) -> float:
    """Bytes that last for the whole step: latents and the loss, positions, embedded text."""
    n, size = spans(batch, layout), layout.bytes_compute
    position = size * n.split * shape.width  # one for all samples
    text = size * batch.text_tokens * shape.width * (2 if shape.text_widths else 0)
    return position + batch.samples * (text + LATENTS * FLOAT * n.whole * shape.patch_features)


LATENTS = 6  # the clip, noise, their interpolation, its velocity, the prediction, the gradient of the loss
