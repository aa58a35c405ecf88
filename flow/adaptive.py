"""Dormand-Prince 5(4) with a step size of its own for each sample (Sec. 3.4.2 compares it with Euler).

One step size for a batch would make a clip depend on what it is sampled beside.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from flow.loss import Velocity
from flow.solvers import OnStep, Tableau, advance

# Dormand and Prince 1980. The weights are the last row too, so a step's last slope is the next one's first.
WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0)
DOPRI5 = Tableau(
    nodes=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    rows=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        WEIGHTS[:-1],
    ),
    weights=WEIGHTS,
)
FOURTH_ORDER = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
ERROR = tuple(fifth - fourth for fifth, fourth in zip(WEIGHTS, FOURTH_ORDER, strict=True))

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0  # usual bounds of the change from one step to the next


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """When a step is small enough, and when to give up."""

    relative: float = 1e-3
    """Error of a step as a fraction of the values, as a root mean square over a sample."""
    absolute: float = 1e-3
    """Error of a step where the values are near zero; normalised latents have deviation 1."""
    first: float = 0.02
    """Length of the first step."""
    attempts: int = 1000
    """Steps, accepted or not, after which the solver gives up."""

    def __post_init__(self) -> None:
        positive = all(each > 0 for each in (self.relative, self.absolute, self.first))  # NaN is not
        if not positive or self.first > 1 or self.attempts < 1:
            raise ValueError(
                f"relative {self.relative} and absolute {self.absolute} must be above 0, first {self.first} "
                f"in (0, 1], attempts {self.attempts} at least 1."
            )


class GaveUpError(ValueError):
    """A sample needs more steps than the solver was to attempt."""


@torch.no_grad()
def dopri5(
    velocity: Velocity,
    noise: Float[Tensor, "b ..."],
    tolerance: Tolerance = Tolerance(),
    on_step: OnStep | None = None,
) -> Float[Tensor, "b ..."]:
    """From t = 0 to 1 in steps whose error stays within `tolerance`; six evaluations an attempt.

    Raises:
        GaveUpError: A sample needs more than `tolerance.attempts`, as where the velocity is not finite.
    """
    point, time = noise, noise.new_zeros(len(noise))
    step = torch.full_like(time, tolerance.first)
    slope = velocity(point, time)
    for attempt in range(1, tolerance.attempts + 1):
        slopes = [slope]
        wide = step.reshape(-1, *[1] * (noise.ndim - 1))
        for node, row in zip(DOPRI5.nodes[1:], DOPRI5.rows[1:], strict=True):
            slopes.append(velocity(advance(point, wide, row, slopes), time + node * step))
        after = advance(point, wide, WEIGHTS, slopes)
        excess = _excess(advance(torch.zeros_like(point), wide, ERROR, slopes), point, after, tolerance)
        good = excess <= 1
        time = torch.where(good, time + step, time)
        time = torch.where(1 - time < 1e-6, 1.0, time)  # what rounding leaves is no step
        point, slope = _rows(good, after, point), _rows(good, slopes[-1], slope)
        step = step * (SAFETY * excess.clamp(min=1e-10) ** -0.2).clamp(SHRINK, GROW)
        step = torch.minimum(step, 1 - time)  # a finished sample stands still
        if on_step is not None:
            on_step(attempt, point)
        if bool((time == 1).all()):
            return point
    behind = float(time.min())
    raise GaveUpError(
        f"dopri5 reached t = {behind:.3g} in {tolerance.attempts} attempts. Raise the tolerance "
        f"(relative {tolerance.relative:g}, absolute {tolerance.absolute:g}) or attempts, or take euler."
    )


def _excess(error: Tensor, before: Tensor, after: Tensor, tolerance: Tolerance) -> Float[Tensor, " b"]:
    """Root mean square of each sample's error in units of what is tolerated; a step is good up to 1."""
    scale = tolerance.absolute + tolerance.relative * torch.maximum(before.abs(), after.abs())
    excess = (error / scale).square().flatten(1).mean(dim=1).sqrt()
    return torch.nan_to_num(excess, nan=torch.inf)


def _rows(chosen: Bool[Tensor, " b"], new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *[1] * (new.ndim - 1)), new, old)
