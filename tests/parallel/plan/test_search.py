"""What the search finds fits, divides and is ordered by cost; more memory never makes the best plan worse."""

import math
from dataclasses import replace

import pytest

from parallel.plan.devices import DEVICES
from parallel.plan.estimate import estimate
from parallel.plan.fixes import cheapest_fixes
from parallel.plan.layout import Layout, divisors, fault, meshes
from parallel.plan.memory import peak
from parallel.plan.search import lightest, search
from parallel.plan.shape import Batch
from tests.parallel.plan.fake_group import planned, small

MODEL = planned(small(width=512, layers=6, feed_forward=1536))
BATCHES = [Batch(samples=2, tokens=8192, text=(64,), name="big"), Batch(samples=4, tokens=256, text=(64,))]
H100 = DEVICES["h100"]
NEEDED = peak(MODEL, BATCHES[0], Layout(dp_shard=16)).total


def test_every_mesh_multiplies_to_the_world_and_none_comes_twice() -> None:
    found = list(meshes(96, node=8))
    assert {mesh.world for mesh in found} == {96}
    assert len(set(found)) == len(found)
    assert max(mesh.tp for mesh in found) == 8
    assert divisors(12) == [1, 2, 3, 4, 6, 12]


@pytest.mark.parametrize("share", [1.2, 0.6, 0.3])
def test_plans_fit_divide_and_come_cheapest_first(share: float) -> None:
    device = replace(H100, memory=NEEDED * share)
    plans = search(MODEL, BATCHES, 16, device).plans
    assert plans
    assert all(plan.fits and plan.layout.world == 16 for plan in plans)
    assert not any(fault(plan.layout, MODEL.shape, batch) for plan in plans for batch in BATCHES)
    costs = [plan.device_seconds_per_token for plan in plans]
    assert costs == sorted(costs)


def test_more_memory_is_never_worse() -> None:
    costs = [
        search(MODEL, BATCHES, 16, replace(H100, memory=NEEDED * share)).plans[0].device_seconds_per_token
        for share in (0.3, 0.6, 1.2)
    ]
    assert costs == sorted(costs, reverse=True)


def test_a_step_takes_as_long_as_the_slowest_of_the_ranks() -> None:
    big, small_one = (estimate(MODEL, [batch], Layout(), H100).time.total for batch in BATCHES)
    two = estimate(MODEL, BATCHES, Layout(dp_replicate=2), H100)
    each = [estimate(MODEL, [batch], Layout(dp_replicate=2), H100).time.total for batch in BATCHES]
    assert estimate(MODEL, BATCHES, Layout(), H100).time.total == pytest.approx((big + small_one) / 2)
    assert two.time.total == pytest.approx(0.75 * max(each) + 0.25 * min(each))  # both small in one of four
    many = Layout(dp_replicate=64)
    assert estimate(MODEL, BATCHES, many, H100).time == estimate(MODEL, BATCHES[:1], many, H100).time


def test_nothing_is_recomputed_without_need() -> None:
    layout = Layout(dp_shard=16)
    kinds = [
        lightest(MODEL, BATCHES, layout, replace(H100, memory=NEEDED * share))
        for share in (1, 0.8, 0.4, 0.01)
    ]
    assert kinds == ["none", "selective", "full", None]


def test_where_nothing_fits_the_nearest_is_named() -> None:
    found = search(MODEL, BATCHES, 4, replace(H100, memory=1e6))
    assert found.plans == []
    assert found.nearest is not None
    assert not found.nearest.fits


def test_a_model_that_divides_over_no_mesh_is_refused() -> None:
    odd = [Batch(samples=1, tokens=8192, text=(64,))]
    for mesh in meshes(7, node=8):
        if mesh.tp == 7:
            assert "heads do not divide over tp 7" in str(fault(mesh, MODEL.shape, odd[0]))


def test_fixes_fit_are_three_and_come_cheapest_first() -> None:
    layout = Layout(dp_replicate=2, dp_shard=8)
    device = replace(H100, memory=NEEDED * 0.55)
    assert not estimate(MODEL, BATCHES, layout, device).fits
    fixes = cheapest_fixes(MODEL, BATCHES, layout, device)
    assert len(fixes) == 3
    assert all(fix.plan.fits for fix in fixes)
    costs = [fix.plan.device_seconds_per_token for fix in fixes]
    assert costs == sorted(costs)
    assert len({fix.change for fix in fixes}) == 3


def test_half_the_samples_in_twice_the_batches_are_the_same_step() -> None:
    whole = estimate(MODEL, BATCHES, Layout(dp_shard=8), H100)
    halves = [replace(batch, samples=batch.samples // 2) for batch in BATCHES]
    split = estimate(MODEL, halves, Layout(dp_shard=8, accumulate=2), H100)
    assert split.tokens == whole.tokens
    assert split.flops == pytest.approx(whole.flops)
    assert split.memory.activations < whole.memory.activations


def test_mfu_is_one_where_only_the_peak_limits() -> None:
    ideal = replace(
        H100,
        matmul=1.0,
        attention=1.0,
        attention_backward=1.25,
        bandwidth=math.inf,
        optimizer=math.inf,
        latency=0.0,
    )
    plan = estimate(MODEL, [BATCHES[0]], Layout(), ideal)
    assert plan.mfu == pytest.approx(1.0, abs=0.01)
    assert estimate(MODEL, [BATCHES[0]], Layout(checkpointing="full"), ideal).mfu < 0.8
