"""The straight path from noise to data, its velocity, and where on it training looks (Sec. 3.1.2)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SIGMA_MIN = 1e-5  # width of the path at t = 1 (Sec. 3.1.2)


class Interpolant(NamedTuple):
    """A point of the path and the velocity there, both shaped as the data."""

    point: Tensor
    velocity: Tensor


def interpolate(
    data: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], time: Float[Tensor, " b"]
) -> Interpolant:
    """`X_t = t X_1 + (1 - (1 - sigma_min) t) X_0` and its derivative in t: noise at t = 0, data at t = 1."""
    t = time.reshape(-1, *[1] * (data.ndim - 1))
    return Interpolant(
        point=t * data + (1 - (1 - SIGMA_MIN) * t) * noise,
        velocity=data - (1 - SIGMA_MIN) * noise,
    )


def data_at_end(
    point: Float[Tensor, "b ..."], velocity: Float[Tensor, "b ..."], time: Float[Tensor, " b"]
) -> Float[Tensor, "b ..."]:
    """Where `velocity` leads in the time that is left: for the path's own, `X_1 + sigma_min X_0`."""
    return point + (1 - time).reshape(-1, *[1] * (point.ndim - 1)) * velocity


def draw_times(
    count: int, generator: torch.Generator | None = None, mean: float = 0.0
) -> Float[Tensor, " count"]:
    """`count` times in (0, 1) from the logit-normal distribution of deviation 1; the paper's has mean 0.

    A negative `mean` looks at noisier points: where each token soon shows what it holds, what the tokens must
    agree on is decided near t = 0.
    """
    device = generator.device if generator is not None else None
    return torch.sigmoid(mean + torch.randn(count, generator=generator, device=device))
