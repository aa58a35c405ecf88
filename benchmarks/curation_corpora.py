"""What the benchmarks of curation run on: a million scores, and a small world with much to reject."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from curation.config import Config, load

SUBSET = [
    {"name": "size", "score": "short_side", "min": 200},
    {"name": "whole shot", "score": "usable", "equals": True},
    {"name": "no text on keyframes", "score": "key_text", "below": 0.75, "missing": "keep"},
    {"name": "readable", "measured": ["split", "visual", "motion", "embed"]},
    {"name": "no text", "score": "text_score", "below": 0.75},
    {"name": "no border", "score": "border", "max": 0.15},
    {"name": "no still", "score": "frozen", "max": 0.8},
    {"name": "no slideshow", "score": "slideshow", "max": 0.6},
    {"name": "no shake", "score": "shake", "max": 14},
]
CASCADE = [SUBSET[0], {"name": "no text on keyframes", "score": "key_text", "below": 0.75}]


def million_scores(path: Path, rows: int) -> None:
    """A score table for the subset 768px; each rule rejects about as much as in Table 38."""
    rng = np.random.default_rng(0)
    wide = rng.random(rows) < 0.28
    side = np.where(rng.random(rows) < 0.25, rng.integers(768, 2161, rows), rng.integers(240, 768, rows))
    long = side * 16 // 9
    copies = rng.random(rows) < 0.06
    group = rng.integers(0, rows // 40, rows)
    columns = {
        "clip_id": np.char.mod("%016x", rng.permutation(rows)),
        "source": np.char.mod("part/video-%07d.mp4", np.arange(rows) // 3),
        "file_seconds": rng.uniform(4, 120, rows),
        "width": np.where(wide, long, side),
        "height": np.where(wide, side, long),
        "aspect": np.where(wide, 16 / 9, 9 / 16),
        "usable": np.ones(rows, bool),
        "text_score": np.where(rng.random(rows) < 0.28, rng.uniform(0, 0.6, rows), rng.uniform(0.6, 1, rows)),
        "border": np.where(rng.random(rows) < 0.04, 0.2, 0.0),
        "seconds": rng.uniform(11.8, 16, rows),
        "vmaf_motion": rng.uniform(1.2, 20, rows),
        "mv_mean": rng.uniform(0.1, 7.5, rows),
        "shots_per_second": np.where(rng.random(rows) < 0.08, 1.0, 0.0),
        "frozen": rng.uniform(0, 0.55, rows),
        "slideshow": rng.uniform(0, 0.62, rows),
        "quality": rng.random(rows),
        "cluster": (rng.pareto(1.0, rows) * 10).astype(np.int64).clip(0, 20_000),
    }
    table = pa.table(columns)
    names = pa.array([f"{name:016x}" if copied else None for name, copied in zip(group, copies, strict=True)])
    table = table.append_column("duplicate_group", names)
    for stage in ("split", "visual", "motion", "embed", "caption"):
        table = table.append_column(f"{stage}_error", pa.nulls(rows, pa.string()))
    pq.write_table(table, path, compression="zstd")


def spoilt_world(folder: Path, clips: int) -> None:
    """Toy clips of 2 s at 24 frames a second, 60 % spoilt, as large and as small files."""
    from evaluation.toy_world.settings import Settings
    from evaluation.toy_world.write import make

    for name, side, seed in (("large", 256, 1), ("small", 128, 2)):
        shape = {"width": side, "height": side, "frames": 48, "fps": 24.0}
        make(Settings(clips=clips, seed=seed, spoilers=0.6, reels=0.0, stills=0.0, **shape), folder / name, 2)


def settings(source: Path, out: Path, cascade: bool) -> Config:
    """The demo's settings with the benchmark's subset, and its cascade or none."""
    subset = out.parent / "subset.yaml"
    subset.write_text(yaml.safe_dump({"rules": SUBSET}))
    changes = {"input": str(source), "out": str(out), "subset": str(subset), "mlflow": False, "workers": 1}
    if cascade:
        changes["cascade"] = CASCADE
    return load("configs/curation/demo.yaml", changes, ["visual.text_side=320", "keyframes.text_side=320"])
