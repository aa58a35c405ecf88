"""Solvers of dX/dt = u(X, t) from noise at t = 0 to data at t = 1 (Sec. 3.4.2)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from flow.loss import Velocity

OnStep = Callable[[int, Tensor], None]  # (steps done, current point), for progress and previews


@torch.no_grad()
def euler(
    velocity: Velocity,
    noise: Float[Tensor, "b ..."],
    times: Float[Tensor, " nodes"],
    on_step: OnStep | None = None,
) -> Float[Tensor, "b ..."]:
    """First-order steps through `times`, one evaluation each: the paper's sampler for video."""
    point = noise
    for done, (now, after) in enumerate(pairwise(times), start=1):
        time = now.to(point.device).expand(len(point))
        point = point + (after - now).item() * velocity(point, time)
        if on_step is not None:
            on_step(done, point)
    return point
