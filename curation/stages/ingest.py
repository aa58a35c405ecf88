"""ingest: what each file is, read from its packets (520 to 4,450 times real time on one core), its hash, and
what people say of it. A file that cannot be read is a row with an error.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curation.container import facts
from curation.listing import sidecar
from curation.stage import Row, RowStage
from storage import hash_file


@dataclass(frozen=True, kw_only=True)
class Ingest(RowStage):
    """Settings of the ingest stage."""

    name: ClassVar[str] = "ingest"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("source",)  # and what a list says: curation.listing.Item
    adds: ClassVar[tuple[str, ...]] = (
        "source", "sha256", "bytes", "container", "codec", "width", "height", "rotation",
        "pixel_aspect", "short_side", "aspect", "orientation", "file_fps", "vfr", "file_frames",
        "file_start", "file_seconds", "header_seconds", "time_base", "video_streams", "audio_streams",
        "audio", "audio_rate", "audio_channels", "audio_seconds", "audio_lag", "audio_fault", "sidecar",
        "sidecar_error", "listed",
    )  # fmt: skip

    whole: float = 0.98
    "Smallest part of the frames that the header promises that must be in the file; fewer is a truncated file"

    megapixels: float = 67.2
    """Largest frames, in millions of pixels, twice those of 8K: a small file can promise a picture that fills
    the memory"""

    def open(self, root: Path) -> Callable[[Row], Row]:
        def ingest(row: Row) -> Row:
            path = root / row["source"]
            if not path.stat().st_size:
                raise ValueError("the file is empty (0 bytes)")
            known = {"source": row["source"], "sha256": hash_file(path), "bytes": path.stat().st_size}
            return known | facts(path, self.whole, self.megapixels) | _said(path, row)

        return ingest


def _said(path: Path, row: Row) -> Row:
    """Captions by people: from a list, or from the file beside the video."""
    if row.get("caption"):
        return {"sidecar": json.dumps([{"start": None, "end": None, "text": row["caption"]}])}
    beside = Path(row["beside"]) if row.get("beside") else sidecar(path)
    return {} if beside is None else captions(beside)


def captions(beside: Path) -> Row:
    """What a caption file says. A bad one is noted; the video stays."""
    try:
        text = beside.read_text(encoding="utf-8-sig")
        spans = _spans(json.loads(text)) if beside.suffix == ".json" else [{"text": " ".join(text.split())}]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return {"sidecar_error": f"{beside.name}: {type(error).__name__}: {error}"}
    spans = [{"start": s.get("start"), "end": s.get("end"), "text": s["text"]} for s in spans if s["text"]]
    return {"sidecar": json.dumps(spans, ensure_ascii=False) if spans else None}


def _spans(content: dict) -> list[dict]:
    if "captions" in content:
        spans = content["captions"]
        return [
            {"start": float(s["start"]), "end": float(s["end"]), "text": str(s["text"]).strip()}
            for s in spans
        ]
    return [{"text": str(content["caption"]).strip()}]
