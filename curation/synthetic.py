"""Synthetic cross-pairs (Sec. 4.2.1): pictures of a clip's person that an image model made, kept where the
face is still that person's.

The paper prompts a personalised image model for other expressions, poses and light, and drops what has an
ArcFace cosine below 0.7. Which model makes the pictures is the user's affair: here is a folder of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from console import UserError
from curation.scores.face_pairs import view_difference
from curation.scores.faces import Detector, Recogniser, view_of
from curation.stage import Row

KINDS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})  # of files that are taken for pictures
NAMED = re.compile(r"([0-9a-f]+)(?:[._-].*)?$")  # a clip_id alone, or before a mark and anything


class Portrait(NamedTuple):
    """The one face of a picture."""

    embedding: Float[np.ndarray, " d"]
    view: tuple[float, float]


class Imported(NamedTuple):
    """What became of a folder."""

    rows: list[Row]
    "clip_id, reference (the picture's path in the folder), cosine and view (difference) of each that is kept"
    dropped: Counter
    "How many pictures for which reason"


Look = Callable[[UInt8[np.ndarray, "h w 3"]], list[Portrait]]


def looker(detector: Detector, recogniser: Recogniser) -> Look:
    """What finds the faces of a picture; more than one needs no embedding."""

    def look(rgb: UInt8[np.ndarray, "h w 3"]) -> list[Portrait]:
        found = detector.find(rgb)
        if len(found) > 1:
            return [Portrait(np.zeros(0, np.float32), (0.0, 0.0))] * len(found)
        return [Portrait(recogniser.embed(rgb, face), view_of(face.landmarks)) for face in found]

    return look


def synthetic_pairs(folder: Path, clips: Sequence[Row], look: Look, least: float) -> Imported:
    """The pictures of `folder` (CLIP_ID.png, CLIP_ID_anything.jpg, or in a folder CLIP_ID) whose face has a
    cosine of at least `least` with that of its clip; clips: rows with clip_id, face_embedding and face_view.

    A UserError says so where no picture is named after a clip.
    """
    known = {row["clip_id"]: row for row in clips if row["face_embedding"] is not None}
    rows: list[Row] = []
    dropped: Counter = Counter()
    paths = list(pictures_in(folder))
    for path in paths:
        clip = known.get(clip_of(path.relative_to(folder), known))
        reason, pair = _judge(path, clip, look, least)
        if pair is None:
            dropped[reason] += 1
        else:
            rows.append({**pair, "reference": path.relative_to(folder).as_posix()})
    if dropped[UNKNOWN] == len(paths):
        raise UserError(
            f"{folder} has {len(paths)} pictures and none is named after a clip that is kept and has a face. "
            "Name them CLIP_ID.png, CLIP_ID_anything.jpg or CLIP_ID/anything.png."
        )
    return Imported(sorted(rows, key=lambda row: (row["clip_id"], row["reference"])), dropped)


UNKNOWN = "of no clip that is kept and has a face"


def _judge(path: Path, clip: Row | None, look: Look, least: float) -> tuple[str, Row | None]:
    """Why a picture is dropped, or its pair."""
    if clip is None:
        return UNKNOWN, None
    content = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if picture is None:
        return "no picture", None
    found = look(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    if len(found) != 1:
        return "several faces" if found else "no face", None
    cosine = float(np.asarray(clip["face_embedding"], np.float32) @ found[0].embedding)
    if not cosine >= least:
        return "another person", None
    far = view_difference(np.array([found[0].view]), np.asarray(clip["face_view"]))[0]
    return "", {"clip_id": clip["clip_id"], "cosine": cosine, "view": float(far)}


def pictures_in(folder: Path) -> Iterator[Path]:
    """All pictures of a folder and its folders, in the order of their paths."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} of generated pictures.")
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in KINDS and path.is_file():
            yield path


def clip_of(path: Path, known: Mapping[str, Row]) -> str:
    """The clip of a picture: its name begins with the clip_id, or a folder has it for name; else \"\"."""
    for part in (path.stem, *reversed(path.parent.parts)):
        match = NAMED.match(part)
        if match and match[1] in known:
            return match[1]
    return ""
