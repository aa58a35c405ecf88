"""Content: groups, clusters and ranks belong to the clips, not to the order in which they came."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.clip import COLUMNS
from curation.stages.content import Content
from tests.curation.conftest import moving

CLIPS = 60


def clips() -> pa.Table:
    """What the stage reads of clips, every tenth a copy of the one before it and one without an embedding."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(CLIPS):
        shown = k - 1 if k % 10 == 9 else k
        tiny = np.stack(moving(shown % 12, 16, 32, 32))[[2, 7, 12]] // (1 + shown // 12)
        vector = np.random.default_rng(shown).normal(size=8).astype(np.float32)
        vector /= np.linalg.norm(vector)
        numbers = {name: float(rng.uniform(0.1, 1)) for name in ("sharpness", "border", "text_score")}
        shape = {
            "frames": 16,
            "short_side": 64,
            "width": 64,
            "height": 64,
            "file_seconds": 2.0,
            "file_fps": 8.0,
        }
        features = {
            "embedding": vector,
            "mirrored": vector[::-1],
            "signature": bytes([3, 32]) + tiny.tobytes(),
        }
        rows.append({"clip_id": f"{k:04x}", "bytes": 1000 + k, **numbers, **shape, **features})
    rows[5] |= {"embedding": None, "mirrored": None, "signature": None}
    schema = pa.schema([(name, COLUMNS[name].type) for name in Content.reads])
    return pa.Table.from_pylist(rows, schema)


def test_the_order_of_the_clips_changes_nothing():
    table, work = clips(), Content(clusters=5).open(Path())
    found = work(table)
    assert found.column("duplicate_group").null_count < CLIPS - 8
    assert len(set(found.column("cluster").to_pylist())) > 2
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(CLIPS)
        again = work(table.take(pa.array(order)))
        assert again.equals(found.take(pa.array(order)))


def test_a_clip_that_was_not_embedded_has_no_group_and_no_cluster():
    row = Content().open(Path())(clips()).slice(5, 1).to_pylist()[0]
    assert set(row.values()) == {None}


def test_copies_share_a_group_that_is_named_after_the_first():
    groups = Content().open(Path())(clips()).column("duplicate_group").to_pylist()
    assert [groups[9], groups[19]] == [groups[8], groups[18]] == ["0008", "0012"]
