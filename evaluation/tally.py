"""Tally: what is known of one autoencoder's reconstructions; it adds up over batches and processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, TypeVar

import torch.distributed as dist
from torch import Tensor

from evaluation.comparison_table import ALL
from evaluation.metrics.frechet import Moments

Value = TypeVar("Value")


class Score(NamedTuple):
    """One clip and how well it came back."""

    resolution: str
    psnr: float
    ssim: float
    perceptual: float

    @property
    def measures(self) -> tuple[float, float, float]:
        """Without the resolution."""
        return self.psnr, self.ssim, self.perceptual


@dataclass
class Tally:
    """Scores of clips by their keys, features by resolution, and what the latents took."""

    scores: dict[str, Score] = field(default_factory=dict)
    frames: dict[str, Moments] = field(default_factory=dict)
    clips: dict[str, Moments] = field(default_factory=dict)
    elements: int = 0
    """Numbers in all latents."""
    pixels: int = 0
    """Pixels that they stand for."""
    timed_frames: int = 0
    seconds: float = 0.0

    def look(self, resolution: str, frames: Tensor, clips: Tensor | None) -> None:
        """Count features "n d" of frames and, where there are several, of clips."""
        _add(self.frames, {resolution: Moments.of(frames)})
        if clips is not None:
            _add(self.clips, {resolution: Moments.of(clips)})

    def merge(self, other: "Tally") -> None:
        """Count what another process did, too."""
        self.scores |= other.scores
        _add(self.frames, other.frames)
        _add(self.clips, other.clips)
        self.elements += other.elements
        self.pixels += other.pixels
        self.timed_frames += other.timed_frames
        self.seconds += other.seconds

    def gathered(self) -> "Tally":
        """The tally of all processes together, the same in each."""
        total = Tally()
        for part in gathered(self):
            total.merge(part)
        return total


def total(moments: Mapping[str, Moments], resolution: str) -> Moments | None:
    """The moments of one resolution, or of all together."""
    if resolution != ALL:
        return moments.get(resolution)
    whole = None
    for part in moments.values():
        whole = part if whole is None else whole.merged(part)
    return whole


def gathered(value: Value) -> list[Value]:
    """The values of all processes in the order of their ranks."""
    if not _several():
        return [value]
    values: list[Value | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # pyright: ignore[reportReturnType]


def first_here(keys: Sequence[str]) -> list[int]:
    """Places of the clips that no process of a lower rank holds at this step: each clip counts once.

    Ranks that share samples see the same ones, and a last round with too few for all repeats some.
    """
    before = set(chain(*gathered(list(keys))[: dist.get_rank()])) if _several() else set()
    return [place for place, key in enumerate(keys) if key not in before]


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _add(known: dict[str, Moments], new: Mapping[str, Moments]) -> None:
    for resolution, moments in new.items():
        known[resolution] = known[resolution].merged(moments) if resolution in known else moments
