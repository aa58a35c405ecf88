"""Concept clusters (Sec. 3.2.1): k-means over the features of clips, near-equal clusters merged.

The paper samples a clip by 1/sqrt(size of its merged cluster); the size counts the clips that are still there
when the rule is applied, so the weight belongs to curation.select and only the cluster is stored.
"""

import faiss
import numpy as np
from jaxtyping import Float, Int

ROUNDS = 25  # of k-means


def cluster(features: Float[np.ndarray, "n d"], count: int, merge: float, seed: int) -> Int[np.ndarray, " n"]:
    """Merged cluster of each row. The order of the rows must not depend on how they were found."""
    faiss.omp_set_num_threads(1)  # sums in one order: the same clusters on every machine
    features = np.ascontiguousarray(features, np.float32)
    count = min(count, len(features))
    kmeans = faiss.Kmeans(
        features.shape[1], count, niter=ROUNDS, seed=seed, spherical=True, min_points_per_centroid=1
    )
    kmeans.train(features)
    _, nearest = kmeans.index.search(features, 1)
    return _merged(np.asarray(kmeans.centroids), merge)[nearest[:, 0]]


def _merged(centroids: Float[np.ndarray, "k d"], merge: float) -> Int[np.ndarray, " k"]:
    """Names of the clusters after those with a centroid cosine of at least `merge` became one."""
    unit = centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T >= merge
    name = np.arange(len(unit))
    changed = True
    while changed:  # the smallest name spreads through each connected group
        spread = np.where(alike, name[None], len(unit)).min(axis=1)
        changed = bool((spread < name).any())
        name = np.minimum(name, spread)
    return name
