"""Burnt-in text: word detection x word recognition score of a frame (Sec. 3.2.1, App. B.1), by the PP-OCR
models.

The models come with the `rapidocr` package and run in onnxruntime on one core: a detector that paints a
probability of text per pixel, and a recogniser that reads a straightened box. The paper keeps a clip when no
sampled frame reaches 0.6.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from curation.footage import Observer, Seen
from curation.scores.packaged import text_models

PIXEL = 0.3  # probability above which a pixel is text
UNCLIP = 1.6  # the detector learned shrunken boxes: grow by this times area over perimeter
MULTIPLE = 32  # the detector's sides
LINE = 48  # rows of the recogniser's input
WIDEST = 480  # columns of the recogniser's input: longer lines are read squeezed
SAME_PLACE = 0.5  # intersection over union of two boxes
SHORTEST_WORD = 2  # letters: single ones are read into every corner and wheel


class Word(NamedTuple):
    """A box that was found, with its part of the frame and its scores."""

    place: tuple[float, float, float, float]
    "Left, top, right and bottom in parts of the frame"
    area: float
    detection: float
    recognition: float
    letters: int


class TextReader:
    """The two models, loaded once per worker."""

    def __init__(self, short_side: int, box_score: float):
        self.short_side, self.box_score = short_side, box_score
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # frames of many sizes would make the arena grow
        models = text_models()
        self.detector, self.recogniser = (
            onnxruntime.InferenceSession(str(models[name]), options, providers=["CPUExecutionProvider"])
            for name in ("detector", "recogniser")
        )

    def read(self, picture: UInt8[np.ndarray, "h w 3"]) -> list[Word]:
        """The words of an RGB picture that the detector is sure of."""
        picture = self._sized(picture)
        chance = np.asarray(self.detector.run(None, {"x": _tensor(picture)})[0])
        words = []
        for box, detection in self._boxes(chance[0, 0]):
            recognition, letters = self._recognise(_straighten(picture, box))
            area = box[1][0] * box[1][1] / chance[0, 0].size
            words.append(Word(_place(box, chance.shape[2:]), area, detection, recognition, letters))
        return words

    def _sized(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        rows, columns = picture.shape[:2]
        scale = self.short_side / min(rows, columns)
        rows, columns = (max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in (rows, columns))
        return cv2.resize(
            picture, (columns, rows), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        )

    def _boxes(self, chance: Float[np.ndarray, "h w"]) -> Iterator[tuple[cv2.typing.RotatedRect, float]]:
        mask = cv2.dilate((chance > PIXEL).astype(np.uint8), np.ones((2, 2), np.uint8))
        for contour in cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]:
            centre, (width, height), angle = cv2.minAreaRect(contour)
            if min(width, height) < 3:  # pixels: specks
                continue
            inside = np.zeros_like(mask)
            cv2.fillPoly(inside, [contour], 1)
            score = float(chance[inside > 0].mean())
            if score >= self.box_score:
                grow = 2 * UNCLIP * width * height / (2 * (width + height))
                yield (centre, (width + grow, height + grow), angle), score

    def _recognise(self, line: UInt8[np.ndarray, "h w 3"]) -> tuple[float, int]:
        """Mean probability of the letters read and their number (greedy CTC: class 0 is the blank)."""
        columns = min(max(round(line.shape[1] * LINE / line.shape[0]), LINE), WIDEST)
        chance = np.asarray(self.recogniser.run(None, {"x": _tensor(cv2.resize(line, (columns, LINE)))})[0])
        best = chance[0].argmax(axis=1)
        letters = (best != 0) & (best != np.roll(best, 1))
        return (
            (float(chance[0].max(axis=1)[letters].mean()), int(letters.sum())) if letters.any() else (0.0, 0)
        )


class TextOverlay(Observer):
    """Largest score and text area over the frames numbered in `indices`."""

    def __init__(self, reader: TextReader, indices: Collection[int]):
        self.reader, self.indices = reader, frozenset(indices)
        self.score = self.area = 0.0
        self.frames: list[list[Word]] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            words = [word for word in self.reader.read(seen.rgb) if word.letters >= SHORTEST_WORD]
            self.frames.append(words)
            self.score = max(self.score, text_score(words))
            self.area = max(self.area, min(sum(word.area for word in words), 1.0))

    def result(self) -> dict[str, float | None]:
        return {"text_score": self.score, "text_area": self.area, "text_fixed": fixed_text(self.frames)}


def fixed_text(frames: list[list[Word]]) -> float | None:
    """Score of the surest word that lies in one place on every frame; None for a single frame."""
    if len(frames) < 2:
        return None
    staying = [
        min(text_score([word]), *(max(map(_score_at(word), others), default=0.0) for others in frames[1:]))
        for word in frames[0]
    ]
    return max(staying, default=0.0)


def _score_at(word: Word) -> Callable[[Word], float]:
    return lambda other: text_score([other]) if overlap(word.place, other.place) >= SAME_PLACE else 0.0


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / both if both > 0 else 0.0


def text_score(words: Iterable[Word]) -> float:
    """The largest detection x recognition of a frame's words; 0 without any."""
    long = [word for word in words if word.letters >= SHORTEST_WORD]
    return max((word.detection * word.recognition for word in long), default=0.0)


def _tensor(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "1 3 h w"]:
    """RGB to the models' BGR in [-1, 1]."""
    return np.ascontiguousarray(
        (picture[None, ..., ::-1].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
    )


def _place(box: cv2.typing.RotatedRect, size: Sequence[int]) -> tuple[float, float, float, float]:
    corners = cv2.boxPoints(box) / (size[1], size[0])
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return left, top, right, bottom


def _straighten(
    picture: UInt8[np.ndarray, "h w 3"], box: cv2.typing.RotatedRect
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The inside of a rotated box, lying down."""
    centre, (width, height), angle = box
    if angle > 45:  # minAreaRect gives 0 to 90 degrees: the reading direction is the flatter one
        width, height, angle = height, width, angle - 90
    size = (max(round(width), 2), max(round(height), 2))
    matrix = cv2.getRotationMatrix2D(centre, angle, 1.0)
    matrix[:, 2] += np.array(size) / 2 - np.array(centre)
    line = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.rot90(line) if line.shape[0] > 1.5 * line.shape[1] else line
