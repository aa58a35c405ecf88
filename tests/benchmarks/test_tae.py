"""The comparison of autoencoders' speed: all are of a size, operations and time are those of a pass."""

import pytest
import torch

from benchmarks.tae import CONTESTANTS, PASSES, Contestant, prepared, run


def test_all_but_the_narrow_one_have_about_as_many_parameters():
    pytest.importorskip("diffusers.models.autoencoders")  # its constants are tensors: made here, not on meta
    with torch.device("meta"):
        sizes = {
            name: sum(weight.numel() for weight in make().network.parameters())
            for name, make in CONTESTANTS.items()
        }
    narrow = sizes.pop("inflated, narrow")
    assert max(sizes.values()) < 1.08 * min(sizes.values())
    assert narrow < min(sizes.values())


@pytest.mark.parametrize("each", PASSES)
def test_a_pass_is_counted_once_and_timed_by_the_clock_that_is_given(each):
    map_ = torch.nn.Linear(8, 8, bias=False)
    contestant = Contestant(map_, map_, map_)
    ticks = iter([1.0, 1.5])
    found = run(prepared(contestant, each, torch.randn(1, 2, 3, 4, 8)), lambda: next(ticks))
    products = {"encode": 1, "decode": 1, "train": 2 + 2 + 1}[each]  # the clip needs no gradient
    assert found == (0.5, products * 2 * 24 * 8 * 8)
    assert map_.weight.grad is None
