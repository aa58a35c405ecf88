"""What a rank keeps of the weights equals what FSDP2 leaves on it, to the byte."""

import pytest
import torch

from parallel.plan.layout import Layout
from parallel.plan.parameters import grouped, optimizer_bytes, weight_bytes
from tests.parallel.plan.fake_group import (
    local_bytes,
    optimizer_state_bytes,
    planned,
    rank_of,
    sharded,
    small,
)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(dp_shard=1),
        Layout(dp_shard=7),
        Layout(dp_shard=6144),
        Layout(dp_replicate=24, dp_shard=256),
        Layout(dp_shard=384, cp=2, tp=8),
        Layout(dp_replicate=3, dp_shard=4, tp=2),
    ],
)
def test_weights_and_optimizer_are_those_of_fsdp2_to_the_byte(layout: Layout) -> None:
    config = small(width=1024)
    with rank_of(layout.world):
        model = sharded(config, layout).to_empty(device="cpu")
        assert weight_bytes(planned(config).parameters, layout) == local_bytes(model.parameters())
        assert optimizer_bytes(planned(config).parameters, layout) == optimizer_state_bytes(model)


def test_no_other_rank_holds_more_than_the_first() -> None:
    config, layout = small(width=384), Layout(dp_shard=80)
    held = []
    for rank in (0, 40, 79):
        with rank_of(layout.world, rank):
            held.append(local_bytes(sharded(config, layout).parameters()))
    assert held[0] == weight_bytes(planned(config).parameters, layout) == max(held)


def test_tensor_parallel_ranks_share_the_matrices_of_blocks_alone() -> None:
    parameters = grouped([
        ("patchify.linear.weight", (8, 4)),
        ("blocks.0.attention.q.weight", (8, 8)),
        ("blocks.0.attention.out.weight", (8, 8)),
        ("blocks.0.table.weight", (6, 8)),
        ("blocks.0.attention_norm.weight", (8,)),
    ])  # fmt: skip
    sizes = [each.local(Layout(tp=4)) for each in parameters]
    assert sizes == [32, 16, 16, 48, 8]


def test_parameters_of_a_shape_are_counted_together() -> None:
    model = planned(small(layers=3))
    with torch.device("meta"):
        from models.transformer import Transformer

        assert model.count == sum(each.numel() for each in Transformer(small(layers=3)).parameters())
    assert len(model.parameters) < 40
