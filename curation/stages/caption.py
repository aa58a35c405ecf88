"""caption: what people wrote beside the video comes first; then models, behind chat endpoints or in the
workers, if any are given; else a describer that says only what was measured (Sec. 3.2.1).

`caption_source` and `captioner` are in every row: nobody can take a measured description for one that a
person or a model wrote.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from console import UserError
from curation.captioners import describe
from curation.captioners.endpoint import Endpoint
from curation.captioners.local import LocalModel
from curation.stage import Metered, Row, RowStage, resource


@dataclass(frozen=True, kw_only=True)
class Caption(RowStage):
    """Settings of the caption stage."""

    name: ClassVar[str] = "caption"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = (
        "source", "sidecar", "clip_id", "start_pts", "end_pts", "start", "end", "seconds", "frames", "usable",
        "aspect", "brightness", "sharpness", "frozen", "vmaf_motion", "shake", "drift_x", "drift_y",
        "camera_motion", "camera_confidence",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = ("caption", "caption_source", "captioner")

    overlap: float = 0.9
    "Part of a clip that a timed caption must span to describe it"
    describe: bool = True
    "Describe clips that nobody captioned by their measurements; else their caption stays empty"
    mix: tuple[Endpoint, ...] = ()
    "Captioners at chat endpoints, each for its share by weight; the describer is not used with them"
    models: tuple[LocalModel, ...] = ()
    "Captioners that run in the workers, with shares beside those of `mix`"
    camera: float = 0.8  # not disclosed
    """Confidence from which the camera's motion stands before captions of models and of the describer;
    above 1 it never does"""
    answers: str = resource("")
    "Folder that keeps the answers of captioners as they come; empty for one in the folder of the run"

    def __post_init__(self):
        names = [one.name for one in self.writers]
        taken = {"people", describe.NAME, *(name for name in names if names.count(name) > 1)}
        if clash := taken & set(names):
            raise UserError(f"caption: the name {min(clash)!r} is taken; every captioner needs its own.")

    def settings(self) -> dict[str, Any]:
        identities = {key: [one.identity() for one in getattr(self, key)] for key in ("mix", "models")}
        return {**super().settings(), **identities}

    @property
    def writers(self) -> tuple[Endpoint | LocalModel, ...]:
        """All captioners, in the order of their shares."""
        return (*self.mix, *self.models)

    def longest(self, workers: int) -> float:
        """Seconds that one clip may take."""
        return max((one.longest(workers) for one in self.mix), default=0.0)

    def ready(self) -> None:
        """Fail now, not after hours of decoding, where a key is missing."""
        for one in self.mix:
            one.key()

    def opens_files(self) -> bool:
        return bool(self.writers)

    def open(self, root: Path) -> "Captioning":
        return Captioning(self, root)


class Captioning(Metered):
    """The captions of one worker process."""

    def __init__(self, stage: Caption, root: Path):
        from curation.captioners.asker import Asker

        self.stage = stage
        if stage.writers and not stage.answers:
            raise UserError("caption.answers must name the folder that keeps the answers of captioners.")
        store = Path(stage.answers) / "answers.sqlite"
        self.asker = Asker(stage.writers, root, store) if stage.writers else None

    def __call__(self, row: Row) -> Row:
        if not row["usable"]:
            return {}
        written = matching(json.loads(row["sidecar"] or "[]"), row["start"], row["end"], self.stage.overlap)
        if written:
            return {"caption": written, "caption_source": "sidecar", "captioner": "people"}
        if self.asker:
            text, name = self.asker.caption(row)
            return {"caption": self._prefixed(text, row), "caption_source": "model", "captioner": name}
        if self.stage.describe and row["brightness"] is not None and row["vmaf_motion"] is not None:
            text = self._prefixed(describe.describe(row), row)
            return {"caption": text, "caption_source": "measured", "captioner": describe.NAME}
        return {}

    def spent(self) -> dict[str, Any]:
        return {"captioners": self.asker.spent()} if self.asker else {}

    def _prefixed(self, text: str, row: Row) -> str:
        """The camera's motion, where it is sure, before the caption (Sec. 3.2.1)."""
        sure = row["camera_motion"] and (row["camera_confidence"] or 0.0) >= self.stage.camera
        return f"{row['camera_motion']}, {text}" if sure else text


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
