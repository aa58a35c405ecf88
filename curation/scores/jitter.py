"""Jitter (App. B.1): cuts that PySceneDetect counts per second of a clip; frantic camera work looks like
cutting."""

import cv2
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from curation.footage import Observer, Seen, shrink

THRESHOLD = 27.0  # PySceneDetect's default; the paper names none
LONGEST = 256  # pixels


class Jitter(Observer):
    """Counts every cut, however short the shot: a minimum length would hide what this looks for."""

    def __init__(self, fps: float, seconds: float):
        self.fps, self.seconds = fps, seconds
        self.detector = ContentDetector(threshold=THRESHOLD, min_scene_len=0)
        self.cuts = 0

    def see(self, seen: Seen) -> None:
        picture = cv2.cvtColor(shrink(seen.rgb, LONGEST), cv2.COLOR_RGB2BGR)
        self.cuts += len(self.detector.process_frame(FrameTimecode(seen.index, self.fps), picture))

    def result(self) -> dict[str, float | None]:
        return {"shots_per_second": self.cuts / self.seconds if self.seconds > 0 else None}
