"""Random numbers of a step: equal where a sample is shared, different where samples differ."""

import torch

MODULUS = 2**63 - 25  # the largest prime below what a generator takes as seed


class MicroBatches:
    """Numbers the micro-batches of a step. Epochs and their batches would not do: how many epochs Lightning
    counts depends on where a run was stopped."""

    def __init__(self) -> None:
        self._step, self._number = -1, 0

    def number(self, step: int) -> int:
        """Which micro-batch of `step` begins now, from 0."""
        self._number = self._number + 1 if step == self._step else 0
        self._step = step
        return self._number


def step_seed(seed: int, step: int, micro: int, data_rank: int) -> int:
    """A seed for one micro-batch of one data rank: processes of a cp or tp group have one data rank.

    It depends on nothing that was drawn before, so a resumed run draws what an undisturbed one does.
    """
    mixed = 0
    for part in (seed, step, micro, data_rank):
        mixed = (mixed * 6364136223846793005 + part + 1442695040888963407) % MODULUS
    return mixed


def begin_step(seed: int, step: int, micro: int, data_rank: int) -> None:
    """Seed torch's generators, of the processor and of the GPU, for one micro-batch."""
    torch.manual_seed(step_seed(seed, step, micro, data_rank))
