"""Times at which a sampler evaluates the velocity: linear and linear-quadratic (Sec. 3.4.2, Fig. 10)."""

import torch
from jaxtyping import Float
from torch import Tensor


def linear(steps: int) -> Float[Tensor, " nodes"]:
    """`steps` equal steps from 0 to 1: steps + 1 nodes."""
    _at_least_one(steps)
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64).float()


def linear_quadratic(steps: int = 50, emulated: int = 250) -> Float[Tensor, " nodes"]:
    """Imitate `emulated` linear steps with `steps`: the first half are exactly its first, the rest grow.

    The paper prints no formula. This is the form whose slope is continuous where the halves meet
    (docs/decisions): `t_i = i / N` for i < L, then `a i^2 + b i + c` through t_L = L / N with slope 1 / N and
    through t_S = 1, where S = `steps`, L = S // 2, N = `emulated`.
    """
    _at_least_one(steps)
    _finer(steps, emulated)
    half = steps // 2
    index = torch.arange(steps + 1, dtype=torch.float64)
    straight = index / emulated
    beyond = (index - half).clamp(min=0)
    bend = (1 - steps / emulated) / (steps - half) ** 2  # what the straight line lacks at the last node
    return (straight + bend * beyond.square()).float()


def linear_quadratic_flat(steps: int = 50, emulated: int = 250) -> Float[Tensor, " nodes"]:
    """The other public form, whose quadratic half starts flat: `L / N + (1 - L / N) (j / (S - L))^2`.

    It slows down where the halves meet and hurries at the end; docs/decisions say why it is not the default.
    """
    _at_least_one(steps)
    _finer(steps, emulated)
    half = steps // 2
    index = torch.arange(steps + 1, dtype=torch.float64)
    beyond = (index - half).clamp(min=0) / (steps - half)
    return (index.clamp(max=half) / emulated + (1 - half / emulated) * beyond.square()).float()


SCHEDULES = {
    "linear": linear,
    "linear-quadratic": linear_quadratic,
    "linear-quadratic-flat": linear_quadratic_flat,
}


def _at_least_one(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"A schedule needs at least 1 step; {steps} came.")


def _finer(steps: int, emulated: int) -> None:
    if emulated < steps:
        raise ValueError(
            f"linear-quadratic imitates a finer schedule: {steps} steps cannot imitate {emulated}. "
            "Lower the steps, raise the emulated steps, or take the linear schedule."
        )
