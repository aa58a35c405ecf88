"""Mixed precision rounds a little everywhere and never the time; offloading and keeping change nothing."""

import pytest
import torch

from parallel.sharding import ShardingConfig
from tests.parallel.precision import gradients
from tests.parallel.ranks import run_ranks

FULL, HALF = "torch.float32", "torch.bfloat16"


@pytest.fixture(scope="module")
def found():
    return run_ranks(2, gradients)[0]


def distances(found, name):
    whole = found["whole"]["gradients"]
    return {
        each: ((found[name]["gradients"][each] - value).norm() / value.norm()).item()
        for each, value in whole.items()
    }


@pytest.mark.parametrize("name", ["bfloat16", "bfloat16 sums"])
def test_bfloat16_costs_little_and_the_time_is_never_rounded(found, name):
    """A time in bfloat16 would cost its embedding a fifth of the gradient."""
    assert found[name]["types"] == [FULL, HALF, FULL]
    far = distances(found, name)
    assert max(far[each] for each in far if each.startswith("time.")) < 0.06
    assert sum(far.values()) / len(far) < 0.06
    assert min(far.values()) > 1e-4  # it is at work everywhere


@pytest.mark.parametrize("name", ["offload", "kept"])
def test_where_weights_lie_changes_no_gradient(found, name):
    assert found[name]["types"] == [FULL, FULL, FULL]
    assert max(distances(found, name).values()) < 1e-6


def test_bfloat16_names_the_types_of_both():
    policy = ShardingConfig(compute="bfloat16").policy(cast_inputs=True)
    assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)
    assert ShardingConfig().policy(cast_inputs=True).param_dtype is None
