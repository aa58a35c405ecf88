"""Faces of a clip: found and embedded on one frame a second, to tell clips of one person (Sec. 4.2.1).

YuNet gives boxes and five landmarks, SFace or an ArcFace-like model of the user an embedding of the face that
the landmarks bring upright. Frames without a face and with several are counted, never skipped in silence.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
from jaxtyping import Float, UInt8

from console import UserError
from curation.footage import Observer, Seen
from curation.scores.face_tracks import people_of
from curation.scores.onnx_graph import node_kinds, trimmed

SIDE = 112  # pixels of an upright face, as all these models were trained on
UPRIGHT = np.array(  # where its landmarks are: eyes, nose, corners of the mouth, each from left to right
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
OVERLAP = 0.3  # of two boxes that are one face
MOST = 8  # faces of a frame that are embedded: of a crowd only the surest
HEADER = 8  # nodes of a model among which those that scale its pictures would be


class Face(NamedTuple):
    """One face of a frame, in pixels of that frame."""

    box: tuple[float, float, float, float]
    "Left, top, width, height"
    landmarks: Float[np.ndarray, "5 2"]
    "x and y of eyes, nose and corners of the mouth, each from left to right in the picture"
    score: float


class Detector:
    """YuNet. Pictures are scaled down to `side` pixels on the longer side."""

    def __init__(self, model: Path, side: int, score: float):
        cv2.setNumThreads(1)  # one worker = one core
        self.side = side
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns at each new model
        self.net = cv2.FaceDetectorYN.create(str(model), "", (side, side), score, OVERLAP, 5000)

    def find(self, rgb: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """The faces of a picture, surest first."""
        height, width = rgb.shape[:2]
        scale = min(1.0, self.side / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        self.net.setInputSize(size)
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        _, rows = self.net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        rows = rows[np.argsort(-rows[:, -1], kind="stable")].astype(float)
        rows[:, :14] *= np.tile([width / size[0], height / size[1]], 7)
        return [Face(tuple(row[:4]), row[4:14].reshape(5, 2), float(row[14])) for row in rows]


class Recogniser:
    """A model that embeds upright faces; loaded once per worker."""

    def __init__(self, model: Path, offset: float, scale: float):
        """Pictures (0 to 255) go in as (picture - `offset`) / `scale`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.offset, self.scale = offset, scale
        content = trimmed(model.read_bytes())
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def embed(self, rgb: UInt8[np.ndarray, "h w 3"], face: Face) -> Float[np.ndarray, " d"]:
        """The embedding of a face in a picture, of length 1."""
        upright = (upright_face(rgb, face.landmarks).astype(np.float32) - self.offset) / self.scale
        (found,) = np.asarray(self.session.run(None, {self.input: upright.transpose(2, 0, 1)[None]})[0])
        return (found / np.linalg.norm(found)).astype(np.float32)


def recogniser_of(pack: str) -> Recogniser:
    """SFace, which packages ship, for an empty `pack`; else the embedding model of an insightface pack."""
    from curation.scores.packaged import face_models

    if not pack:
        return Recogniser(face_models()["recogniser"], offset=0.0, scale=1.0)
    model = model_of_pack(Path(pack))
    scales_itself = {"Sub", "Mul"} <= set(node_kinds(model.read_bytes())[:HEADER])
    return Recogniser(model, 0.0, 1.0) if scales_itself else Recogniser(model, offset=127.5, scale=127.5)


@lru_cache
def model_of_pack(pack: Path) -> Path:
    """The one model of a folder (or the file itself) that maps one 112 x 112 face to one vector."""
    candidates = [pack] if pack.is_file() else sorted(pack.glob("*.onnx"))
    found = [path for path in candidates if _embeds_faces(path)]
    if len(found) != 1:
        raise UserError(
            f"faces.pack is {pack}, which has {len(found)} models of 112 x 112 faces among its "
            f"{len(candidates)} ONNX files. Give a folder with one, or the file itself."
        )
    return found[0]


def _embeds_faces(path: Path) -> bool:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            trimmed(path.read_bytes()), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has no common class of its errors
        raise UserError(f"faces.pack: {path} is no ONNX model: {error}") from error
    takes, gives = session.get_inputs(), session.get_outputs()
    square = len(takes) == 1 and list(takes[0].shape)[1:] == [3, SIDE, SIDE]
    return square and len(gives) == 1 and len(gives[0].shape) == 2


def upright_face(
    rgb: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "5 2"]
) -> UInt8[np.ndarray, "112 112 3"]:
    """The face turned, scaled and moved so that its landmarks come as near to `UPRIGHT` as they can."""
    return cv2.warpAffine(rgb, similarity(landmarks, UPRIGHT), (SIDE, SIDE))


def similarity(
    points: Float[np.ndarray, "n 2"], targets: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "2 3"]:
    """Rotation, scale and shift that bring `points` to `targets` with the least squared distance: of complex
    numbers, the line of regression. ValueError for points that are all one."""
    p, q = points @ (1, 1j), targets @ (1, 1j)
    spread = float((np.abs(p - p.mean()) ** 2).sum())
    if spread == 0:
        raise ValueError("all landmarks of a face are in one place")
    turn = (np.conj(p - p.mean()) * (q - q.mean())).sum() / spread
    shift = q.mean() - turn * p.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def view_of(landmarks: Float[np.ndarray, "5 2"]) -> tuple[float, float]:
    """How a face is turned and nods, from its landmarks alone, whatever its size and lean: where the nose is
    across the eyes' distance (0 from the front, about 0.5 above one eye), and how far down from the eyes to
    the mouth (about 0.5 from the front)."""
    left, right, nose, *mouth = landmarks @ (1, 1j)
    eyes, low = (left + right) / 2, (mouth[0] + mouth[1]) / 2
    across = right - left
    if across == 0 or low == eyes:
        raise ValueError("the landmarks of a face are in one place")
    return float(((nose - eyes) / across).real), float(((nose - eyes) / (low - eyes)).real)


@dataclass
class Sampled:
    """What one sampled frame shows."""

    count: int
    embedding: Float[np.ndarray, " d"] | None = None
    "Of its face, where it has exactly one"
    view: tuple[float, float] | None = None
    everyone: tuple[Float[np.ndarray, " d"], ...] = ()
    "Embeddings of its surest faces, `MOST` at most"


class Faces(Observer):
    """On the first frame and on the next one each time that `every` seconds have passed."""

    def __init__(self, detector: Detector, recogniser: Recogniser, every: float):
        self.detector, self.recogniser, self.every = detector, recogniser, every
        self.samples: list[Sampled] = []
        self.first: float | None = None

    def see(self, seen: Seen) -> None:
        now = seen.seconds
        self.first = now if self.first is None else self.first
        if now - self.first + 1e-6 < len(self.samples) * self.every:
            return
        found = self.detector.find(seen.rgb)
        everyone = tuple(self.recogniser.embed(seen.rgb, face) for face in found[:MOST])
        sample = Sampled(len(found), everyone=everyone)
        if len(found) == 1:
            sample.embedding = everyone[0]
            sample.view = view_of(found[0].landmarks)
        self.samples.append(sample)

    def result(self) -> dict[str, Any]:
        return summary(self.samples)


def summary(samples: list[Sampled]) -> dict[str, Any]:
    """The columns of a clip. Neighbours are compared where both have exactly one face."""
    counts = [sample.count for sample in samples]
    vectors = [sample.embedding for sample in samples]
    cosines = [float(a @ b) for a, b in pairwise(vectors) if a is not None and b is not None]
    found: dict[str, Any] = {
        "face_counts": counts,
        "face_rate": sum(count > 0 for count in counts) / len(counts) if counts else None,
        "single_face": sum(count == 1 for count in counts) / len(counts) if counts else None,
        "face_similarity": min(cosines, default=None),
        "face_embedding": None,
        "face_view": None,
    }
    people = people_of([sample.everyone for sample in samples])
    found["people"] = len({person for persons in people for person in persons})
    found["face_tracks"] = [
        person
        for persons, sample in zip(people, samples, strict=True)
        for person in [*persons, *[-1] * (sample.count - len(persons))]
    ]
    alone = [vector for vector in vectors if vector is not None]
    if alone:
        mean = np.mean(alone, axis=0)
        found["face_embedding"] = (mean / np.linalg.norm(mean)).astype(np.float32).tolist()
        views = [sample.view for sample in samples if sample.view is not None]
        found["face_view"] = np.median(views, axis=0).astype(np.float32).tolist()
    return found
