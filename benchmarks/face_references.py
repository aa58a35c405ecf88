"""How well segmented reference pictures keep the person and nothing else, and what they cost.

    python -m benchmarks.face_references                                 80 drawn people, half a minute
    python -m benchmarks.face_references --sheet sheet.png PICTURE ...   photographs and videos, to look at
    python -m benchmarks.face_references --segmenter model.onnx

Intersection over union with the true mask of drawn people in the square that is cut; the oval is the base.
The exit code is 1 where the mean of the segmentation is under 0.9.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from console import UserError, command
from curation.footage import Observer, Seen, sample_indices, watch
from curation.scores.face_crops import HEAD_ROOM, oval_mask, square
from curation.scores.faces import Detector, Face
from curation.scores.head_masks import GrabCut, Segmentation, Segmented
from curation.scores.packaged import face_models
from curation.scores.portrait_model import PortraitModel
from curation.stages.faces import SCALES, FaceScores
from evaluation.toy_world.faces import Pose, draw_identity, portrait, portrait_mask
from evaluation.toy_world.scene import BACKGROUNDS
from evaluation.toy_world.settings import Format

LEAST = 0.9
SIDE = FaceScores.reference_side
SHAPE = Format(width=480, height=360, frames=1, fps=8)
PICTURES = (".jpg", ".jpeg", ".png")
OF_VIDEO = 5  # frames
ACROSS = 6  # pairs of a sheet


class Overlap(NamedTuple):
    """Of one drawn person."""

    oval: float
    segmented: float
    seconds: float
    "Of a processor, for the segmentation"


def intersection_over_union(one: np.ndarray, other: np.ndarray) -> float:
    """Of two masks; 1 where both are empty."""
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else 1.0


def overlaps(people: int, seed: int, segmentation: Segmentation, detector: Detector) -> list[Overlap]:
    """Of drawn people in front of the backgrounds in turn; those that are not found are left out."""
    rng, found, cut = np.random.default_rng(seed), [], Segmented(segmentation)
    for number in range(people):
        person = draw_identity(rng)
        pose = Pose(*(float(value) for value in rng.uniform((-0.5, -0.2, -0.2), (0.5, 0.2, 0.2))))
        ground = BACKGROUNDS[number % len(BACKGROUNDS)], (float(rng.uniform(0, 5)), float(rng.uniform(0, 5)))
        picture = portrait(person, pose, ground, SHAPE)
        faces = detector.find(picture)
        if len(faces) != 1:
            continue
        colour = np.repeat(portrait_mask(person, pose, SHAPE)[..., None], 3, axis=2).astype(np.uint8)
        shown = square(colour * 255, faces[0], HEAD_ROOM, SIDE)
        truth = shown.rgb[..., 0] > 127
        began = time.process_time()
        mask = cut.mask(picture, faces[0], SIDE)
        seconds = time.process_time() - began
        oval = oval_mask(SIDE, *shown.face.box[2:])
        found.append(
            Overlap(intersection_over_union(oval, truth), intersection_over_union(mask, truth), seconds)
        )
    return found


class Faces(Observer):
    """Frames of a video with their faces."""

    def __init__(self, detector: Detector, frames: int):
        self.detector, self.indices = detector, frozenset(sample_indices(frames, OF_VIDEO))
        self.found: list[tuple[np.ndarray, Face]] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices:
            self.found += [(seen.rgb, face) for face in self.detector.find(seen.rgb)]

    def result(self) -> dict[str, object]:
        return {}


def faces_of(path: Path, detector: Detector) -> Iterator[tuple[np.ndarray, Face]]:
    """The faces of a photograph, or of frames spread over a video, each with its picture."""
    if path.suffix.lower() in PICTURES:
        bgr = cv2.imread(str(path))
        if bgr is None:
            raise UserError(f"{path} is no picture that OpenCV reads.")
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        yield from ((rgb, face) for face in detector.find(rgb))
        return
    counter = _Counter()
    watch(path, 0, 10**12, [counter])
    observer = Faces(detector, counter.frames)
    watch(path, 0, 10**12, [observer])
    yield from observer.found


class _Counter(Observer):
    """Counts frames."""

    frames = 0

    def see(self, seen: Seen) -> None:
        self.frames += 1

    def result(self) -> dict[str, object]:
        return {}


def sheet(paths: list[Path], segmentation: Segmentation, detector: Detector, target: Path) -> int:
    """Write a PNG of all faces, each beside its segmented cut; the number of faces."""
    cut, tiles = Segmented(segmentation), []
    for path in paths:
        for rgb, face in faces_of(path, detector):
            plain = square(rgb, face, HEAD_ROOM, SIDE).rgb
            tiles.append(np.concatenate([plain, cut(rgb, face, SIDE)], axis=1))
    if not tiles:
        raise UserError("There is no face in these files.")
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % min(ACROSS, len(tiles)))
    across = min(ACROSS, len(tiles))
    rows = [np.concatenate(tiles[at : at + across], axis=1) for at in range(0, len(tiles), across)]
    cv2.imwrite(str(target), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))
    return len(tiles)


def main() -> int:
    """Measure or draw; 1 where the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pictures", nargs="*", type=Path, help="photographs and videos, for --sheet")
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--segmenter", default="", help="ONNX file in place of GrabCut")
    parser.add_argument("--scale", default=FaceScores.segmenter_scale, choices=SCALES)
    parser.add_argument("--sheet", type=Path, help="PNG to write")
    options = parser.parse_args()
    detector = Detector(face_models()["detector"], FaceScores.side, FaceScores.score)
    given = Path(options.segmenter)
    segmentation = PortraitModel(given, SCALES[options.scale]) if options.segmenter else GrabCut()
    if options.sheet:
        print(f"{sheet(options.pictures, segmentation, detector, options.sheet)} faces in {options.sheet}")
        return 0
    found = overlaps(options.people, options.seed, segmentation, detector)
    table = Table("mask", "mean", "lowest tenth", "least", title=f"IoU of {len(found)} drawn people")
    for name in ("oval", "segmented"):
        each = [getattr(one, name) for one in found]
        table.add_row(
            name, *(f"{number:.3f}" for number in (np.mean(each), np.quantile(each, 0.1), min(each)))
        )
    Console(width=100, file=sys.stdout).print(table)
    print(f"{np.mean([one.seconds for one in found]):.3f} CPU-seconds a picture, segmented")
    return int(np.mean([one.segmented for one in found]) < LEAST)


if __name__ == "__main__":
    command(main)
