"""Paths from noise to data, their velocities, and where on them training looks (Sec. 3.1.2).

The paper's is straight. The cosine path is that of the diffusion it is compared with in Table 8: v-prediction
with a noise schedule that ends in pure noise. Its v is the derivative by the angle, `pi / 2` times less than
the one by t: a model that predicts velocities on it is a diffusion model, and every solver samples from it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SIGMA_MIN = 1e-5  # width of the straight path at t = 1 (Sec. 3.1.2)


class Interpolant(NamedTuple):
    """A point of the path and the velocity there, both shaped as the data."""

    point: Tensor
    velocity: Tensor


class Shares(NamedTuple):
    """`X_t = data X_1 + noise X_0`, and the derivatives of both shares in t; each shaped as the time."""

    data: Tensor
    noise: Tensor
    data_slope: Tensor
    noise_slope: Tensor


class Path:
    """The straight path, `X_t = t X_1 + (1 - (1 - sigma_min) t) X_0`: noise at t = 0, data at t = 1."""

    def shares(self, time: Tensor) -> Shares:
        """What `X_t` is made of."""
        one = torch.ones_like(time)
        return Shares(time, 1 - (1 - SIGMA_MIN) * time, one, (SIGMA_MIN - 1) * one)

    def quantile(self, of: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Times at quantiles in (0, 1) of their distribution in training: the logit-normal."""
        return torch.sigmoid(torch.special.ndtri(of))

    def rank(self, time: Float[Tensor, " n"], mean: float = 0.0) -> Float[Tensor, " n"]:
        """The part of training times below each: undoes `quantile` where `mean` is 0."""
        return torch.special.ndtr(torch.logit(time) - mean)

    def draw(self, count: int, mean: float = 0.0) -> Float[Tensor, " count"]:
        """Times for training; `mean` moves their logits."""
        return draw_times(count, mean=mean)


class CosinePath(Path):
    """`X_t = sin(pi t / 2) X_1 + cos(pi t / 2) X_0`, of constant variance, with even times.

    Salimans and Ho 2022 (v-prediction), Nichol and Dhariwal 2021 (cosine schedule, here without offsets: the
    signal is zero at t = 0, as Lin et al. 2024 ask of any schedule).
    """

    def shares(self, time: Tensor) -> Shares:
        """What `X_t` is made of."""
        angle, rate = time * (math.pi / 2), math.pi / 2
        return Shares(angle.sin(), angle.cos(), rate * angle.cos(), -rate * angle.sin())

    def quantile(self, of: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Every time is as likely as the others."""
        return of

    def rank(self, time: Float[Tensor, " n"], mean: float = 0.0) -> Float[Tensor, " n"]:
        """The time itself; even times have no `mean`."""
        return time

    def draw(self, count: int, mean: float = 0.0) -> Float[Tensor, " count"]:
        """Times for training.

        Raises:
            ValueError: For a `mean`, which even times have not.
        """
        if mean:
            raise ValueError(f"The cosine path draws times evenly: time_mean must be 0; {mean:g} came.")
        return torch.rand(count)


STRAIGHT = Path()
PATHS = {"straight": STRAIGHT, "cosine": CosinePath()}


def interpolate(
    data: Float[Tensor, "b ..."],
    noise: Float[Tensor, "b ..."],
    time: Float[Tensor, " b"],
    path: Path = STRAIGHT,
) -> Interpolant:
    """Each sample's point at its time, and the derivative in t there."""
    share = path.shares(time.reshape(-1, *[1] * (data.ndim - 1)))
    return Interpolant(
        point=share.data * data + share.noise * noise,
        velocity=share.data_slope * data + share.noise_slope * noise,
    )


def data_at_end(
    point: Float[Tensor, "b ..."],
    velocity: Float[Tensor, "b ..."],
    time: Float[Tensor, " b"],
    path: Path = STRAIGHT,
) -> Float[Tensor, "b ..."]:
    """The data of which `point` and `velocity` are made at `time`: two equations in data and noise."""
    share = path.shares(time.reshape(-1, *[1] * (point.ndim - 1)))
    turn = share.data * share.noise_slope - share.data_slope * share.noise
    return (share.noise_slope * point - share.noise * velocity) / turn


def draw_times(
    count: int, generator: torch.Generator | None = None, mean: float = 0.0
) -> Float[Tensor, " count"]:
    """`count` times in (0, 1) from the logit-normal distribution of deviation 1; the paper's has mean 0.

    A negative `mean` looks at noisier points: where each token soon shows what it holds, what the tokens must
    agree on is decided near t = 0.
    """
    device = generator.device if generator is not None else None
    return torch.sigmoid(mean + torch.randn(count, generator=generator, device=device))
