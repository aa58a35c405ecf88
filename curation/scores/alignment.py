"""What is left between the tiny pictures of two clips when one lies as well as it can inside the other.

A cropped copy lies between pixels, at a size between those that were tried; its edges would differ as much as
another object's. The place and size are therefore refined by Gauss-Newton, for all pictures of a clip
together, and kept inside the larger picture: an object that stands elsewhere before a plain wall would need
more room. Many alignments are worked on at once: what a cut does not cover is masked, not cut off.
"""

import numpy as np
from jaxtyping import Bool, Float

ROUNDS = 5  # of Gauss-Newton
STEP = np.array([0.04, 1.0, 1.0], np.float32)  # most that a round moves: part of the size, pixels
STEADY = (
    10.0  # levels from which a pixel's difference pulls no harder: an object must not drag the background
)
SLACK = 0.25  # pixels by which a crop may seem to leave the picture that it is from
SMALLEST = 0.74  # part of each side that is looked for
WORST = 0.98  # quantile of the differences that must be small: an object is more than the rest

Places = Float[np.ndarray, "b 3"]
"""Where a smaller picture lies in a larger one: part of each side, left and top in pixels of the larger."""


def refined(whole: Float[np.ndarray, "b k s s"], cut: Float[np.ndarray, "b k s s"], start: Places) -> Places:
    """The places near `start` where gray pictures differ least in squares, large differences counted less."""
    count, _, side, _ = whole.shape
    places, grid = _inside(start.astype(np.float32), side), np.arange(side, dtype=np.float32)
    for _ in range(ROUNDS):
        mask = _covered(places, side)
        laid = _lay(cut, places)
        gap = _level(whole - laid, mask)
        down, right = np.gradient(laid, axis=(2, 3))
        middle = places[:, 1:] + (places[:, :1] * side / 2 - 0.5)
        x, y = (grid - middle[:, axis, None] for axis in (0, 1))
        grow = right * x[:, None, None, :] + down * y[:, None, :, None]
        slopes = np.stack([grow, right, down], axis=1).reshape(count, 3, -1)
        weight = mask[:, None] / np.maximum(1.0, np.abs(gap) / STEADY)
        pull = slopes * weight.reshape(count, 1, -1)
        square = (pull @ slopes.transpose(0, 2, 1)).astype(np.float64) + 1e-3 * np.eye(3)
        step = -np.linalg.solve(square, (pull @ gap.reshape(count, -1, 1)).astype(np.float64))
        step = np.clip(step[..., 0], -STEP, STEP)
        grown = places[:, :1] * step[:, :1]
        places = _inside(places + np.hstack([grown, step[:, 1:] - grown * side / 2]), side)
    return places


def residuals(
    whole: Float[np.ndarray, "b k c s s"], cut: Float[np.ndarray, "b k c s s"], places: Places
) -> Float[np.ndarray, " b"]:
    """A high quantile of the difference in any colour at those places, brightness made equal.

    The differences are averaged over 3 x 3 pixels with their signs first: what coding adds is gone then,
    another object is not.
    """
    count, pictures, colours, side, _ = whole.shape
    mask = _covered(places, side)
    flat = (count, pictures * colours, side, side)
    gap = _blurred(_level(whole.reshape(flat) - _lay(cut.reshape(flat), places), mask), mask)
    most = np.abs(gap).reshape(whole.shape).max(axis=2)
    return _quantile(most.reshape(count, -1), np.repeat(mask[:, None], pictures, 1).reshape(count, -1), WORST)


def _inside(places: Places, side: int) -> Places:
    """The nearest places that do not leave the larger picture."""
    part = np.clip(places[:, :1], SMALLEST, 1.0)
    return np.hstack([part, np.clip(places[:, 1:], -SLACK, side * (1 - part) + SLACK)])


def _lay(cut: Float[np.ndarray, "b k s s"], places: Places) -> Float[np.ndarray, "b k s s"]:
    """The pictures of cuts on the grid of the larger pictures; their edges go on outside."""
    columns, rows = (_reading(places, axis, cut.shape[-1])[:, None] for axis in (1, 2))
    return rows @ cut @ columns.transpose(0, 1, 3, 2)


def _reading(places: Places, axis: int, side: int) -> Float[np.ndarray, "b s s"]:
    """Weights that read a line of the cut, linearly between its pixels, at each pixel of the larger."""
    pixels = np.arange(side, dtype=np.float32)
    at = np.clip((pixels + 0.5 - places[:, axis, None]) / places[:, :1] - 0.5, 0, side - 1)
    return np.maximum(0.0, 1.0 - np.abs(at[:, :, None] - pixels)).astype(np.float32)


def _covered(places: Places, side: int) -> Bool[np.ndarray, "b s s"]:
    """The pixels of the larger picture whose centres lie between centres of the smaller one."""
    pixels = np.arange(side)
    low = places[:, 1:] + places[:, :1] / 2 - 0.5 - SLACK
    high = places[:, 1:] + places[:, :1] * (side - 0.5) - 0.5 + SLACK
    columns, rows = (
        (pixels >= low[:, axis, None]) & (pixels <= high[:, axis, None]) for axis in (0, 1)
    )  # fmt: skip
    return rows[:, :, None] & columns[:, None, :]


def _level(
    gap: Float[np.ndarray, "b k s s"], mask: Bool[np.ndarray, "b s s"]
) -> Float[np.ndarray, "b k s s"]:
    """Differences less their median in each picture: copies may be brightened."""
    count, pictures = gap.shape[:2]
    middle = _quantile(gap.reshape(count, pictures, -1), mask.reshape(count, 1, -1), 0.5)
    return gap - middle[:, :, None, None]


def _quantile(
    values: Float[np.ndarray, "*b n"], mask: Bool[np.ndarray, "*b n"], part: float
) -> Float[np.ndarray, "*b"]:
    """A quantile of what the mask holds in each row, linearly between two values."""
    ordered = np.sort(np.where(mask, values, np.float32(np.inf)), axis=-1)
    place = part * (mask.sum(axis=-1, keepdims=True) - 1)
    place = np.broadcast_to(place, (*ordered.shape[:-1], 1))
    low = np.floor(place).astype(np.int64)
    at, after = (np.take_along_axis(ordered, k, -1) for k in (low, np.ceil(place).astype(np.int64)))
    return (at + (after - at) * (place - low).astype(np.float32))[..., 0]


def _blurred(
    gap: Float[np.ndarray, "b k s s"], mask: Bool[np.ndarray, "b s s"]
) -> Float[np.ndarray, "b k s s"]:
    """Means over 3 x 3 pixels; at the edges of the mask, a rectangle, its inside is mirrored."""
    side = mask.shape[-1]
    pixels = np.arange(side)
    for axis, lines in ((2, mask.any(axis=2)), (3, mask.any(axis=1))):
        low, high = lines.argmax(axis=1)[:, None], side - 1 - np.flip(lines, 1).argmax(axis=1)[:, None]
        at = np.where(pixels < low, 2 * low - pixels, np.where(pixels > high, 2 * high - pixels, pixels))
        gap = np.take_along_axis(gap, np.expand_dims(at.clip(0, side - 1), (1, 5 - axis)), axis)
        wide = np.pad(gap, [(int(k == axis),) * 2 for k in range(4)], mode="reflect")
        first, second, third = (wide.take(range(k, k + side), axis) for k in range(3))
        gap = (first + second + third) / np.float32(3)
    return gap
