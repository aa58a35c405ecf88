"""JointLoader: batches of videos and batches of images in turn, for joint training (Sec. 3.1.1)."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from datamodules.loader import BatchLoader


class JointLoader:
    """Deals batches of two loaders, each an endless row of its own epochs: `share` of them are images.

    The turns are spread evenly and depend on the number of batches dealt alone: every rank has images at the
    same step, and a resumed run goes on in both. An epoch here is one of the videos, with images in it.
    """

    def __init__(self, videos: BatchLoader, images: BatchLoader, share: float) -> None:
        self._loaders = {"videos": videos, "images": images}
        self._share = Fraction(share).limit_denominator(1000)
        self._dealt = 0
        self._before_last = 0
        self._last = "videos"
        self._length = round(len(videos) / (1 - self._share))

    @property
    def waited(self) -> float:
        """Seconds that the caller spent waiting here."""
        return sum(loader.waited for loader in self._loaders.values())

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        rows = {name: _endless(loader) for name, loader in self._loaders.items()}
        for _ in range(self._length - self._dealt % self._length):
            self._last = "images" if self.is_image(self._dealt) else "videos"
            batch = next(rows[self._last])
            self._before_last, self._dealt = self._dealt, self._dealt + 1
            yield batch

    def is_image(self, batch: int) -> bool:
        """Whether batch number `batch` (from 0, over all epochs) is of images: the last of each round is."""
        return int((batch + 1) * self._share) > int(batch * self._share)

    def put_back(self) -> None:
        """The batch handed out last was not trained on: it comes again after a resume."""
        self._dealt = self._before_last
        self._loaders[self._last].put_back()

    def state_dict(self) -> dict[str, Any]:
        """How many batches were dealt, and where each loader is."""
        return {
            "dealt": self._dealt, **{name: loader.state_dict() for name, loader in self._loaders.items()},
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same data on the same number of ranks."""
        for name, loader in self._loaders.items():
            loader.load_state_dict(state[name])
        self._dealt = state["dealt"]


def _endless(loader: BatchLoader) -> Iterator[Any]:
    while True:
        yield from loader
