"""caption: what people wrote beside the video comes first; else a describer that says only what was measured.

`caption_source` is in every row: nobody can take a measured description for one that a person or a model
wrote.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curation.stage import Row, RowStage


@dataclass(frozen=True, kw_only=True)
class Caption(RowStage):
    """Settings of the caption stage."""

    name: ClassVar[str] = "caption"
    reads: ClassVar[tuple[str, ...]] = (
        "sidecar", "start", "end", "seconds", "usable", "aspect", "brightness", "contrast",
        "sharpness", "frozen", "vmaf_motion", "shake", "drift_x", "drift_y",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = ("caption", "caption_source")

    overlap: float = 0.9
    "Part of a clip that a timed caption must span to describe it"
    describe: bool = True
    "Describe clips that nobody captioned by their measurements; else their caption stays empty"

    def open(self, root: Path) -> Callable[[Row], Row]:
        def caption(row: Row) -> Row:
            if not row["usable"]:
                return {}
            written = matching(json.loads(row["sidecar"] or "[]"), row["start"], row["end"], self.overlap)
            if written:
                return {"caption": written, "caption_source": "sidecar"}
            if self.describe and row["brightness"] is not None and row["vmaf_motion"] is not None:
                return {"caption": describe(row), "caption_source": "measured"}
            return {}

        return caption


def matching(captions: list[dict], start: float, end: float, least: float) -> str | None:
    """The caption that covers most of a clip, at least the part `least`; one without times covers the whole
    file."""
    best, covered = None, 0.0
    for item in captions:
        if item["start"] is None or item["end"] is None:
            part = 1.0
        else:
            part = (min(end, item["end"]) - max(start, item["start"])) / max(end - start, 1e-9)
        if part >= least and part > covered:
            best, covered = item["text"], part
    return best


def describe(row: Row) -> str:
    """One sentence from measurements alone; the words change at fixed values, so equal rows give equal
    sentences."""
    shape = "wide" if row["aspect"] > 1.05 else "tall" if row["aspect"] < 0.95 else "square"
    light = "dark" if row["brightness"] < 0.25 else "bright" if row["brightness"] > 0.65 else "evenly lit"
    detail = "soft" if row["sharpness"] < 60 else "finely detailed" if row["sharpness"] > 800 else "clear"
    return (
        f"A {shape}, {light}, {detail} shot of {row['seconds']:.1f} seconds with {_pace(row)}{_camera(row)}."
    )


def _pace(row: Row) -> str:
    if row["frozen"] > 0.9:
        return "no visible motion"
    pace = row["vmaf_motion"]
    return "slight motion" if pace < 1.0 else "calm motion" if pace < 4.0 else "fast motion"


def _camera(row: Row) -> str:
    if row["shake"] > 10:
        return " from an unsteady camera"
    across, down = row["drift_x"], row["drift_y"]
    if max(abs(across), abs(down)) < 0.1:  # of the frame per second
        return ""
    if abs(across) >= abs(down):
        return f" as the picture slides {'right' if across > 0 else 'left'}"
    return f" as the picture slides {'down' if down > 0 else 'up'}"
