"""Passes in turns: the first round warms up, order changes, and ratios are of one round."""

import torch
from torch import nn

from benchmarks.turns import both, median_ratio, timed


def test_the_first_round_only_warms_up():
    ticks = iter([0.0, 0.0, 5.0, 8.0, 10.0])
    assert timed({"one": lambda: None}, 2, lambda: next(ticks)) == {"one": [5.0, 2.0]}


def test_each_round_runs_every_pass_once_and_the_next_one_backwards():
    ran: list[str] = []
    timed({name: lambda name=name: ran.append(name) for name in "abc"}, 2, lambda: 0.0)
    assert "".join(ran) == "cba" + "abc" + "cba"


def test_a_ratio_is_taken_within_each_round_so_that_a_slow_round_changes_nothing():
    assert median_ratio([2.0, 200.0, 4.0], [1.0, 100.0, 2.0]) == 2.0


def test_a_pass_with_backward_leaves_no_gradient_for_the_next():
    layer, tokens = nn.Linear(3, 3), torch.randn(2, 3)
    runs = both(lambda x: (layer(x),), tokens, layer)
    for run in (runs["forward"], runs["with backward"]):
        run()
        assert tokens.grad is None
        assert all(weight.grad is None for weight in layer.parameters())
