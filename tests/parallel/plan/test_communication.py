"""Bytes on the links: rings, groups within and across nodes, and what a mesh adds or saves."""

from dataclasses import replace

import pytest

from parallel.plan.communication import Traffic, traffic
from parallel.plan.devices import DEVICES
from parallel.plan.layout import Layout
from parallel.plan.shape import Batch
from tests.parallel.plan.fake_group import planned, small

BATCH = Batch(samples=1, tokens=4096, text=(16,))
MODEL = planned(small(layers=4))


def sent(layout: Layout) -> dict[str, Traffic]:
    return {each.kind: each for each in traffic(MODEL, BATCH, layout)}


def test_one_process_sends_nothing() -> None:
    assert sum(each.sent for each in traffic(MODEL, BATCH, Layout())) == 0
    assert sum(each.seconds(DEVICES["h100"]) for each in traffic(MODEL, BATCH, Layout())) == 0


def test_a_ring_sends_almost_all_of_the_weights_whatever_its_size() -> None:
    few, many = (sent(Layout(dp_shard=size))["gather weights"].sent for size in (8, 512))
    assert many / few == pytest.approx((511 / 512) / (7 / 8))
    assert many < 2 * 2 * MODEL.count


def test_replicas_reduce_only_their_shard() -> None:
    layout = Layout(dp_replicate=4, dp_shard=8)
    assert sent(layout)["replicas"].sent == pytest.approx(2 * 4 * MODEL.count / 8 * 3 / 4)
    assert sent(replace(layout, dp_replicate=1))["replicas"].sent == 0


def test_context_ranks_send_keys_and_values_forward_and_back() -> None:
    one_layer = 2 * 2 * BATCH.tokens * 256 * (1 / 2)
    assert sent(Layout(cp=2))["context"].sent == pytest.approx(2 * 4 * one_layer)
    assert sent(Layout(cp=2, checkpointing="full"))["context"].sent == pytest.approx(3 * 4 * one_layer)


def test_tensor_ranks_send_the_residual_stream_around_each_part() -> None:
    stream = 2 * BATCH.tokens * 256 * (1 / 2)
    assert sent(Layout(tp=2))["tensor"].sent == pytest.approx(4 * 2 * 2 * 3 * stream)


def test_a_group_within_a_node_is_faster() -> None:
    device = DEVICES["h100"]
    inside = Traffic("tensor", 1e9, 1, group=4, span=8)
    assert inside._replace(span=16).seconds(device) > 5 * inside.seconds(device)
