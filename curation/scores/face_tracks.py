"""Which face of which frame is whose: the people of a clip, and clips of one person (Sec. 4.2.1).

Within a clip, frames are a second apart, so that faces are told by embeddings and not by where they are.
Two faces of one frame are never one person.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from curation.scores.duplicates import Pair, groups
from curation.scores.near import Exact

SAME = 0.5  # cosine above which two faces are one person's: the paper's bound for neighbours

Faces = Sequence[Float[np.ndarray, " d"]]


def people_of(frames: Sequence[Faces], same: float = SAME) -> list[list[int]]:
    """The person of each face of each frame, from 0 by first appearance. Embeddings have length 1.

    Each frame's faces go to the people known so far so that the cosines with their means are largest in sum;
    a face that is near nobody is a new person. People who were seen apart and turn out to be near become one.
    """
    tracks: list[list[tuple[int, int]]] = []
    for number, faces in enumerate(frames):
        if not faces:
            continue
        cosines = np.array([[_mean(frames, track) @ face for track in tracks] for face in faces])
        pairs = zip(*linear_sum_assignment(-cosines), strict=True) if tracks else ()
        taken = {int(face): int(track) for face, track in pairs if cosines[face, track] > same}
        for face in range(len(faces)):
            if face in taken:
                tracks[taken[face]].append((number, face))
            else:
                tracks.append([(number, face)])
    while (nearest := _nearest(frames, tracks, same)) is not None:
        one, other = nearest
        tracks[one] = sorted(tracks[one] + tracks.pop(other))
    found = [[0] * len(faces) for faces in frames]
    for person, track in enumerate(sorted(tracks)):
        for number, face in track:
            found[number][face] = person
    return found


def _nearest(frames: Sequence[Faces], tracks: list, same: float) -> tuple[int, int] | None:
    """The two tracks that are nearest, if they are near and were never seen together."""
    best, pair = same, None
    for other in range(len(tracks)):
        for one in range(other):
            together = {number for number, _ in tracks[one]} & {number for number, _ in tracks[other]}
            cosine = float(_mean(frames, tracks[one]) @ _mean(frames, tracks[other]))
            if not together and cosine > best:
                best, pair = cosine, (one, other)
    return pair


def _mean(frames: Sequence[Faces], track: Sequence[tuple[int, int]]) -> Float[np.ndarray, " d"]:
    total = np.sum([frames[number][face] for number, face in track], axis=0)
    return total / max(float(np.linalg.norm(total)), 1e-12)


def identities(faces: Float[np.ndarray, "n d"], same: float) -> list[list[int]]:
    """Rows that are connected by cosines above `same`, each group sorted; every row is in one."""
    pairs = [
        Pair(int(query), int(row), float(cosine))
        for near in Exact(np.ascontiguousarray(faces, np.float32)).near(faces, same)
        for query, row, cosine in zip(*near, strict=True)
        if query < row
    ]
    joined = groups(len(faces), pairs)
    alone = sorted({*range(len(faces))} - {row for rows in joined for row in rows})
    return sorted([*joined, *([row] for row in alone)])
