"""What a run came to: report/curation.json for machines, and one static HTML page that opens without a
server.

Both hold the survival funnel in the paper's order, histograms with the thresholds drawn in, and example clips
that were kept and rejected, each with its reasons and with frames embedded as JPEG.
"""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jinja2 import Environment

from curation.captioners.accounts import accounts
from curation.config import Config
from curation.footage import frames_of, sample_indices
from curation.pipeline import Outcome
from curation.reduced import shrink
from curation.rules import Threshold
from curation.select import Verdicts
from curation.table import files
from storage import write_json, write_text

BINS = 40
THUMBNAIL = 96  # pixels of the longer side
FRAMES = 3  # of an example
AUDIO_CAPTIONS = 8  # shown, at most
PER_REASON = 2  # rejected examples of each rule, at most


def write_report(config: Config, outcome: Outcome) -> Path:
    """Write both files; the path of the page."""
    facts = gather(config, outcome)
    folder = Path(config.out) / "report"
    write_json(folder / "curation.json", facts)
    page = Environment(autoescape=True).from_string(_template()).render(facts)
    write_text(folder / "curation.html", page)
    return folder / "curation.html"


def gather(config: Config, outcome: Outcome) -> dict[str, Any]:
    """Everything that the report says, as JSON types."""
    verdicts, clips = outcome.verdicts, outcome.clips
    counts = {
        split: sum(len(tar.rows) for tar in outcome.tars if tar.split == split) for split in ("train", "val")
    }
    return {
        "format": 1,
        "input": config.input,
        "subset": verdicts.subset.name,
        "files": _files(outcome),
        "clips": {"all": len(clips), "kept": int(verdicts.kept.sum()), **counts},
        "encode_errors": outcome.encode_errors,
        "funnel": [step._asdict() for step in verdicts.funnel],
        "histograms": histograms(clips, verdicts),
        "examples": _examples(config, outcome),
        "duplicates": _duplicates(clips),
        "captions": {"by": _authors(clips), "spent": accounts(outcome.graph)},
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
        entry = found.get(rule.score) or _histogram(clips, rule.score)
        if entry:
            lines = [
                {"at": bound, "says": f"{rule.SIGNS[key][0]} {bound:g}"}
                for key, bound in rule.bounds().items()
            ]
            entry["lines"] += lines
            found[rule.score] = entry
    return list(found.values())


def _histogram(clips: pa.Table, score: str) -> dict[str, Any] | None:
    values = clips.column(score).cast(pa.float64()).drop_null().to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    counts, edges = np.histogram(values, bins=BINS)
    return {"score": score, "edges": edges.tolist(), "counts": counts.tolist(), "lines": []}


def _faces(clips: pa.Table) -> dict[str, int]:
    """Sampled frames by how many faces they show; {} where the faces stage did not run."""
    counts = [count for frames in clips.column("face_counts").drop_null().to_pylist() for count in frames]
    if not counts:
        return {}
    found = {"none": counts.count(0), "one": counts.count(1)}
    return {"frames": len(counts), **found, "more": len(counts) - sum(found.values())}


def _audio(clips: pa.Table) -> dict[str, Any]:
    """Clips by what is heard, and a few with their audio captions; {} where the audio stage did not run."""
    coverage = clips.column("audio_coverage").drop_null().to_pylist()
    if not coverage:
        return {}
    kinds = clips.column("audio_class").drop_null().to_pylist()
    said = clips.select(["source", "start", "end", "loudness", "audio_caption"])
    captioned = said.filter(said.column("audio_caption").is_valid())
    return {
        "clips": len(coverage),
        "none": coverage.count(0.0),
        "classes": {name: kinds.count(name) for name in sorted(set(kinds))},
        "captions": captioned.slice(0, AUDIO_CAPTIONS).to_pylist(),
    }


def _authors(clips: pa.Table) -> dict[str, int]:
    """Clips by who wrote their caption."""
    names = clips.column("captioner").drop_null().to_pylist()
    return {name: names.count(name) for name in sorted(set(names))}


def _files(outcome: Outcome) -> dict[str, Any]:
    table = files(outcome.graph).to_pylist()
    broken = [{"source": row["source"], "error": row["ingest_error"]} for row in table if row["ingest_error"]]
    hashes = [row["sha256"] for row in table if row["sha256"]]
    return {
        "all": len(table),
        "unreadable": len(broken),
        "exact_copies": len(hashes) - len(set(hashes)),
        "hours": sum(row["file_seconds"] or 0.0 for row in table) / 3600,
        "errors": broken[:50],
    }


def _examples(config: Config, outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    """Kept clips spread over the set, and a few of each first reason."""
    kept = np.flatnonzero(outcome.verdicts.kept)
    chosen = (
        kept[np.linspace(0, len(kept) - 1, min(config.examples, len(kept))).astype(int)] if len(kept) else []
    )
    rejected: dict[str, list[int]] = {}
    for row, reason in enumerate(outcome.verdicts.first()):
        if reason and len(rejected.setdefault(reason, [])) < PER_REASON:
            rejected[reason].append(row)
    return {
        "kept": [_example(outcome, int(row)) for row in chosen],
        "rejected": [_example(outcome, row) for rows in rejected.values() for row in rows],
    }


def _example(outcome: Outcome, row: int) -> dict[str, Any]:
    facts = outcome.clips.slice(row, 1).to_pylist()[0]
    keys = ("clip_id", "source", "start", "end", "caption", "caption_source", "captioner")
    shown = (
        "border",
        "text_score",
        "frozen",
        "slideshow",
        "vmaf_motion",
        "mv_mean",
        "shake",
        "sharpness",
        "cluster",
    )
    return {
        **{key: facts[key] for key in keys},
        "reasons": outcome.verdicts.reasons(row),
        "scores": {key: facts[key] for key in shown if facts[key] is not None},
        "frames": _thumbnails(outcome.graph.root, facts),
    }


def _thumbnails(root: Path, row: dict[str, Any]) -> list[str]:
    """Data URLs of a few frames; none where the clip cannot be decoded, which is what its row then says."""
    if row["start_pts"] is None:
        return []
    wanted, pictures = set(sample_indices(row["frames"], FRAMES)), []
    try:
        for index, frame in enumerate(frames_of(root / row["source"], row["start_pts"], row["end_pts"])):
            if index in wanted:
                pictures.append(_jpeg(shrink(frame.to_ndarray(format="rgb24"), THUMBNAIL)))
    except OSError:
        pass
    return pictures


def _jpeg(picture: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _duplicates(clips: pa.Table) -> dict[str, int]:
    names = clips.column("duplicate_group").drop_null().to_pylist()
    return {"groups": len(set(names)), "clips": len(names)}


def _template() -> str:
    return Path(__file__).with_name("report.html").read_text(encoding="utf-8")
