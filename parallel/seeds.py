"""Random numbers of a step: equal where a sample is shared, different where samples differ."""

import torch

MODULUS = 2**63 - 25  # the largest prime below what a generator takes as seed


def step_seed(seed: int, epoch: int, batch: int, data_rank: int) -> int:
    """A seed for one batch of one data rank: processes of a cp or tp group have one data rank.

    It depends on nothing that was drawn before, so a resumed run draws what an undisturbed one does.
    """
    mixed = 0
    for part in (seed, epoch, batch, data_rank):
        mixed = (mixed * 6364136223846793005 + part + 1442695040888963407) % MODULUS
    return mixed


def begin_step(seed: int, epoch: int, batch: int, data_rank: int) -> None:
    """Seed torch's generators, of the processor and of the GPU, for one batch."""
    torch.manual_seed(step_seed(seed, epoch, batch, data_rank))
