"""Which pixels about a face are the person's: by GrabCut from where the face is, which needs no weights.

GrabCut (Rother et al. 2004) learns the colours of person and background from a first guess and parts the
picture along its edges. The guess is the face's place: its middle and the neck are surely the person, what
lies about the head perhaps, the picture's sides and what is beyond the frame surely not.
"""

from abc import ABC, abstractmethod

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from curation.scores.face_crops import HEAD_ROOM, Cut, Square, reach_of, square
from curation.scores.faces import Face, view_of

CONTEXT = 2.2  # side of what a segmentation sees, over the longer side of the face's box
SIDE = 192  # pixels of that side for GrabCut: at 96 the cut is ragged, at 256 it takes twice as long
ROUNDS = 4  # of GrabCut
SEED = 0  # its first clusters of colours are drawn
# Ellipses about the middle of the face's box, in its widths and heights, y down: centre, half axes. The box
# goes from the brow's upper end to the chin.
FACE = (0.0, -0.10), (0.42, 0.55)
NECK = (0.0, 0.60), (0.20, 0.25)
SKULL = (0.0, -0.35), (0.30, 0.25)  # with the next two, behind the face of somebody who looks aside
HEAD = (0.0, -0.12), (0.85, 0.85)
HAIR = (0.0, -0.10), (1.00, 1.00)  # at most
BACK = 0.45  # widths by which the head's middle lies behind the face's in a profile
BELOW = 0.2  # heights under the middle from where on hair and clothes may be anywhere
SHOULDERS = (0.45, 1.6)  # half width at the chin, and how it grows with each height further down


class Segmentation(ABC):
    """Finds the person whose face is in the middle of a square."""

    side: int
    "Pixels of the squares that it takes"

    @abstractmethod
    def person(self, cut: Square) -> Bool[np.ndarray, "s s"]:
        """What is the person; ValueError where it cannot tell."""


class GrabCut(Segmentation):
    """The same square gives the same mask."""

    side = SIDE

    def person(self, cut: Square) -> Bool[np.ndarray, "s s"]:
        guess = first_guess(cut)
        background, person = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(SEED)
        bgr = cv2.cvtColor(cut.rgb, cv2.COLOR_RGB2BGR)
        cv2.grabCut(bgr, guess, None, background, person, ROUNDS, cv2.GC_INIT_WITH_MASK)  # pyright: ignore
        return (guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)


class Segmented(Cut):
    """Black outside the person's head, neck and what the square shows of the shoulders."""

    def __init__(self, segmentation: Segmentation):
        self.segmentation = segmentation

    def __call__(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int) -> UInt8[np.ndarray, "s s 3"]:
        return square(rgb, face, HEAD_ROOM, side).rgb * self.mask(rgb, face, side)[..., None]

    def mask(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face, side: int) -> Bool[np.ndarray, "s s"]:
        """What is kept of the square of `HEAD_ROOM`. The middle of the face is kept in any case."""
        wide = square(rgb, face, CONTEXT, self.segmentation.side)
        core = ellipse(wide, FACE) & wide.inside
        mask = one_piece((self.segmentation.person(wide) | core) & wide.inside, core)
        step = self.segmentation.side / side * reach_of(face, HEAD_ROOM) / reach_of(face, CONTEXT)
        middle = (self.segmentation.side - 1) / 2 - step * (side - 1) / 2
        place = np.array([[step, 0, middle], [0, step, middle]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(mask.astype(np.float32), place, (side, side), flags=flags) >= 0.5


def first_guess(cut: Square) -> UInt8[np.ndarray, "s s"]:
    """GrabCut's four marks: surely and perhaps background, surely and perhaps the person."""
    x, y = about_face(cut)
    below = y > BELOW
    shoulders = below & (np.abs(x) < np.maximum(SHOULDERS[0] + SHOULDERS[1] * (y - 0.45), 0))
    guess = np.full(cut.inside.shape, cv2.GC_BGD, np.uint8)
    back = -BACK * turn_of(cut)
    guess[below | ellipse(cut, HAIR, back)] = cv2.GC_PR_BGD
    guess[shoulders | ellipse(cut, HEAD, back)] = cv2.GC_PR_FGD
    guess[ellipse(cut, FACE) | ellipse(cut, NECK) | ellipse(cut, SKULL, back)] = cv2.GC_FGD
    guess[~cut.inside] = cv2.GC_BGD
    return guess


def turn_of(cut: Square) -> float:
    """How far the face is turned: 0 seen from the front, about 1 for a profile that looks to the right."""
    return float(np.clip(view_of(cut.face.landmarks)[0], -1, 1))


def about_face(cut: Square) -> tuple[Float[np.ndarray, "s s"], Float[np.ndarray, "s s"]]:
    """Place of each pixel about the middle, in widths and heights of the face's box, along its own axes: up
    goes from the mouth to the eyes."""
    side = len(cut.rgb)
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    up = cut.face.landmarks[:2].mean(axis=0) - cut.face.landmarks[3:].mean(axis=0)
    sin, cos = np.array([up[0], -up[1]]) / max(float(np.hypot(*up)), 1e-9)
    return (x * cos + y * sin) / cut.face.box[2], (y * cos - x * sin) / cut.face.box[3]


def ellipse(
    cut: Square, shape: tuple[tuple[float, float], tuple[float, float]], aside: float = 0.0
) -> Bool[np.ndarray, "s s"]:
    """The pixels in an ellipse of the face's own axes, moved `aside` by widths of its box."""
    (x, y), (middle, axes) = about_face(cut), shape
    return ((x - middle[0] - aside) / axes[0]) ** 2 + ((y - middle[1]) / axes[1]) ** 2 <= 1


def one_piece(mask: Bool[np.ndarray, "s s"], core: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "s s"]:
    """The piece of the mask that holds the most of the core, with its holes filled."""
    if not core.any():
        return mask
    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    piece = pieces == np.bincount(pieces[core & mask]).argmax() if (core & mask).any() else mask
    _, gaps = cv2.connectedComponents((~piece).astype(np.uint8), connectivity=4)
    open_gaps = np.unique(np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]]))
    return piece | ~np.isin(gaps, open_gaps)
