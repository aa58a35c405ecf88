"""The numbers of a report, as JSON types: everything that can be said of a run without a picture."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.captioners.accounts import accounts
from curation.clip import COLUMNS
from curation.config import Config
from curation.pipeline import Outcome
from curation.rules import Threshold
from curation.select import Verdicts
from curation.table import files

BINS = 40
TAILS = (0.002, 0.998)  # quantiles between which a histogram is drawn; what is beyond is in its end bins
MANY = 1000  # values from which they are cut off
AUDIO_CAPTIONS = 8  # shown, at most
ERRORS = 50  # files with their errors, at most


def numbers(config: Config, outcome: Outcome) -> dict[str, Any]:
    """All of them but the examples."""
    verdicts, clips = outcome.verdicts, outcome.clips
    counts = {
        split: sum(len(tar.rows) for tar in outcome.tars if tar.split == split) for split in ("train", "val")
    }
    return {
        "format": 1,
        "input": config.input,
        "subset": verdicts.subset.name,
        "files": file_facts(files(outcome.graph)),
        "clips": {"all": len(clips), "kept": int(verdicts.kept.sum()), **counts},
        "encode_errors": outcome.encode_errors,
        "funnel": [step._asdict() for step in verdicts.funnel],
        "histograms": histograms(clips, verdicts),
        "duplicates": _duplicates(clips),
        "captions": {"by": _counts(clips.column("captioner")), "spent": accounts(outcome.graph)},
        "faces": _faces(clips),
        "audio": _audio(clips),
        "cpu_seconds": outcome.cpu_seconds,
        "fingerprints": {name: node.fingerprint for name, node in outcome.graph.nodes.items()},
    }


def histograms(clips: pa.Table, verdicts: Verdicts) -> list[dict[str, Any]]:
    """One for each score that a threshold looks at, in the order of the rules."""
    found: dict[str, dict[str, Any]] = {}
    for rule in verdicts.subset.rules:
        if not isinstance(rule, Threshold) or not rule.bounds():
            continue
        lines = [
            {"at": bound, "says": f"{rule.SIGNS[key][0]} {bound:g}"} for key, bound in rule.bounds().items()
        ]
        if rule.score in found:
            found[rule.score]["lines"] += lines
        elif entry := _histogram(clips, rule.score, [line["at"] for line in lines]):
            found[rule.score] = {**entry, "lines": lines}
    return list(found.values())


def _histogram(clips: pa.Table, score: str, bounds: list[float]) -> dict[str, Any] | None:
    values = clips.column(score).cast(pa.float64()).drop_null().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, TAILS) if len(values) > MANY else (values.min(), values.max())
    near = [bound for bound in bounds if values.min() <= bound <= values.max()]  # each line is in the picture
    low, high = min(low, *near) if near else low, max(high, *near) if near else high
    counts, edges = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))
    beyond = int(((values < low) | (values > high)).sum())
    return {
        "score": score, "meaning": COLUMNS[score].meaning, "edges": edges.tolist(), "counts": counts.tolist(),
        "beyond": beyond,
    }  # fmt: skip


def file_facts(table: pa.Table) -> dict[str, Any]:
    """Of the rows of ingest: how many, how long, and which cannot be read."""
    broken = table.filter(table.column("ingest_error").is_valid())
    hashes = table.column("sha256").drop_null()
    shown = broken.slice(0, ERRORS).to_pylist()
    return {
        "all": len(table),
        "unreadable": len(broken),
        "exact_copies": len(hashes) - len(hashes.unique()),
        "hours": (pc.call_function("sum", [table.column("file_seconds")]).as_py() or 0.0) / 3600,
        "errors": [{"source": row["source"], "error": row["ingest_error"]} for row in shown],
    }


def _duplicates(clips: pa.Table) -> dict[str, int]:
    names = clips.column("duplicate_group").drop_null()
    return {"groups": len(names.unique()), "clips": len(names)}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value comes, in the order of their names."""
    pairs = column.drop_null().value_counts().to_pylist()
    return {one["values"]: one["counts"] for one in sorted(pairs, key=lambda one: one["values"])}


def _faces(clips: pa.Table) -> dict[str, int]:
    """Sampled frames by how many faces they show; {} where the faces stage did not run."""
    every = pc.call_function("list_flatten", [clips.column("face_counts")]).drop_null().to_numpy()
    if not len(every):
        return {}
    return {
        "frames": len(every), "none": int((every == 0).sum()), "one": int((every == 1).sum()),
        "more": int((every > 1).sum()),
    }  # fmt: skip


def _audio(clips: pa.Table) -> dict[str, Any]:
    """Clips by what is heard, and a few with their audio captions; {} where the audio stage did not run."""
    coverage = clips.column("audio_coverage").drop_null().to_numpy()
    if not len(coverage):
        return {}
    said = clips.select(["source", "start", "end", "loudness", "audio_caption"])
    captioned = said.filter(said.column("audio_caption").is_valid())
    return {
        "clips": len(coverage),
        "none": int((coverage == 0.0).sum()),
        "classes": _counts(clips.column("audio_class")),
        "captions": captioned.slice(0, AUDIO_CAPTIONS).to_pylist(),
    }
