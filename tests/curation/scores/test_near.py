"""Near vectors are found exactly, or nearly all of them by cells; the k nearest by sorting."""

import numpy as np
import pytest

from curation.scores import duplicates
from curation.scores.duplicates import candidates
from curation.scores.near import Cells, Exact, nearest


def clustered(count: int, width: int = 32, concepts: int = 40, seed: int = 0) -> np.ndarray:
    """Unit vectors about some centres, a fifth of them near-copies of others."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(concepts, width))[rng.integers(concepts, size=count)]
    rows = rows + rng.normal(size=(count, width))
    copied = count // 5
    rows[:copied] = rows[copied : 2 * copied] + 0.2 * rng.normal(size=(copied, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def found_by(search, queries, similarity) -> dict[tuple[int, int], float]:
    return {
        (int(q), int(r)): float(c)
        for query, row, cosine in search.near(queries, similarity)
        for q, r, c in zip(query, row, cosine, strict=True)
    }


def test_the_exact_search_is_the_matrix_of_all_cosines():
    rows = clustered(1500)
    found = found_by(Exact(rows), rows[:1100], 0.8)
    cosines = rows[:1100] @ rows.T
    assert set(found) == set(zip(*map(np.ndarray.tolist, np.nonzero(cosines >= 0.8)), strict=True))
    assert all(cosine == pytest.approx(cosines[pair], abs=1e-5) for pair, cosine in found.items())


def test_cells_find_nothing_wrong_and_nearly_all():
    rows = clustered(3000)
    exact, cells = found_by(Exact(rows), rows, 0.9), found_by(Cells(rows), rows, 0.9)
    assert set(cells) <= set(exact)
    assert len(cells) >= 0.98 * len(exact) > 3500
    assert cells == found_by(Cells(rows), rows, 0.9)


def test_many_rows_are_searched_by_cells_and_give_the_same_candidates(monkeypatch):
    rows = clustered(2000)
    mirrored = rows[::-1].copy()
    exact = {pair[:2] for pair in candidates(rows, mirrored, 0.9)}
    monkeypatch.setattr(duplicates, "EXACT", 100)
    cells = {pair[:2] for pair in candidates(rows, mirrored, 0.9)}
    assert cells <= exact
    assert len(cells) >= 0.98 * len(exact)
    assert all(one < other for one, other in exact)


def test_the_nearest_are_sorted_and_of_equal_ones_the_first_is_taken():
    rows = clustered(200)
    rows[150] = rows[20]
    query, row, cosine = nearest(rows[[20, 3]], rows, 5)
    assert query.tolist() == [0] * 5 + [1] * 5
    assert row[:2].tolist() == [20, 150]
    assert row[5] == 3
    assert (np.diff(cosine[:5]) <= 0).all()
    assert set(row[5:].tolist()) == set(np.argsort(-(rows @ rows[3]))[:5].tolist())
    assert len(nearest(rows[:1], rows, 999).row) == 200
