"""Motion vectors (App. B.1): how far the codec moved the picture, without computing a flow.

Codecs place their blocks on a grid of at most `CELL` pixels, so a field per cell says exactly what a field
per pixel would, at 1/64 of the work. A cell under several vectors (both references of a B-frame) takes the
mean of their lengths; one under none (intra blocks, skipped frames) counts as still. Frames without vectors
(I-frames) are left out.
"""

import av
import numpy as np
from jaxtyping import Float

from curation.footage import Observer, Seen

CELL = 8  # pixels


class MotionVectors(Observer):
    """Mean length over area and time in pixels per frame; None where the codec gives no vectors."""

    motion_vectors = True

    def __init__(self):
        self.means: list[float] = []

    def see(self, seen: Seen) -> None:
        field = cell_field(seen.frame)
        if field is not None:
            weight = cell_areas(seen.frame.height, seen.frame.width)
            self.means.append(float((field * weight).sum() / weight.sum()))

    def result(self) -> dict[str, float | None]:
        return {"mv_mean": float(np.mean(self.means)) if self.means else None}


def cell_field(frame: av.VideoFrame) -> Float[np.ndarray, "rows columns"] | None:
    """Mean vector length in each cell of a frame, in pixels; None where there are no vectors."""
    vectors = vectors_of(frame)
    if vectors is None:
        return None
    rows, columns = -(-frame.height // CELL), -(-frame.width // CELL)
    length = np.hypot(vectors["motion_x"], vectors["motion_y"]) / np.maximum(vectors["motion_scale"], 1)
    total, count = np.zeros(rows * columns), np.zeros(rows * columns)
    across, down = vectors["w"].astype(int), vectors["h"].astype(int)
    left, top = vectors["dst_x"] - across // 2, vectors["dst_y"] - down // 2  # dst is the centre of the block
    for size in np.unique(np.stack([across, down]), axis=1).T if len(vectors) else ():
        chosen = (across == size[0]) & (down == size[1])
        for dy in range(0, size[1], CELL):
            for dx in range(0, size[0], CELL):
                y, x = (top[chosen] + dy) // CELL, (left[chosen] + dx) // CELL
                inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
                cell = y[inside] * columns + x[inside]
                total += np.bincount(cell, length[chosen][inside], rows * columns)
                count += np.bincount(cell, minlength=rows * columns)
    return (total / np.maximum(count, 1)).reshape(rows, columns)


def cell_areas(height: int, width: int) -> Float[np.ndarray, "rows columns"]:
    """Pixels of the picture in each cell: the last row and column may reach past it."""
    rows = np.minimum(CELL, height - np.arange(0, height, CELL))
    columns = np.minimum(CELL, width - np.arange(0, width, CELL))
    return np.outer(rows, columns).astype(float)


def vectors_of(frame: av.VideoFrame) -> np.ndarray | None:
    """The decoder's vectors as a structured array, None where it gave none."""
    side = frame.side_data.get("MOTION_VECTORS")
    return None if side is None else side.to_ndarray()
