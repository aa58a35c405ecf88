"""Statistics of latents, per channel, from sums over any number of them: one place for every stage."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

SMALLEST_STD = 1e-6  # a channel that never moves is divided by this


class LatentStatistics(NamedTuple):
    """What `TAE.normalise` subtracts and divides by."""

    mean: Float[Tensor, " c"]
    std: Float[Tensor, " c"]


class LatentMoments:
    """Running sums in float64: how many values a channel had, their sum and that of their squares."""

    sums: Float64[Tensor, "3 c"]

    def __init__(self, channels: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros(3, channels, dtype=torch.float64, device=device)

    def add(self, latent: Float[Tensor, "b t c h w"]) -> None:
        """Count every position of a latent."""
        values = latent.double()
        powers = (torch.ones_like(values), values, values.square())
        self.sums += torch.stack([power.sum(dim=(0, 1, 3, 4)) for power in powers]).to(self.sums.device)

    def merge(self, sums: Float64[Tensor, "3 c"]) -> None:
        """Count what other moments have counted."""
        self.sums += sums.to(self.sums.device)

    @property
    def count(self) -> int:
        """Values of each channel."""
        return int(self.sums[0, 0].item())

    def statistics(self) -> LatentStatistics:
        """Mean and standard deviation of each channel."""
        if not self.count:
            raise ValueError("Not one latent was counted, so there are no statistics.")
        mean = self.sums[1] / self.sums[0]
        variance = (self.sums[2] / self.sums[0] - mean.square()).clamp(min=SMALLEST_STD**2)
        return LatentStatistics(mean.float(), variance.sqrt().float())

    def to_json(self) -> dict[str, Any]:
        """For a receipt."""
        return {"sum": self.sums[1].tolist(), "squares": self.sums[2].tolist(), "count": self.count}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LatentMoments":
        """Undo `to_json`."""
        moments = cls(len(values["sum"]))
        counts = [values["count"]] * len(values["sum"])
        moments.merge(torch.tensor([counts, values["sum"], values["squares"]], dtype=torch.float64))
        return moments
