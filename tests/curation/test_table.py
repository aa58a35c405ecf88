"""The one file of scores is that of the run, or is made anew."""

import pyarrow.parquet as pq
import pytest

from console import UserError
from curation import pipeline, table
from curation.clip import COLUMNS
from curation.rules import SKIPPED


def test_the_file_holds_what_the_stages_hold_and_follows_them(config, serial, tmp_path):
    graph = pipeline.run_tables(config("visual.text_frames=0"), None, serial)
    out = tmp_path / "out"
    columns = ["clip_id", "short_side", "frozen", "single_face", SKIPPED]
    first = table.stored(graph, out, columns)
    whole = table.load(graph, table.score_columns(graph))
    assert first.column_names == columns
    for name in ("clip_id", "short_side", "frozen"):
        assert first.column(name).to_pylist() == whole.column(name).to_pylist()
    assert first.column("single_face").null_count == len(first)
    assert first.column("single_face").type == COLUMNS["single_face"].type
    made = (out / table.FILE).stat().st_mtime_ns
    table.stored(graph, out, columns)
    table.store(graph, out)
    assert (out / table.FILE).stat().st_mtime_ns == made
    (out / table.FILE).write_text("torn")
    table.store(graph, out)
    assert table.read(out / table.FILE, columns) == first
    changed = pipeline.run_tables(config("visual.text_frames=0", "motion.rows=32"), None, serial)
    table.stored(changed, out, columns)
    assert pq.read_schema(out / table.FILE).metadata[b"graph"].decode() == table.mark(changed)


def test_a_run_that_is_not_whole_has_nulls_and_no_file(config, serial, tmp_path):
    graph = pipeline.run_tables(config(), "split", serial)
    found = table.stored(graph, tmp_path / "out", ["clip_id", "frozen"])
    assert found.column("frozen").null_count == len(found) > 0
    assert not (tmp_path / "out" / table.FILE).exists()


def test_a_file_that_is_no_score_table_is_one_message(tmp_path):
    (tmp_path / "a.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="is no table of scores"):
        table.read(tmp_path / "a.parquet", None)
