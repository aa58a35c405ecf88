"""Colourfulness: spread and strength of opponent colours (Hasler and Suesstrunk 2003)."""

from collections.abc import Collection

import numpy as np

from curation.footage import Observer, Seen


class Colourfulness(Observer):
    """Mean over the frames numbered in `indices`; 0 for gray, about 100 for very colourful pictures."""

    def __init__(self, indices: Collection[int]):
        self.indices = frozenset(indices)
        self.values: list[float] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            blue, green, red = np.moveaxis(seen.bgr.astype(np.float32), 2, 0)
            across, along = red - green, (red + green) / 2 - blue
            spread = np.hypot(across.std(), along.std())
            self.values.append(float(spread + 0.3 * np.hypot(across.mean(), along.mean())))

    def result(self) -> dict[str, float | None]:
        return {"colourfulness": float(np.mean(self.values)) if self.values else None}
