"""embed: features of a clip's frames, measured in the same decode as visual and motion; what content works
on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curation.footage import Observer, sample_indices
from curation.stage import FootageStage, Gated, Row
from storage import hash_file


@dataclass(frozen=True, kw_only=True)
class Embed(Gated, FootageStage):
    """Settings of the embed stage."""

    name: ClassVar[str] = "embed"
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    adds: ClassVar[tuple[str, ...]] = ("embedding", "mirrored", "signature")

    frames: int = 3
    "Frames sampled"
    size: int = 224
    "Pixels of each side of a frame when the backbone sees it"
    signature: int = 32
    "Pixels of each side of the tiny pictures that tell a copy from a look-alike"

    def weights(self) -> dict[str, str]:
        from importlib.metadata import version

        from curation.scores.packaged import backbone_weights

        return {"efficientnet_lite0": hash_file(backbone_weights()), "timm": version("timm")}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.features import Backbone, Features

        backbone = Backbone(self.size)

        def observers(row: Row) -> list[Observer]:
            return [Features(backbone, sample_indices(row["frames"], self.frames), self.signature)]

        return observers
