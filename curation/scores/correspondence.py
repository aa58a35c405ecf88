"""How well sound and picture belong together: cosine of their embeddings in one space (Sec. 6.2.1, 6.3).

The paper tells sounds of the scene from others by a model of its own (CAVTP), and measures its results by
ImageBind; no package has weights of either. The user names two ONNX files, towers of such a pair, which
prepare their inputs themselves, so that any pair fits: the image tower takes RGB pictures, float of 0 to 1,
[1, 3, h, w]; the sound tower takes mono sound at 16 kHz, full scale 1, [1, samples]. Both give [1, d].
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from console import UserError
from curation.footage import frames_of, sample_indices
from curation.reduced import quarter_turns, upright
from curation.scores.onnx_model import Model
from curation.sound import RATE
from curation.stage import Row

SIDE = 224  # pixels of a side, of an image tower that takes any size
SECONDS = 2.0  # of sound, of a sound tower that takes any length: ImageBind's


class Towers:
    """Both models, loaded once per worker."""

    def __init__(self, image: Path, sound: Path):
        self.image, self.sound = Model(image, "audio.image_tower"), Model(sound, "audio.sound_tower")
        height, width = _free(self.image, 4)[2:]
        (samples,) = _free(self.sound, 2)[1:]
        self.size = height or SIDE, width or SIDE
        self.samples = samples or round(SECONDS * RATE)
        blank = np.zeros((1, 3, *self.size), np.float32), np.zeros((1, self.samples), np.float32)
        seen, heard = self.image.run(blank[0])[0].size, self.sound.run(blank[1])[0].size
        if seen != heard:
            raise UserError(
                f"audio.image_tower gives {seen} numbers and audio.sound_tower {heard}; they are of no pair."
            )

    def cosine(
        self, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], sounds: Sequence[Float[np.ndarray, " n"]]
    ) -> float:
        """Of the mean embeddings of some RGB pictures and of some pieces of sound."""
        seen = _mean([self.image.run(_prepared(picture, self.size))[0] for picture in pictures])
        heard = _mean([self.sound.run(piece[None].astype(np.float32))[0] for piece in sounds])
        return float(seen @ heard)

    def score(self, path: Path, row: Row, samples: Float[np.ndarray, " n"], count: int) -> float | None:
        """Of `count` pictures spread over a clip and the sound around each; None for a clip without a
        frame."""
        pictures, pieces = [], []
        wanted = set(sample_indices(row["frames"], count))
        for index, frame in enumerate(frames_of(path, row["start_pts"], row["end_pts"])):
            if index in wanted:
                pictures.append(upright(frame.to_ndarray(format="rgb24"), quarter_turns(frame)))
                pieces.append(around(samples, (index + 0.5) / row["frames"], self.samples))
        return self.cosine(pictures, pieces) if pictures else None


def around(samples: Float[np.ndarray, " n"], at: float, length: int) -> Float[np.ndarray, " length"]:
    """`length` samples around the part `at` (0 to 1) of a clip, within it; a shorter clip is repeated."""
    if len(samples) < length:
        return np.resize(samples, length)
    start = round(at * len(samples) - length / 2)
    start = min(max(start, 0), len(samples) - length)
    return samples[start : start + length]


def _prepared(picture: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> Float[np.ndarray, "1 3 h w"]:
    """Scaled to cover the size, and its middle."""
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    fitted = max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height)
    shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    larger = cv2.resize(picture, fitted, interpolation=shrinks)
    top, left = (larger.shape[0] - height) // 2, (larger.shape[1] - width) // 2
    middle = larger[top : top + height, left : left + width]
    return (middle.astype(np.float32) / 255).transpose(2, 0, 1)[None]


def _mean(embeddings: Sequence[np.ndarray]) -> Float[np.ndarray, " d"]:
    """Of directions; length 1."""
    flat = [vector.ravel() for vector in embeddings]
    mean = np.mean([vector / max(float(np.linalg.norm(vector)), 1e-12) for vector in flat], axis=0)
    if not np.isfinite(mean).all() or not (length := float(np.linalg.norm(mean))):
        raise ValueError("a tower gave an embedding that is zero or no finite number")
    return mean / length


def _free(model: Model, rank: int) -> list[int | None]:
    """The shape of the one input of a tower; None for a length that is free."""
    shapes = model.takes()
    fits = len(shapes) == 1 and len(shapes[0]) == rank and model.kind() == "tensor(float)"
    if not fits or shapes[0][0] not in (1, *(one for one in shapes[0][:1] if not isinstance(one, int))):
        wanted = "[1, 3, h, w]" if rank == 4 else "[1, samples]"
        raise UserError(f"{model.name} takes {model.kind()} of shapes {shapes}; float {wanted} is needed.")
    return [one if isinstance(one, int) and one > 0 else None for one in shapes[0]]
