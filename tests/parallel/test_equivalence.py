"""Every way to use many processes computes what one process computes: losses, gradients, norms, weights."""

import pytest

from tests.parallel.ranks import run_ranks
from tests.parallel.suite import FOUR, TWO, run_cases, too_far


@pytest.fixture(scope="module")
def on_two():
    """All cases of two processes in one launch."""
    return run_ranks(2, run_cases, TWO, 2)


@pytest.fixture(scope="module")
def on_four():
    """All cases of four processes in one launch."""
    return run_ranks(4, run_cases, FOUR, 4)


@pytest.mark.parametrize("name", TWO)
def test_two_processes_compute_what_one_does(on_two, name):
    for found in on_two:
        assert too_far(found[name]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUR)
def test_four_processes_compute_what_one_does(on_four, name):
    for found in on_four:
        assert too_far(found[name]) == {}
