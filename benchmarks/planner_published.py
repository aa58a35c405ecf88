"""Training speeds that others published, and what the planner says of the same runs.

No rate of a device was fitted to these rows. Their kernels are not ours: Megatron's and Transformer Engine's
fused ones for NeMo DFM, PyTorch's for the others.
"""

from typing import NamedTuple

from parallel.plan.devices import DEVICES
from parallel.plan.estimate import Estimate, estimate
from parallel.plan.layout import Layout
from parallel.plan.memory import Model
from parallel.plan.parameters import grouped
from parallel.plan.shape import Backbone, Batch

# Wan 2.1 14B: 40 layers, 5120 wide, GELU of 13,824, 40 heads, umt5's 512 tokens of 4096.
WAN = Backbone(
    width=5120, layers=40, heads=40, feed_forward=13_824, text_widths=(4096,), qk_norm=True, gated=False
)
# Llama 3 8B: 32 layers, 4096 wide, SwiGLU of 14,336, 8 heads of keys and values. Its head of 128,256 words is
# three products of that size a step; here it is a first layer (two) and a last (three) of 3/5 of them.
LLAMA = Backbone(
    width=4096, layers=32, heads=32, feed_forward=14_336, key_value_heads=8, causal=True,
    patch_features=76_954, time_features=0,
)  # fmt: skip
WAN_CLIP = Batch(samples=1, tokens=37_440, text=(512,))


class Row(NamedTuple):
    """A published measurement: TFLOP/s or tokens/s of a GPU, and GB where it is known."""

    source: str
    gpu: str
    layout: Layout
    batch: Batch
    model: Model
    recomputed: float
    """Share of the blocks that are computed again."""
    unit: str
    measured: float


def model_of(shape: Backbone) -> Model:
    """The matrices of the blocks and the layers around them; vectors are too few to matter."""
    width, kv, hidden = shape.width, shape.kv_width, shape.feed_forward
    named: list[tuple[str, tuple[int, ...]]] = []
    for block in range(shape.layers):
        at = f"blocks.{block}"
        parts = {"q": (width, width), "k": (kv, width), "v": (kv, width), "out": (width, width)}
        named += [(f"{at}.attention.{name}.weight", size) for name, size in parts.items()]
        if shape.text_widths:
            named += [(f"{at}.cross_attention.{name}.weight", (width, width)) for name in parts]
        named += [
            (f"{at}.feed_forward.up.weight", (hidden, width)),
            (f"{at}.feed_forward.down.weight", (width, hidden)),
        ]
        if shape.gated:
            named.append((f"{at}.feed_forward.gate.weight", (hidden, width)))
    named += [("first.weight", (width, shape.patch_features)), ("last.weight", (shape.patch_features, width))]
    return Model(shape, grouped(named))


def rows() -> list[Row]:
    """Wan 2.1 14B by NeMo (DFM and Automodel, docs/performance-summary.md), Llama 3 8B by torchtitan
    (benchmarks/llama3_h100_202412_torchtitan.md). DFM's H100 recipe recomputes 10 of 40 blocks, its B200
    recipe none; assumed are all for Automodel and for long sequences, half for torchtitan's selective.
    """
    wan, llama = model_of(WAN), model_of(LLAMA)
    eight_k, long = Batch(samples=1, tokens=8192), Batch(samples=1, tokens=262_144)
    return [
        Row(
            "NeMo DFM",
            "h100",
            Layout(dp_shard=16, cp=4, tp=2, accumulate=8),
            WAN_CLIP,
            wan,
            0.25,
            "TFLOP/s",
            325.77,
        ),
        Row(
            "NeMo DFM", "b200", Layout(dp_shard=16, cp=2, accumulate=4), WAN_CLIP, wan, 0.0, "TFLOP/s", 804.02
        ),
        Row("NeMo Automodel", "h100", Layout(dp_shard=8), WAN_CLIP, wan, 1.0, "TFLOP/s", 175.88),
        Row("NeMo Automodel", "h100", Layout(dp_shard=64), WAN_CLIP, wan, 1.0, "TFLOP/s", 228.85),
        Row("torchtitan, compiled", "h100", Layout(dp_shard=8), eight_k, llama, 0.5, "tokens/s", 6667),
        Row("torchtitan, eager", "h100", Layout(dp_shard=8), eight_k, llama, 0.5, "tokens/s", 5762),
        Row("torchtitan", "h100", Layout(cp=8), long, llama, 1.0, "tokens/s", 548),
    ]


def predicted(row: Row) -> tuple[float, Estimate]:
    """The planner's number in the row's unit, and its plan with all of the blocks computed again or none."""
    device = DEVICES[row.gpu]
    plans = {
        kind: estimate(row.model, [row.batch], row.layout.with_checkpointing(kind), device)
        for kind in ("none", "full")
    }
    seconds = row.recomputed * plans["full"].time.total + (1 - row.recomputed) * plans["none"].time.total
    plan = plans["full" if row.recomputed else "none"]
    if row.unit == "TFLOP/s":
        return plan.flops / seconds / 1e12, plan
    return plan.tokens / seconds / row.layout.world, plan
