"""Cuts and dissolves by TransNet V2, a window of 100 frames at a time: memory does not grow with time."""

import cv2
import numpy as np
import torch
from jaxtyping import UInt8
from scenedetect import FrameTimecode

from curation.scores.transnet import HEIGHT, WIDTH, TransNet

WINDOW, STRIDE = 100, 50  # frames seen at once, and those in the middle whose answers count
EDGE = (WINDOW - STRIDE) // 2


class TransNetCuts:
    """A detector with the methods of PySceneDetect's; a shot begins after the last frame of a boundary."""

    def __init__(self, network: TransNet, threshold: float):
        self.network, self.threshold = network, threshold
        self.pictures: list[UInt8[np.ndarray, "27 48 3"]] = []
        self.times: list[FrameTimecode] = []
        self.inside = False  # of a boundary

    def process_frame(self, when: FrameTimecode, picture: UInt8[np.ndarray, "h w 3"]) -> list[FrameTimecode]:
        """Take in the next frame (BGR); the cuts that are sure now."""
        small = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[..., ::-1]
        if not self.pictures:
            self.pictures = [small] * EDGE
        self.pictures.append(small)
        self.times.append(when)
        return self._window() if len(self.pictures) == WINDOW else []

    def post_process(self, when: FrameTimecode) -> list[FrameTimecode]:
        """Cuts among the last frames."""
        found = []
        while self.times:
            self.pictures += [self.pictures[-1]] * (WINDOW - len(self.pictures))
            found += self._window()
        return found

    def _window(self) -> list[FrameTimecode]:
        frames = torch.from_numpy(np.stack(self.pictures))[None]
        with torch.inference_mode():
            sure = self.network(frames)[0, EDGE : EDGE + STRIDE].sigmoid() > self.threshold
        cuts = []
        for when, boundary in zip(self.times[:STRIDE], sure.tolist(), strict=False):
            if self.inside and not boundary:
                cuts.append(when)
            self.inside = boundary
        self.pictures, self.times = self.pictures[STRIDE:], self.times[STRIDE:]
        return cuts
