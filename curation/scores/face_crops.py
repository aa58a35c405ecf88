"""Reference pictures of a clip's person: faces cut out of frames spread over it (Sec. 4.2.1, paired data)."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from curation.footage import Observer, Seen
from curation.scores.faces import Detector, Face

ROOM = 1.4  # side of a cut over the longer side of the face's box
HEAD_ROOM = 1.8  # the same where the head is segmented: hair and neck too
OVAL = (0.6, 0.62)  # half axes of the oval, in widths and heights of the box: the whole chin and some hair
QUALITY = 95  # of the JPEG files


class Square(NamedTuple):
    """A square about a face, black beyond the frame."""

    rgb: UInt8[np.ndarray, "s s 3"]
    inside: Bool[np.ndarray, "s s"]
    "What the frame shows"
    face: Face
    "In pixels of the square, in whose middle it is"


class Cut(ABC):
    """How a reference picture is made."""

    @abstractmethod
    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int) -> UInt8[np.ndarray, "s s 3"]:
        """A picture of `side` pixels of a face in a frame."""


class Plain(Cut):
    """The square alone."""

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int) -> UInt8[np.ndarray, "s s 3"]:
        return square(rgb, face, ROOM, side).rgb


class Oval(Cut):
    """Black outside the oval of the face."""

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int) -> UInt8[np.ndarray, "s s 3"]:
        cut = square(rgb, face, ROOM, side)
        return cut.rgb * oval_mask(side, *cut.face.box[2:])[..., None]


class References(Observer):
    """Of the frames numbered in `indices`, those with exactly one face: its cut of `side` pixels as JPEG."""

    def __init__(self, detector: Detector, indices: Collection[int], side: int, cut: Cut):
        self.detector, self.indices, self.side, self.cut = detector, frozenset(indices), side, cut
        self.pictures: list[bytes] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            found = self.detector.find(seen.rgb)
            if len(found) == 1:
                self.pictures.append(jpeg(self.cut(seen.rgb, found[0], self.side)))

    def result(self) -> dict[str, Any]:
        return {"face_references": self.pictures}


def square(rgb: UInt8[np.ndarray, "h w 3"], face: Face, room: float, side: int) -> Square:
    """The square about a face that is `room` times the longer side of its box, in `side` pixels."""
    left, top, width, height = face.box
    reach = reach_of(face, room)
    x, y = round(left + width / 2 - reach / 2), round(top + height / 2 - reach / 2)
    cut, inside = np.zeros((reach, reach, 3), np.uint8), np.zeros((reach, reach), np.uint8)
    shown = rgb[max(y, 0) : max(y + reach, 0), max(x, 0) : max(x + reach, 0)]
    down, across = max(-y, 0), max(-x, 0)
    place = np.s_[down : down + shown.shape[0], across : across + shown.shape[1]]
    cut[place], inside[place] = shown, 1
    scale = side / reach
    cut = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    inside = cv2.resize(inside, (side, side), interpolation=cv2.INTER_NEAREST).astype(bool)
    box = ((left - x) * scale, (top - y) * scale, width * scale, height * scale)
    return Square(cut, inside, Face(box, (face.landmarks - (x, y)) * scale, face.score))


def reach_of(face: Face, room: float) -> int:
    """Side of the square about a face, in pixels of its frame."""
    return max(2, round(room * max(face.box[2:])))


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
