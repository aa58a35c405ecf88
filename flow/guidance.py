"""Classifier-free guidance: away from what the model would do without the condition (Sec. 3.4)."""

import torch
from torch import Tensor

from flow.loss import Velocity


def guide(velocity: Velocity, scale: float) -> Velocity:
    """The velocity `u_null + scale * (u_condition - u_null)`: scale 1 is the conditional model, 0 the null.

    `velocity` takes twice the batch, its first half under the condition, its second under the null or a
    negative one. Text for it is thus one batch too: the prompts, then as many negative prompts.
    """

    def guided(point: Tensor, time: Tensor) -> Tensor:
        both = velocity(torch.cat([point, point]), torch.cat([time, time]))
        conditional, unconditional = both.chunk(2)
        return unconditional + scale * (conditional - unconditional)

    return guided
