"""Motion vectors (App. B.1): how far the codec moved the picture, without computing a flow.

Codecs place their blocks, of one or two cells along each side, on a grid of at most `CELL` pixels, so that a
field per cell says exactly what a field per pixel would, at 1/64 of the work. A cell under several vectors
(both references of a B-frame) takes the mean of their lengths; one under none (intra blocks, skipped frames)
counts as still. Frames without vectors (I-frames) are left out.
"""

from functools import lru_cache

import av
import numpy as np
from jaxtyping import Float

from curation.footage import Observer, Seen

CELL = 8  # pixels
PATCH = 256  # pixels: the area that must move somewhere for a clip to count as alive
MARGIN = 2  # cells round the grid: blocks of the last macroblocks reach past the picture


class MotionVectors(Observer):
    """Mean length over area and time in pixels per frame, and the least of it over any patch; None where the
    codec gives no vectors."""

    motion_vectors = True

    def __init__(self):
        self.total: Float[np.ndarray, "rows columns"] | None = None
        self.frames = 0
        self.shape = (0, 0)  # height, width

    def see(self, seen: Seen) -> None:
        field, shape = cell_field(seen.frame), (seen.frame.height, seen.frame.width)
        if field is None or (self.total is not None and shape != self.shape):
            return
        self.total = field if self.total is None else self.total + field
        self.frames, self.shape = self.frames + 1, shape

    def result(self) -> dict[str, float | None]:
        if self.total is None:
            return {"mv_mean": None, "mv_patch_min": None}
        field, areas = self.total / self.frames, cell_areas(*self.shape)
        return {
            "mv_mean": float((field * areas).sum() / areas.sum()),
            "mv_patch_min": float(patch_means(field, areas).min()),
        }


def cell_field(frame: av.VideoFrame) -> Float[np.ndarray, "rows columns"] | None:
    """Mean vector length in each cell of a frame, in pixels; None where there are no vectors.

    A vector is counted once, in the first cell of its block, apart for the four sizes of blocks; then the
    sums of each size are laid over the other cells that such blocks cover.
    """
    vectors = vectors_of(frame)
    if vectors is None:
        return None
    rows, columns = -(-frame.height // CELL), -(-frame.width // CELL)
    x, y = vectors["motion_x"].astype(np.float64), vectors["motion_y"].astype(np.float64)
    length = np.sqrt(x * x + y * y)
    length /= np.maximum(vectors["motion_scale"], 1)
    across, down = vectors["w"], vectors["h"]
    left, top = vectors["dst_x"].astype(np.int32), vectors["dst_y"].astype(np.int32)
    # by shifts, which take a fifth of the time of divisions by CELL
    left = np.clip((left - (across >> 1)) >> 3, -MARGIN, columns)  # dst is the centre of the block
    top = np.clip((top - (down >> 1)) >> 3, -MARGIN, rows)
    shape = (2, 2, rows + 2 * MARGIN, columns + 2 * MARGIN)
    size = (down > CELL) * np.intp(2) + (across > CELL)
    place = (size * shape[2] + top + MARGIN) * shape[3] + left + MARGIN
    total, count = (
        _laid(np.bincount(place, weights, np.prod(shape)).reshape(shape)) for weights in (length, None)
    )
    return total / np.maximum(count, 1)


def _laid(sums: Float[np.ndarray, "2 2 r c"]) -> Float[np.ndarray, "rows columns"]:
    """Sums by size of block (tall, wide) and first cell, spread over all cells of the blocks."""
    low, tall = sums
    both = low + tall
    both[:, 1:] += tall[:, :-1]  # the cell below
    narrow, wide = both
    field = narrow + wide
    field[:, 1:] += wide[:, :-1]  # the cell to the right
    return field[MARGIN:-MARGIN, MARGIN:-MARGIN]


@lru_cache(maxsize=8)
def cell_areas(height: int, width: int) -> Float[np.ndarray, "rows columns"]:
    """Pixels of the picture in each cell: the last row and column may reach past it."""
    rows = np.minimum(CELL, height - np.arange(0, height, CELL))
    columns = np.minimum(CELL, width - np.arange(0, width, CELL))
    return np.outer(rows, columns).astype(float)


def patch_means(
    field: Float[np.ndarray, "rows columns"], areas: Float[np.ndarray, "rows columns"]
) -> Float[np.ndarray, "r c"]:
    """Mean over the pixels of each patch of a grid; the last patch of a side takes in what is left of it."""
    starts = [np.arange(max(side // (PATCH // CELL), 1)) * min(PATCH // CELL, side) for side in field.shape]
    sums = (
        np.add.reduceat(np.add.reduceat(one, starts[0], axis=0), starts[1], axis=1)
        for one in (field * areas, areas)
    )
    total, area = sums
    return total / area


def vectors_of(frame: av.VideoFrame) -> np.ndarray | None:
    """The decoder's vectors as a structured array, None where it gave none."""
    side = frame.side_data.get("MOTION_VECTORS")
    return None if side is None else side.to_ndarray()
