"""faces: how many faces a clip shows each second, whether they are one person's, and who (Sec. 4.2.1).

Runs only when it is named or when a rule of the subset is on its columns, as in pt2v: it needs the extra
`faces`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from console import UserError
from curation.footage import Observer, sample_indices
from curation.stage import FootageStage, Gated, Row
from storage import hash_file

if TYPE_CHECKING:
    from curation.scores.faces import Detector, Recogniser


@dataclass(frozen=True, kw_only=True)
class FaceScores(Gated, FootageStage):
    """Settings of the faces stage."""

    name: ClassVar[str] = "faces"
    on_demand: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    adds: ClassVar[tuple[str, ...]] = (
        "face_counts", "face_rate", "single_face", "face_similarity", "face_embedding", "face_view",
        "people", "face_tracks",
        "face_references",
    )  # fmt: skip

    every: float = 1.0
    "Seconds between the frames that are looked at"
    side: int = 640
    "Pixels of the longer side of a frame when faces are looked for; larger frames are scaled down"
    score: float = 0.7
    "Least score of a face"
    pack: str = ""
    "Folder of an insightface pack, or its ArcFace model; empty for SFace, which the extra `faces` has"

    references: int = 5
    "Frames, evenly spread, from which the pictures of the person in shards are cut; 0 cuts none"
    reference_side: int = 256
    "Pixels of each side of these pictures"
    oval: bool = True
    "Blacken them outside the oval of the face, in place of a segmentation"

    def __post_init__(self):
        if self.references < 0 or self.reference_side < 16:
            raise UserError("faces: references must be at least 0 and reference_side at least 16.")
        if self.every <= 0 or self.side < 32 or not 0 < self.score < 1:
            raise UserError("faces: every must be above 0, side at least 32 and score between 0 and 1.")
        if self.pack and not Path(self.pack).exists():
            raise UserError(f"faces.pack is {self.pack}, which is neither folder nor file.")

    def check(self) -> None:
        from curation.scores.packaged import face_models

        face_models()

    def weights(self) -> dict[str, str]:
        """Of the models that there are: without the extra nothing can run, and `check` says so."""
        from curation.scores.packaged import face_models

        try:
            files = dict(face_models())
        except UserError:
            return {}
        if self.pack:
            from curation.scores.faces import model_of_pack

            files["recogniser"] = model_of_pack(Path(self.pack))
        return {key: hash_file(path) for key, path in files.items()}

    def settings(self) -> dict[str, Any]:
        """Which pack is in the hashes of its weights, wherever it lies."""
        return {**super().settings(), "pack": bool(self.pack)}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.face_crops import References
        from curation.scores.faces import Faces

        detector, recogniser = self.models()

        def observers(row: Row) -> list[Observer]:
            indices = sample_indices(row["frames"], self.references)
            cuts = References(detector, indices, self.reference_side, self.oval)
            return [Faces(detector, recogniser, self.every), cuts]

        return observers

    def models(self) -> tuple["Detector", "Recogniser"]:
        """What finds faces and what embeds them."""
        from curation.scores.faces import Detector, recogniser_of
        from curation.scores.packaged import face_models

        return Detector(face_models()["detector"], self.side, self.score), recogniser_of(self.pack)
