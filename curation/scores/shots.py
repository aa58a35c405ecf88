"""Shot boundaries by PySceneDetect's detectors and others with their methods, fed with our own decode."""

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from jaxtyping import UInt8
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector, ContentDetector, ThresholdDetector

from curation.scores.colour_cuts import ColourCuts

LONGEST = 256  # pixels: PySceneDetect itself scales down to about this


class ShotFinder:
    """Collects the frame numbers at which a new shot begins; `detectors` are names, their cuts are united."""

    def __init__(
        self,
        detectors: tuple[str, ...],
        threshold: float,
        fps: float,
        shortest: int,
        transnet: Callable[[], Any] | None = None,
    ):
        makers = {
            "adaptive": lambda: AdaptiveDetector(min_scene_len=shortest),
            "content": lambda: ContentDetector(threshold=threshold, min_scene_len=shortest),
            "colour": ColourCuts,
            "transnet": transnet,
            "fade": lambda: ThresholdDetector(min_scene_len=shortest, add_final_scene=False),
        }
        self.detectors = [makers[name]() for name in detectors]
        self.fps, self.shortest = fps, shortest
        self.starts: set[int] = set()
        self.frames = 0

    def see(self, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Take in the next frame (BGR)."""
        when = FrameTimecode(self.frames, self.fps)
        for detector in self.detectors:
            self.starts.update(cut.frame_num for cut in detector.process_frame(when, picture))
        self.frames += 1

    def shots(self) -> list[tuple[int, int]]:
        """(first, end) frame numbers of the shots, half open, in order; cuts of two detectors that fall
        together within `shortest` frames count once."""
        end = FrameTimecode(self.frames, self.fps)
        for detector in self.detectors:
            self.starts.update(cut.frame_num for cut in detector.post_process(end))
        starts = [0]
        for start in sorted(self.starts):
            if self.shortest <= start - starts[-1] and start < self.frames:
                starts.append(start)
        return list(zip(starts, [*starts[1:], self.frames], strict=True))


def bgr(frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    """The frame as PySceneDetect wants it; a large one is converted at the small size only."""
    scale = max(frame.width / LONGEST, frame.height / LONGEST, 1.0)
    width, height = max(round(frame.width / scale), 1), max(round(frame.height / scale), 1)
    return frame.to_ndarray(format="bgr24", width=width, height=height)
