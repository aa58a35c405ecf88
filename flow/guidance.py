"""Classifier-free guidance: away from what the model would do without the condition (Sec. 3.4)."""

import torch
from torch import Tensor

from flow.loss import Velocity

EVERYWHERE = (0.0, 1.0)


def guide(velocity: Velocity, scale: float, interval: tuple[float, float] = EVERYWHERE) -> Velocity:
    """The velocity `u_null + scale * (u_condition - u_null)`: scale 1 is the conditional model, 0 the null.

    `velocity` takes twice the batch, its first half under the condition, its second under the null or a
    negative one. Text for it is thus one batch too: the prompts, then as many negative prompts. At times
    outside `interval`, where guidance is off (Kynkaanniemi et al. 2024; not in the paper), it takes the
    conditional half alone, at half the cost.
    """
    first, last = interval

    def guided(point: Tensor, time: Tensor) -> Tensor:
        on = (first <= time) & (time <= last)
        if not bool(on.any()):
            return velocity(point, time)
        both = velocity(torch.cat([point, point]), torch.cat([time, time]))
        conditional, unconditional = both.chunk(2)
        scales = torch.where(on, scale, 1.0).to(point).reshape(-1, *[1] * (point.ndim - 1))
        return unconditional + scales * (conditional - unconditional)

    return guided
