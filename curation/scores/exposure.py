"""Brightness and contrast: mean and spread of luma over the sampled frames."""

from collections.abc import Collection

import cv2
import numpy as np

from curation.footage import Observer, Seen


class Exposure(Observer):
    """Means over the frames numbered in `indices`."""

    def __init__(self, indices: Collection[int]):
        self.indices = frozenset(indices)
        self.means, self.spreads = [], []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            mean, spread = cv2.meanStdDev(seen.gray)
            self.means.append(mean[0, 0] / 255)
            self.spreads.append(spread[0, 0] / 255)

    def result(self) -> dict[str, float]:
        return {"brightness": float(np.mean(self.means)), "contrast": float(np.mean(self.spreads))}
