"""JointLoader: batches of videos and batches of images in turn, for joint training (Sec. 3.1.1)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from datamodules.loader import BatchLoader, moved

IMAGES = 1  # keeps the order, frames and crops of images apart from those of videos


class JointLoader:
    """Deals batches of two loaders, each an endless row of its own epochs: `share` of them are images.

    The turns are spread evenly and depend on the number of batches dealt alone: every rank has images at the
    same step, and a resumed run goes on in both. An epoch here is one of the videos, with images in it.
    """

    def __init__(self, videos: BatchLoader, images: BatchLoader, share: float) -> None:
        self._loaders = {"videos": videos, "images": images}
        self._share = Fraction(share).limit_denominator(1000)
        self._dealt = 0  # of all epochs; whose turn it is depends on it
        self._position = 0  # in this epoch
        self._before_last = (0, 0)
        self._last = "videos"
        self.shift = 0  # batches by which a loaded state moved this rank within the epoch
        self._length = round(len(videos) / (1 - self._share))

    @property
    def waited(self) -> float:
        """Seconds that the caller spent waiting here."""
        return sum(loader.waited for loader in self._loaders.values())

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        rows = {name: _endless(loader) for name, loader in self._loaders.items()}
        for _ in range(self._length - self._position):
            self._last = "images" if self.is_image(self._dealt) else "videos"
            batch = next(rows[self._last])
            self._before_last = (self._dealt, self._position)
            self._dealt, self._position = self._dealt + 1, (self._position + 1) % self._length
            yield batch

    def is_image(self, batch: int) -> bool:
        """Whether batch number `batch` (from 0, over all epochs) is of images: the last of each round is."""
        return int((batch + 1) * self._share) > int(batch * self._share)

    @property
    def position(self) -> int:
        """Batches of this epoch behind this rank."""
        return self._position

    @property
    def last(self) -> tuple[str, list[int]]:
        """Fingerprint of the data and numbers of the samples in the batch handed out last."""
        return self._loaders[self._last].last

    def put_back(self) -> None:
        """The batch handed out last was not trained on: it comes again after a resume."""
        self._dealt, self._position = self._before_last
        self._loaders[self._last].put_back()

    def state_dict(self) -> dict[str, Any]:
        """How many batches were dealt, and where each loader is."""
        return {
            "dealt": self._dealt,
            "position": self._position,
            "length": self._length,
            **{name: loader.state_dict() for name, loader in self._loaders.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same data. On another number of ranks an epoch has another number
        of batches, and we are as far in it in parts of the whole."""
        for name, loader in self._loaders.items():
            loader.load_state_dict(state[name])
        self._dealt = state["dealt"]
        self._position = round(state["position"] * self._length / state["length"]) % self._length
        self.shift = moved(state, self._position, self._length)


def _endless(loader: BatchLoader) -> Iterator[Any]:
    while True:
        yield from loader
