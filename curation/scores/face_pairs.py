"""Cross-paired references (Sec. 4.2.1): the same person in another clip, seen from another side.

A model that is trained on a reference from the clip itself learns to copy it, expression and light included.
The paper takes pairs from clips with different views of one scene; it gives no thresholds for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from console import UserError

BLOCK = 1024  # rows compared with all others at once


@dataclass(frozen=True, kw_only=True)
class CrossPairing:
    """Which two clips give a pair."""

    same: float = 0.5
    "The cosine of their faces must be above it; the paper's bound for one person within a clip"
    apart: float = 0.15
    "Least difference of their views (view_difference): about a turn of 0.3 radians"
    most: int = 5
    "References for one clip"
    generated: float = 0.7
    "Least cosine of the face of a generated picture with that of its clip; the paper drops those below"

    def __post_init__(self):
        if not -1 <= self.same < 1 or self.apart < 0 or self.most < 1:
            raise UserError("pairs: same must be in [-1, 1), apart at least 0 and most at least 1.")
        if not -1 <= self.generated <= 1:
            raise UserError(f"pairs.generated is {self.generated}; a cosine is from -1 to 1.")


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
    rules: CrossPairing,
) -> Iterator[CrossPair]:
    """For each row the references for it, surest first, `rules.most` at most.

    embeddings: of faces, of length 1; views: turn and nod (curation.scores.faces.view_of); clips: the clip_id
    of each row: copies of one clip are no pair. A row with a NaN, which is one without a face, has no pair.
    """
    if not len(embeddings) == len(views) == len(clips):
        raise ValueError(f"{len(embeddings)} embeddings, {len(views)} views and {len(clips)} clips")
    names = np.asarray(clips)
    for first in range(0, len(embeddings), BLOCK):
        cosines = embeddings[first : first + BLOCK] @ embeddings.T
        for k, cosine in enumerate(cosines):
            row = first + k
            far = view_difference(views, views[row])
            fits = (cosine > rules.same) & (far >= rules.apart) & (names != names[row])  # NaN fits nothing
            found = np.flatnonzero(fits)
            for other in found[np.argsort(-cosine[found], kind="stable")][: rules.most]:
                yield CrossPair(row, int(other), float(cosine[other]), float(far[other]))


def view_difference(
    views: Float[np.ndarray, "n 2"], view: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " n"]:
    """Distance of turn and nod, in distances of the eyes and of eyes and mouth."""
    return np.linalg.norm(views - view, axis=1)
