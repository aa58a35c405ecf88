"""Reference pictures of a clip's person: faces cut out of frames spread over it (Sec. 4.2.1, paired data)."""

from collections.abc import Collection
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from curation.footage import Observer, Seen
from curation.scores.faces import Detector, Face

ROOM = 1.4  # side of the cut over the longer side of the face's box
OVAL = (0.6, 0.62)  # half axes of the oval, in widths and heights of the box: the whole chin and some hair
QUALITY = 95  # of the JPEG files


class References(Observer):
    """Of the frames numbered in `indices`, those with exactly one face: its crop of `side` pixels as JPEG.

    `oval` blackens what lies outside the face, in place of a segmentation.
    """

    def __init__(self, detector: Detector, indices: Collection[int], side: int, oval: bool):
        self.detector, self.indices, self.side, self.oval = detector, frozenset(indices), side, oval
        self.pictures: list[bytes] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            found = self.detector.find(seen.rgb)
            if len(found) == 1:
                self.pictures.append(jpeg(crop(seen.rgb, found[0], self.side, self.oval)))

    def result(self) -> dict[str, Any]:
        return {"face_references": self.pictures}


def crop(rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int, oval: bool) -> UInt8[np.ndarray, "s s 3"]:
    """A square about the face, black beyond the frame and, with `oval`, outside the oval of the face."""
    left, top, width, height = face.box
    reach = max(2, round(ROOM * max(width, height)))
    x, y = round(left + width / 2 - reach / 2), round(top + height / 2 - reach / 2)
    cut = np.zeros((reach, reach, 3), np.uint8)
    inside = rgb[max(y, 0) : max(y + reach, 0), max(x, 0) : max(x + reach, 0)]
    down, across = max(-y, 0), max(-x, 0)
    cut[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    scale = side / reach
    cut = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return cut * oval_mask(side, width * scale, height * scale)[..., None] if oval else cut


def oval_mask(side: int, width: float, height: float) -> Bool[np.ndarray, "s s"]:
    """The oval of a face whose box has `width` and `height`, in the middle of a picture of `side` pixels."""
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    return (x / (OVAL[0] * width)) ** 2 + (y / (OVAL[1] * height)) ** 2 <= 1


def jpeg(rgb: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The bytes of a JPEG file."""
    _, content = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return content.tobytes()
