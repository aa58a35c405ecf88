"""Solvers of dX/dt = u(X, t) from noise at t = 0 to data at t = 1, with given steps (Sec. 3.4.2, 6.1.4)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from flow.loss import Velocity

OnStep = Callable[[int, Tensor], None]  # (steps done, current point), for progress and previews


class Tableau(NamedTuple):
    """An explicit Runge-Kutta method: stage i looks at `nodes[i]` of a step, moved there by `rows[i]`."""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


EULER = Tableau((0.0,), ((),), (1.0,))  # the paper's for video
MIDPOINT = Tableau((0.0, 0.5), ((), (0.5,)), (0.0, 1.0))  # the paper's for audio
HEUN = Tableau((0.0, 1.0), ((), (1.0,)), (0.5, 0.5))

METHODS = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN}


@torch.no_grad()
def solve(
    velocity: Velocity,
    noise: Float[Tensor, "b ..."],
    times: Float[Tensor, " nodes"],
    method: Tableau = EULER,
    on_step: OnStep | None = None,
) -> Float[Tensor, "b ..."]:
    """One step of `method` between each two of `times`; a step costs one evaluation a stage."""
    point = noise
    for done, (now, after) in enumerate(pairwise(times.to(noise.device)), start=1):
        slopes: list[Tensor] = []
        for node, row in zip(method.nodes, method.rows, strict=True):
            time = torch.lerp(now, after, node).expand(len(point))
            slopes.append(velocity(advance(point, after - now, row, slopes), time))
        point = advance(point, after - now, method.weights, slopes)
        if on_step is not None:
            on_step(done, point)
    return point


def advance(
    point: Float[Tensor, "b ..."], step: Tensor, weights: Sequence[float], slopes: Sequence[Tensor]
) -> Float[Tensor, "b ..."]:
    """`point + step * sum_i weights_i slopes_i`; `step` is a number or of shape "b 1 ...".

    Weights of zero cost nothing.
    """
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            point = point + (step * weight) * slope
    return point
