"""Sharpness: the variance of the Laplacian of luma on the middle frame, where the paper's aesthetics look
too."""

import cv2

from curation.footage import Observer, Seen


class Sharpness(Observer):
    """Of the frame numbered `index`."""

    def __init__(self, index: int):
        self.index = index
        self.value: float | None = None

    def see(self, seen: Seen) -> None:
        if seen.index == self.index:
            self.value = float(cv2.meanStdDev(cv2.Laplacian(seen.gray, cv2.CV_32F))[1][0, 0] ** 2)

    def result(self) -> dict[str, float | None]:
        return {"sharpness": self.value}
