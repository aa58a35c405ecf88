"""A step's seed tells data ranks, steps and micro-batches apart and nothing else."""

import itertools

import torch

from parallel.seeds import MicroBatches, begin_step, step_seed


def test_every_micro_batch_of_every_data_rank_has_a_seed_of_its_own():
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


def test_micro_batches_are_numbered_within_their_step_wherever_a_run_begins():
    count = MicroBatches()
    assert [count.number(step) for step in (7, 7, 8, 8, 8, 9, 7)] == [0, 1, 0, 1, 2, 0, 0]
