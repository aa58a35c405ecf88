"""A user's segmentation of people as an ONNX file: MODNet, U2-Net (human), BiRefNet and their like."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from console import UserError
from curation.scores.face_crops import Square
from curation.scores.head_masks import Segmentation
from curation.scores.onnx_model import Model

FREE = 512  # pixels of the input's side where the file leaves it open
KINDS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
NEEDED = "Needed is an export with one picture [1, 3, h, w] in and one mask [1, 1, h, w] out"
SLACK = 1e-3  # by which shares may leave 0 to 1


class PortraitModel(Segmentation):
    """Masks may be shares from 0 to 1, cut at a half, or logits, cut at 0. Of several outputs the first is
    the mask, as in U2-Net, whose others are coarser ones."""

    def __init__(self, path: Path, scale: Sequence[Sequence[float]]):
        """`scale`: mean and deviation of each colour; a picture from 0 to 1 goes in as (picture - mean) /
        deviation."""
        self.model, self.path = Model(path, "faces.segmenter"), path
        self.mean, self.deviation = (np.array(one, np.float32) for one in scale)
        self.rows, self.columns = self._size()
        self.side = max(self.rows, self.columns)
        try:
            self.mask(np.full((self.side, self.side, 3), 128, np.uint8))
        except ValueError as error:
            raise UserError(str(error)) from error
        except Exception as error:  # onnxruntime has no common class of its errors
            raise self._refused(
                f"fails on a picture of {self.columns} x {self.rows} pixels: {error}"
            ) from error

    def person(self, cut: Square) -> Bool[np.ndarray, "s s"]:
        mask = self.mask(cut.rgb)
        shares = mask.min() >= -SLACK and mask.max() <= 1 + SLACK
        if mask.min() >= -SLACK and not shares:
            raise ValueError(
                f"faces.segmenter: {self.path} gives numbers from {mask.min():.3g} to {mask.max():.3g}, "
                "neither shares from 0 to 1 nor logits about 0."
            )
        return cv2.resize(mask, (self.side, self.side)) > (0.5 if shares else 0.0)

    def mask(self, rgb: np.ndarray) -> Float[np.ndarray, "h w"]:
        """What the file gives for a picture; ValueError for what is no mask."""
        small = cv2.resize(rgb, (self.columns, self.rows), interpolation=cv2.INTER_AREA)
        ready = ((small / np.float32(255) - self.mean) / self.deviation).transpose(2, 0, 1)[None]
        mask = self.model.run(np.ascontiguousarray(ready, KINDS[self.model.kind()]))[0]
        if mask.ndim not in (3, 4) or any(size != 1 for size in mask.shape[:-2]):
            raise self._refused(f"gives {list(mask.shape)}")
        if not np.isfinite(mask).all():
            raise ValueError(f"faces.segmenter: {self.path} gives numbers that are not finite.")
        return mask.reshape(mask.shape[-2:]).astype(np.float32)

    def _size(self) -> tuple[int, int]:
        """Rows and columns of the input; UserError for one that is no picture."""
        takes = self.model.takes()
        if len(takes) != 1:
            raise self._refused(f"takes {len(takes)} inputs")
        shape = takes[0]
        if self.model.kind() not in KINDS:
            raise self._refused(f"takes {self.model.kind()}, not float numbers")
        if len(shape) == 4 and shape[3] == 3 and shape[1] != 3:
            raise self._refused(f"takes {shape}, its colours last")
        if len(shape) != 4 or (isinstance(shape[0], int) and shape[0] != 1) or shape[1] != 3:
            raise self._refused(f"takes {shape}")
        rows, columns = (size if isinstance(size, int) else None for size in shape[2:])
        return rows or columns or FREE, columns or rows or FREE

    def _refused(self, what: str) -> UserError:
        return UserError(f"faces.segmenter: {self.path} {what}. {NEEDED}; leave it empty for GrabCut.")
