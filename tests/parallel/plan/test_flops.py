"""The formula counts what torch's counter counts, operation for operation."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.transformer import Transformer
from parallel.plan.flops import FUSED_BACKWARD, Flops, block_forward, executed, model_flops
from parallel.plan.layout import KINDS, Layout
from parallel.plan.shape import Backbone, Batch
from tests.parallel.plan.fake_group import feed, planned, small

WHOLE = Backbone(width=6144, layers=48, heads=48, feed_forward=16384, text_widths=(4096, 1280, 1472))
CLIP = Batch(samples=1, tokens=73_728, text=(256, 256, 256))


@pytest.mark.parametrize(
    ("samples", "grid", "text"), [(1, (2, 8, 8), 7), (3, (1, 4, 6), 32), (2, (4, 16, 16), 1)]
)
def test_a_step_has_the_flops_that_torch_counts(samples: int, grid: tuple[int, int, int], text: int) -> None:
    config = small(layers=3)
    batch = Batch(samples=samples, tokens=grid[0] * grid[1] * grid[2], text=(text,))
    with torch.device("meta"):
        model = Transformer(config)
        fed = feed(batch, grid)
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            model(*fed).sum().backward()
    assert counter.get_total_flops() == model_flops(planned(config).shape, batch).total


def test_attention_of_a_long_clip_costs_more_than_all_matrices() -> None:
    block = block_forward(WHOLE, CLIP.tokens, CLIP.text_tokens)
    assert block.attention > 1.4 * block.matmul
    short = block_forward(WHOLE, 256, CLIP.text_tokens)
    assert short.attention < 0.1 * short.matmul


@pytest.mark.parametrize("layout", [Layout(tp=4), Layout(cp=2), Layout(cp=2, tp=4)])
def test_ranks_share_the_work_of_a_sample(layout: Layout) -> None:
    """All but the text's keys and values, and the thin layers outside, which several ranks do."""
    alone, share = executed(WHOLE, CLIP, Layout()).total, executed(WHOLE, CLIP, layout).total
    assert share * layout.cp * layout.tp == pytest.approx(alone, rel=0.005)
    assert share * layout.cp * layout.tp >= alone


def test_recomputing_costs_one_forward_pass_of_the_blocks() -> None:
    none, selective, full = (executed(WHOLE, CLIP, Layout(checkpointing=kind)) for kind in KINDS)
    block = block_forward(WHOLE, CLIP.tokens, CLIP.text_tokens)
    assert full.total - none.total == pytest.approx(48 * block.total)
    assert selective == none
    backward = executed(WHOLE, CLIP, Layout()).attention - 48 * block.attention
    assert backward == pytest.approx(48 * FUSED_BACKWARD * block.attention)


def test_a_causal_model_has_half_the_attention() -> None:
    whole = Backbone(width=256, layers=1, heads=2, feed_forward=512)
    half = Backbone(width=256, layers=1, heads=2, feed_forward=512, causal=True)
    assert block_forward(half, 64, 0).attention == block_forward(whole, 64, 0).attention / 2
    assert Flops(1, 2) + Flops(3, 4) == Flops(4, 6)
