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
    from curation.scores.face_crops import Cut
    from curation.scores.faces import Detector, Recogniser

MASKS = ("none", "oval", "segment")
SCALES = {  # mean and deviation of red, green and blue from 0 to 1 in the pictures that a segmenter takes
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # U2-Net, BiRefNet
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # MODNet
}


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
    mask: str = "segment"
    "What of them is black: `none`; all outside the `oval` of the face; or outside the person (`segment`)"
    segmenter: str = ""
    "ONNX file that segments people, [1, 3, h, w] to [1, 1, h, w]; empty for GrabCut, which needs no weights"
    segmenter_scale: str = "imagenet"
    "How its pictures are scaled: by `imagenet`'s mean (U2-Net, BiRefNet), or to -1 to 1 (`half`: MODNet)"

    def __post_init__(self):
        if self.references < 0 or self.reference_side < 16:
            raise UserError("faces: references must be at least 0 and reference_side at least 16.")
        if self.every <= 0 or self.side < 32 or not 0 < self.score < 1:
            raise UserError("faces: every must be above 0, side at least 32 and score between 0 and 1.")
        if self.pack and not Path(self.pack).exists():
            raise UserError(f"faces.pack is {self.pack}, which is neither folder nor file.")
        if self.mask not in MASKS:
            raise UserError(f"faces.mask is {self.mask!r}; it must be one of {', '.join(MASKS)}.")
        if self.segmenter and self.mask != "segment":
            raise UserError(f"faces.segmenter is of no use with faces.mask {self.mask}; set that to segment.")
        if self.segmenter and not Path(self.segmenter).is_file():
            raise UserError(f"faces.segmenter is {self.segmenter}, which is no file.")
        if self.segmenter_scale != FaceScores.segmenter_scale and not self.segmenter:
            raise UserError("faces.segmenter_scale is of use with faces.segmenter only; give both or none.")
        if self.segmenter_scale not in SCALES:
            raise UserError(
                f"faces.segmenter_scale is {self.segmenter_scale!r}; it must be one of {', '.join(SCALES)}."
            )

    def check(self) -> None:
        from curation.scores.packaged import face_models

        face_models()
        self.cut()

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
        if self.segmenter:
            from curation.scores.onnx_model import files_of

            parts = files_of(Path(self.segmenter)).values()
            files |= {f"segmenter {number}": path for number, path in enumerate(parts)}
        return {key: hash_file(path) for key, path in files.items()}

    def settings(self) -> dict[str, Any]:
        """Which pack and segmenter are in the hashes of their weights, wherever they lie."""
        return {**super().settings(), "pack": bool(self.pack), "segmenter": bool(self.segmenter)}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.face_crops import References
        from curation.scores.faces import Faces

        (detector, recogniser), cut = self.models(), self.cut()

        def observers(row: Row) -> list[Observer]:
            indices = sample_indices(row["frames"], self.references)
            pictures = References(detector, indices, self.reference_side, cut)
            return [Faces(detector, recogniser, self.every), pictures]

        return observers

    def models(self) -> tuple["Detector", "Recogniser"]:
        """What finds faces and what embeds them."""
        from curation.scores.faces import Detector, recogniser_of
        from curation.scores.packaged import face_models

        return Detector(face_models()["detector"], self.side, self.score), recogniser_of(self.pack)

    def cut(self) -> "Cut":
        """How reference pictures are cut; UserError for a segmenter that is none."""
        from curation.scores.face_crops import Oval, Plain
        from curation.scores.head_masks import GrabCut, Segmented

        if self.mask != "segment":
            return Oval() if self.mask == "oval" else Plain()
        if not self.segmenter:
            return Segmented(GrabCut())
        from curation.scores.portrait_model import PortraitModel

        return Segmented(PortraitModel(Path(self.segmenter), SCALES[self.segmenter_scale]))
