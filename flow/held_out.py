"""The loss of held-out samples, at times and with noise of each one's own (Sec. 3.2.2; docs/decisions/0036).

Whichever batch, process or run a sample comes in, it is asked for at the same points of its path.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from flow.loss import Velocity, flow_matching_loss
from flow.path import STRAIGHT, Path


class Draws(NamedTuple):
    """Several noises and times for each sample of a batch."""

    noise: Float[Tensor, "k b ..."]
    time: Float[Tensor, "k b"]


class HeldOut(NamedTuple):
    """Losses of all samples at the first of their times, then at the second and so on; and these times."""

    losses: Float[Tensor, " kb"]
    times: Float[Tensor, " kb"]


def held_out_draws(names: Sequence[str], shape: Sequence[int], count: int, path: Path = STRAIGHT) -> Draws:
    """`count` noises of `shape`, and times, for each of the samples `names`, on the processor, float32.

    Time i is in the i-th of `count` equally likely parts of the training times; the name decides where in it.
    """
    noises, times = [], []
    for name in names:
        generator = torch.Generator().manual_seed(_seed(name))
        place = torch.rand(count, generator=generator)
        times.append(path.quantile((torch.arange(count) + place) / count))
        noises.append(torch.randn(count, *shape, generator=generator))
    return Draws(torch.stack(noises, dim=1), torch.stack(times, dim=1))


def held_out_losses(
    velocity: Velocity, data: Float[Tensor, "b ..."], names: Sequence[str], count: int, path: Path = STRAIGHT
) -> HeldOut:
    """Flow matching of the samples `names`, `count` times each, one pass of `velocity` for each time."""
    draws = held_out_draws(names, data.shape[1:], count, path)
    times = draws.time.to(data)
    losses = [
        flow_matching_loss(velocity, data, noise.to(data), time, path)
        for noise, time in zip(draws.noise, times, strict=True)
    ]
    return HeldOut(torch.cat(losses), times.flatten())


def _seed(name: str) -> int:
    """63 bits of a name's hash, in every process the same."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
