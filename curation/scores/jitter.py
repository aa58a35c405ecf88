"""Jitter (App. B.1): cuts that PySceneDetect counts per second of a clip; frantic camera work looks like
cutting."""

from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from curation.footage import Observer, Seen

THRESHOLD = 27.0  # PySceneDetect's default; the paper names none


class Jitter(Observer):
    """Counts every cut, however short the shot: a minimum length would hide what this looks for."""

    def __init__(self, fps: float, seconds: float):
        self.fps, self.seconds = float(fps), seconds
        self.detector = ContentDetector(threshold=THRESHOLD, min_scene_len=0)
        self.cuts = 0

    def see(self, seen: Seen) -> None:
        self.cuts += len(self.detector.process_frame(FrameTimecode(seen.index, self.fps), seen.bgr))

    def result(self) -> dict[str, float | None]:
        return {"shots_per_second": self.cuts / self.seconds if self.seconds > 0 else None}
