"""The predicted peak against torch's own memory tracker on a fake process group."""

from dataclasses import replace

import pytest

from models.transformer.config import TransformerConfig
from parallel.plan.layout import KINDS, Checkpointing, Layout
from parallel.plan.memory import peak
from parallel.plan.shape import Batch
from tests.parallel.plan.fake_group import planned, small
from tests.parallel.plan.tracker import tracked_apart, tracked_peak


@pytest.mark.parametrize(
    ("width", "feed_forward", "kind"),
    [
        (512, 1536, "none"),
        (512, 512, "selective"),
        (256, 2048, "selective"),
        (512, 1536, "full"),
        (256, 512, "full"),
    ],
)
def test_the_peak_is_within_a_tenth_of_torchs_tracker(
    width: int, feed_forward: int, kind: Checkpointing
) -> None:
    check_peak(
        small(width=width, layers=4, feed_forward=feed_forward), Layout(dp_shard=8, checkpointing=kind)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(2, 4, 1), (2, 1, 4), (1, 2, 4)], ids=str)
def test_so_it_is_where_tokens_and_matrices_are_shared(
    sizes: tuple[int, int, int], kind: Checkpointing
) -> None:
    shard, context, tensor = sizes
    layout = Layout(dp_shard=shard, cp=context, tp=tensor, checkpointing=kind)
    config, batch = small(width=1024, layers=4, feed_forward=3072), Batch(samples=2, tokens=1024, text=(32,))
    predicted = peak(planned(config), batch, layout, "cpu").total
    assert predicted == pytest.approx(tracked_apart(config, batch, layout)["Total"], rel=0.1)


def check_peak(config: TransformerConfig, layout: Layout) -> None:
    batch = Batch(samples=2, tokens=1024, text=(32,))
    predicted = peak(planned(config), batch, layout, "cpu").total
    assert predicted == pytest.approx(tracked_peak(config, batch, layout)["Total"], rel=0.1)


def test_what_costs_more_time_needs_less_memory() -> None:
    model, batch = planned(small(layers=8)), Batch(samples=1, tokens=4096, text=(32,))
    sizes = [peak(model, batch, Layout(dp_shard=8, checkpointing=kind)).total for kind in KINDS]
    assert sizes == sorted(sizes, reverse=True)


def test_a_moving_average_is_another_copy_of_the_weights() -> None:
    model, batch = planned(small()), Batch(samples=1, tokens=256, text=(8,))
    without, with_it = (
        peak(model._replace(average=average), batch, Layout(dp_shard=4)) for average in (False, True)
    )
    assert with_it.total - without.total == without.parameters


def test_accumulated_gradients_stay_through_the_next_batch() -> None:
    model, batch = planned(small(layers=4)), Batch(samples=1, tokens=1024, text=(8,))
    once = Layout(dp_shard=2)
    assert peak(model, batch, replace(once, accumulate=2)).total > peak(model, batch, once).total
