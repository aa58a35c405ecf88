"""Clips near seeds: nearest first, whatever the order, from clips of the run and from other videos."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from console import UserError
from curation import neighbours, pipeline
from curation.clip import COLUMNS
from curation.neighbours import Seed, seeds_of
from curation.rules import Listed, Subset, read_subset
from curation.run import main
from curation.select import select


def table(count: int = 40, space: str = "embedding") -> pa.Table:
    """Clips with vectors of length 1; the last is the same file content as the first."""
    rows = np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[-1] = rows[0]
    columns = {
        "clip_id": [f"{k:04x}" for k in range(count - 1)] + ["0000"],
        "source": [f"{k}.mp4" for k in range(count)],
    }
    columns |= {name: rows.tolist() if name == space else [None] * count for name in ("embedding", "meaning")}
    return pa.table({name: pa.array(value, COLUMNS[name].type) for name, value in columns.items()})


@pytest.mark.parametrize("space", ["embedding", "meaning"])
def test_the_nearest_are_those_of_sorting_all_without_the_seed_and_its_copies(space):
    clips = table(space=space)
    seeds = seeds_of(["0007", "0.mp4"], clips, dict)
    found = neighbours.neighbours(seeds, clips, 5).to_pylist()
    vectors = np.array(clips.column(space).to_pylist())
    for name in ("0007", "0000"):
        rows = [row for row in found if row["seed"] == name]
        order = [k for k in np.argsort(-(vectors @ vectors[int(name, 16)])) if k not in (int(name, 16), 39)]
        if name == "0007":
            order = [k for k in np.argsort(-(vectors[:39] @ vectors[7])) if k != 7]
        assert [row["clip_id"] for row in rows] == [f"{k:04x}" for k in order[:5]]
        assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]


def test_the_order_of_clips_and_seeds_does_not_matter():
    clips = table()
    seeds = seeds_of(["0003", "0009"], clips, dict)
    found = neighbours.neighbours(seeds, clips, 4)
    turned = clips.take(pa.array(np.random.default_rng(1).permutation(40)))
    assert neighbours.neighbours(seeds[::-1], turned, 4).equals(found)
    few = neighbours.neighbours([Seed("x", seeds[0].vector)], clips.slice(0, 2), 9)
    assert len(few) == 2


def test_a_seed_that_is_nothing_is_named():
    with pytest.raises(UserError, match=r"'nothing\.mp4' is neither"):
        seeds_of(["nothing.mp4"], table(), dict)
    with pytest.raises(UserError, match="--stage embed"):
        seeds_of(["0000"], table(space="none"), dict)


def test_a_list_keeps_its_clips_and_no_others(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("0003\n\n 0005 \n")
    pq.write_table(pa.table({"clip_id": ["0003", "0005", "0005"]}), tmp_path / "names.parquet")
    for path in (names, tmp_path / "names.parquet"):
        rule = Listed(name="chosen", listed=str(path))
        assert np.flatnonzero(select(table(), Subset("s", (rule,))).kept).tolist() == [3, 5]
    with pytest.raises(UserError, match="no list of clips"):
        select(table(), Subset("s", (Listed(name="chosen", listed=str(tmp_path / "none.parquet")),)))


def test_the_command_finds_a_copy_of_a_video_from_elsewhere_and_a_subset_takes_the_list(
    config, serial, raw, tmp_path, capsys
):
    rules = tmp_path / "all.yaml"
    rules.write_text("rules: [{name: whole shot, score: usable, equals: true}]")
    settings = config(f"subset={rules}")
    given = ["nearest", "-c", "configs/curation/demo.yaml", "--input", settings.input, "--out", settings.out]
    for change in (f"subset={rules}", "unit=4", "visual.text_frames=1", "embed.size=32"):
        given += ["--set", change]
    with pytest.raises(UserError, match="--stage embed"):
        main([*given, "clip 1.mp4"])
    graph = pipeline.run_tables(settings, "embed", serial)
    elsewhere = tmp_path / "elsewhere.mp4"
    elsewhere.write_bytes((raw / "clip 3.mp4").read_bytes())
    assert main([*given, str(elsewhere), "clip 1.mp4", "--each", "2"]) == 0
    assert "among the 2 nearest of 2 seeds" in capsys.readouterr().out
    path = tmp_path / "out" / neighbours.FILE
    found = pq.read_table(path).to_pylist()
    assert [row["rank"] for row in found] == [1, 2, 1, 2]
    best = next(row for row in found if row["seed"] == str(elsewhere) and row["rank"] == 1)
    assert best["source"] == "clip 3.mp4"
    assert best["cosine"] == pytest.approx(1.0, abs=1e-4)
    assert "clip 1.mp4" not in {row["source"] for row in found if row["seed"] != str(elsewhere)}
    chosen = tmp_path / "chosen.yaml"
    chosen.write_text(f"rules: [{{name: near a seed, listed: {path}}}]")
    clips, verdicts = pipeline.judge(graph, read_subset(chosen))
    kept = clips.filter(pa.array(verdicts.kept)).column("clip_id").to_pylist()
    assert set(kept) == {row["clip_id"] for row in found}
    with pytest.raises(UserError, match="no video"):
        main([*given, str(rules)])
