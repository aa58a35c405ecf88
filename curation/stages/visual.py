"""visual: borders, burnt-in text, exposure and sharpness (Sec. 3.2.1, App. B.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curation.footage import Observer, sample_indices
from curation.stage import FootageStage, Gated, Row
from storage import hash_file


@dataclass(frozen=True, kw_only=True)
class Visual(Gated, FootageStage):
    """Settings of the visual stage."""

    name: ClassVar[str] = "visual"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    adds: ClassVar[tuple[str, ...]] = (
        "border", "text_score", "text_area", "brightness", "contrast",
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
            watching: list[Observer] = [Borders(indices), Exposure(indices)]
            watching.append(Sharpness(row["frames"] // 2))
            if reader:
                watching.append(TextOverlay(reader, sample_indices(row["frames"], self.text_frames)))
            return watching

        return observers
