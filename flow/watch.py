"""What a model sees by now: the data that the last velocity of a solver points at, for previews."""

import torch
from torch import Tensor

from flow.loss import Velocity
from flow.path import STRAIGHT, Path, data_at_end


class Watched:
    """A velocity that keeps its last evaluation; a preview from it costs no evaluation of its own."""

    def __init__(self, velocity: Velocity, path: Path = STRAIGHT) -> None:
        self._velocity, self._path = velocity, path
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    def __call__(self, point: Tensor, time: Tensor) -> Tensor:
        velocity = self._velocity(point, time)
        self._last = (point, velocity, time)
        return velocity

    def data(self) -> Tensor:
        """The current estimate of the data, shaped as the point.

        Raises:
            ValueError: Nothing was evaluated yet.
        """
        if self._last is None:
            raise ValueError(
                "The velocity was not evaluated yet: there is no estimate before the first step."
            )
        with torch.no_grad():
            return data_at_end(*self._last, self._path)
