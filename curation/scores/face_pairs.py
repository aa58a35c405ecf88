"""Cross-paired references (Sec. 4.2.1): the same person in another clip, seen from another side.

A model that is trained on a reference from the clip itself learns to copy it, expression and light included.
The paper takes pairs from clips with different views of one scene; it gives no thresholds for them, and 0.7
for the identity of synthetic pictures.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from console import UserError

BLOCK = 1024  # rows compared with all others at once


class CrossPair(NamedTuple):
    """A clip, by its row, and the clip that its reference comes from."""

    clip: int
    reference: int
    cosine: float
    view: float
    "How far apart the two views are"


def cross_pairs(
    embeddings: Float[np.ndarray, "n d"],
    views: Float[np.ndarray, "n 2"],
    clips: Sequence[str],
    same: float,
    apart: float,
    most: int,
) -> Iterator[CrossPair]:
    """For each row the references for it, surest first, `most` at most.

    embeddings: of faces, of length 1; views: turn and nod (curation.scores.faces.view_of); clips: the clip_id
    of each row: copies of one clip are no pair. A pair has a cosine above `same` (one person) and views that
    are at least `apart` from each other. A row with a NaN, which is one without a face, has no pair.
    """
    if not len(embeddings) == len(views) == len(clips):
        raise ValueError(f"{len(embeddings)} embeddings, {len(views)} views and {len(clips)} clips")
    if not -1 <= same < 1 or apart < 0 or most < 1:
        raise UserError("Cross-pairs need a cosine in [-1, 1), a difference of at least 0 and one reference.")
    names = np.asarray(clips)
    for first in range(0, len(embeddings), BLOCK):
        cosines = embeddings[first : first + BLOCK] @ embeddings.T
        for k, cosine in enumerate(cosines):
            row = first + k
            far = view_difference(views, views[row])
            fits = (cosine > same) & (far >= apart) & (names != names[row])  # NaN fits nothing
            found = np.flatnonzero(fits)
            for other in found[np.argsort(-cosine[found], kind="stable")][:most]:
                yield CrossPair(row, int(other), float(cosine[other]), float(far[other]))


def view_difference(
    views: Float[np.ndarray, "n 2"], view: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " n"]:
    """Distance of turn and nod, in distances of the eyes and of eyes and mouth."""
    return np.linalg.norm(views - view, axis=1)


def true_to(
    reference: Float[np.ndarray, " d"], pictures: Float[np.ndarray, "n d"], least: float = 0.7
) -> list[int]:
    """The synthetic pictures, by their row, that still show the person: a cosine of at least `least`."""
    return [int(k) for k in np.flatnonzero(pictures @ reference >= least)]
