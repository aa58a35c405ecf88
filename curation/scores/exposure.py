"""Brightness and contrast: mean and spread of luma over the sampled frames."""

from collections.abc import Collection

import numpy as np

from curation.footage import Observer, Seen


class Exposure(Observer):
    """Means over the frames numbered in `indices`."""

    def __init__(self, indices: Collection[int]):
        self.indices = frozenset(indices)
        self.means, self.spreads = [], []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            self.means.append(seen.gray.mean() / 255)
            self.spreads.append(seen.gray.std() / 255)

    def result(self) -> dict[str, float]:
        return {"brightness": float(np.mean(self.means)), "contrast": float(np.mean(self.spreads))}
