"""The table of what a block keeps adds up to what autograd keeps."""

import pytest
import torch
from torch import Tensor

from models.transformer.block import Block
from models.transformer.config import TransformerConfig
from parallel.plan.activations import block_input, block_kept, block_saved, block_working, spans
from parallel.plan.layout import KINDS, Layout
from parallel.plan.shape import Backbone, Batch
from tests.parallel.plan.fake_group import planned, small

WHOLE = Backbone(width=6144, layers=48, heads=48, feed_forward=16384, text_widths=(4096,))
CLIP = Batch(samples=1, tokens=73_728, text=(768,))


def kept_by_autograd(
    config: TransformerConfig, samples: int, tokens: int, text: int, dtype: torch.dtype
) -> int:
    """Bytes of the storages that a block's backward pass holds, weights left out."""
    block = Block(config).to(dtype)
    weights = {each.untyped_storage().data_ptr() for each in block.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def new(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype, requires_grad=True)

    width = config.width
    fed = new(samples, tokens, width), new(tokens, width), new(samples, 6, width), new(samples, text, width)
    mask = torch.ones(samples, text, dtype=torch.bool)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept_alive = block(*fed, mask)  # noqa: F841, its graph holds the storages apart
    shared = {fed[3].untyped_storage().data_ptr()}  # the text is one for all blocks
    return sum(size for pointer, size in storages.items() if pointer not in shared)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("feed_forward", [256, 1536])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_the_table_adds_up_to_what_autograd_keeps(
    dtype: torch.dtype, feed_forward: int, *, qk_norm: bool
) -> None:
    config = small(feed_forward=feed_forward, qk_norm=qk_norm)
    batch = Batch(samples=2, tokens=512, text=(16,))
    layout = Layout(bytes_compute=dtype.itemsize)
    predicted = sum(block_saved(planned(config).shape, batch, layout, "cpu").values())
    measured = kept_by_autograd(config, batch.samples, batch.tokens, *batch.text, dtype)
    assert predicted == pytest.approx(measured, rel=0.02)


def test_a_fused_norm_keeps_less() -> None:
    fused, chain = (sum(block_saved(WHOLE, CLIP, Layout(), kind).values()) for kind in ("cuda", "cpu"))
    assert fused < 0.95 * chain


def test_more_ranks_for_a_clip_keep_less_each() -> None:
    sizes = [
        sum(block_saved(WHOLE, CLIP, layout, "cuda").values())
        for layout in (Layout(), Layout(cp=2), Layout(cp=2, tp=2), Layout(cp=2, tp=4))
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] > sizes[0] / 2  # keys and values of the whole clip stay


def test_a_recomputed_block_keeps_its_input_alone() -> None:
    kept = block_input(WHOLE, CLIP, Layout(tp=4))
    assert kept == 2 * 6144 * 73_728 / 4
    assert kept < 0.05 * sum(block_saved(WHOLE, CLIP, Layout(tp=4), "cuda").values())
    sizes = [block_kept(WHOLE, CLIP, Layout(checkpointing=kind), "cuda") for kind in KINDS]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] == pytest.approx(2 * CLIP.tokens * (10 * 6144 + 2 * 16384), rel=0.01)
    assert block_working(WHOLE, CLIP, Layout(tp=4)) < block_working(WHOLE, CLIP, Layout())


def test_tokens_are_cut_over_context_ranks_then_over_tensor_ranks() -> None:
    assert spans(CLIP, Layout(cp=2, tp=4)) == (73_728, 36_864, 9_216)
