"""visual: resolution, aspect, borders, burnt-in text, exposure and sharpness (Sec. 3.2.1, App. B.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from curation.footage import Observer, Seen, sample_indices
from curation.stage import FootageStage, Row
from storage import hash_file


@dataclass(frozen=True, kw_only=True)
class Visual(FootageStage):
    """Settings of the visual stage."""

    name: ClassVar[str] = "visual"
    reads: ClassVar[tuple[str, ...]] = ("width", "height", "pixel_aspect", "frames")
    adds: ClassVar[tuple[str, ...]] = (
        "short_side", "aspect", "border", "text_score", "text_area", "brightness", "contrast",
        "sharpness",
    )  # fmt: skip

    frames: int = 4
    "Frames sampled for borders and exposure"
    text_frames: int = 3
    "Frames read for text; 0 measures none (text_score and text_area stay empty)"
    text_side: int = 480
    "Pixels of the shorter side of a frame when it is read: larger finds smaller letters and costs more"
    text_box: float = 0.5
    "Least detection score of a text box"

    def weights(self) -> dict[str, str]:
        if not self.text_frames:
            return {}
        from curation.scores.packaged import text_models

        return {key: hash_file(path) for key, path in text_models().items()}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.borders import Borders
        from curation.scores.exposure import Exposure
        from curation.scores.sharpness import Sharpness
        from curation.scores.text import TextOverlay, TextReader

        reader = TextReader(self.text_side, self.text_box) if self.text_frames else None

        def observers(row: Row) -> list[Observer]:
            indices = sample_indices(row["frames"], self.frames)
            watching: list[Observer] = [Resolution(row), Borders(indices), Exposure(indices)]
            watching.append(Sharpness(row["frames"] // 2))
            if reader:
                watching.append(TextOverlay(reader, sample_indices(row["frames"], self.text_frames)))
            return watching

        return observers


class Resolution(Observer):
    """Known from ingest: nothing is looked at."""

    def __init__(self, row: Row):
        self.row = row

    def see(self, seen: Seen) -> None:
        pass

    def result(self) -> dict[str, Any]:
        width, height = self.row["width"], self.row["height"]
        return {"short_side": min(width, height), "aspect": width * self.row["pixel_aspect"] / height}
