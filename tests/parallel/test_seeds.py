"""A step's seed tells data ranks, batches and epochs apart and nothing else."""

import itertools

import torch

from parallel.seeds import begin_step, step_seed


def test_every_batch_of_every_data_rank_has_a_seed_of_its_own():
    keys = list(itertools.product((0, 1, 2**40), range(4), range(50), range(16)))
    assert len({step_seed(*key) for key in keys}) == len(keys)
    assert all(0 <= step_seed(*key) < 2**63 for key in keys)


def test_a_step_draws_the_same_numbers_whatever_was_drawn_before():
    begin_step(0, 1, 2, 3)
    first = torch.rand(4)
    torch.rand(100)
    begin_step(0, 1, 2, 3)
    assert torch.equal(torch.rand(4), first)
    begin_step(0, 1, 2, 4)
    assert not torch.equal(torch.rand(4), first)
