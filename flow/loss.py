"""The flow-matching objective (Eq. 2)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from flow.path import STRAIGHT, Path, interpolate

Velocity = Callable[[Tensor, Tensor], Tensor]  # (point "b ...", time "b") -> velocity "b ..."


def flow_matching_loss(
    velocity: Velocity,
    data: Float[Tensor, "b ..."],
    noise: Float[Tensor, "b ..."],
    time: Float[Tensor, " b"],
    path: Path = STRAIGHT,
) -> Float[Tensor, " b"]:
    """`|| u(X_t, t) - V_t ||^2` of each sample, averaged over its elements so that no shape weighs more."""
    target = interpolate(data, noise, time, path)
    error = velocity(target.point, time) - target.velocity
    precise = error.to(torch.promote_types(error.dtype, torch.float32))
    return precise.square().flatten(1).mean(dim=1)
