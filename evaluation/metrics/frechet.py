"""Frechet distance of two sets of features, each taken as a Gaussian: that of FID (Heusel et al. 2017), FVD.

A set is kept as its mean and a root R of its scatter, R'R = sum (x - mean)(x - mean)'. With roots the trace
of (S1 S2)^(1/2) is the sum of the singular values of R1 R2': no covariance is formed, no square root of a
product is taken, and a singular covariance (fewer samples than features) needs no offset on its diagonal.
docs/decisions/0015 says why.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from console import UserError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Number, mean and root of the scatter of a set of features, in float64 on the CPU."""

    count: int
    mean: Float[Tensor, " d"]
    root: Float[Tensor, "k d"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"]) -> "Moments":
        """The moments of the rows of `features`, which must be finite."""
        values = features.detach().to("cpu", torch.float64)
        if not values.isfinite().all():
            raise UserError("Features that are not finite came: the extractor or its input is broken.")
        mean = values.mean(dim=0) if len(values) else values.new_zeros(values.shape[1])
        return cls(count=len(values), mean=mean, root=values - mean)

    @property
    def full_rank(self) -> bool:
        """Whether there are enough samples for a covariance that is not singular."""
        return self.count > self.mean.numel()

    def merged(self, other: "Moments") -> "Moments":
        """The moments of both sets together."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        shift = (other.mean - self.mean) * sqrt(self.count * other.count / count)
        root = torch.cat([self.root, other.root, shift[None]])
        mean = self.mean + (other.mean - self.mean) * (other.count / count)
        return Moments(count=count, mean=mean, root=root).compact(limit=2)

    def compact(self, limit: int = 1) -> "Moments":
        """The same moments with d rows of root, where there are more than `limit` x d."""
        if len(self.root) <= limit * self.mean.numel():
            return self
        return Moments(count=self.count, mean=self.mean, root=torch.linalg.qr(self.root, mode="r").R)


def frechet_distance(first: Moments, second: Moments) -> float:
    """`|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))` with unbiased covariances.

    Exact for the samples given. Where a covariance is singular (`Moments.full_rank`) it is a distance within
    the few directions that the samples span, which differ between sets: larger than with more samples, and
    comparable between numbers of equal counts alone.
    """
    if min(first.count, second.count) < 2:
        raise UserError(
            f"A Frechet distance needs at least 2 samples on either side; {first.count} and {second.count} "
            "came. Evaluate on more clips."
        )
    if first.mean.shape != second.mean.shape:
        raise UserError(
            f"A Frechet distance compares features of one extractor; {first.mean.numel()} and "
            f"{second.mean.numel()} features came."
        )
    one, two = (side.compact().root / sqrt(side.count - 1) for side in (first, second))
    spread = one.square().sum() + two.square().sum() - 2 * torch.linalg.svdvals(one @ two.T).sum()
    return max(0.0, float((first.mean - second.mean).square().sum() + spread))  # rounding may fall below zero
