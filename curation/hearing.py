"""The scores of the audio stage for one clip after another: one decode, then every model on its sound."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from curation.captioners import sound as describer
from curation.scores import audio_tags
from curation.scores.audio_tags import Tagger
from curation.scores.correspondence import Towers
from curation.scores.levels import levels
from curation.scores.sound_quality import Predictor
from curation.scores.speech import HEARD, Listener, Voices
from curation.sound import mono, read_sound
from curation.stage import Row
from curation.stages.audio import AudioScores

DESCRIBED, SURE = 3, 0.1  # classes that a description names, at most, and how likely each must be
OF_SOUND = ("sound", "speech", "voice", "singing")  # kinds that a description of sound may name


class Hearing:
    """The models of one worker process."""

    def __init__(self, stage: AudioScores, models: dict[str, Path], root: Path):
        self.stage, self.root = stage, root
        self.voices = Voices(models["voices"])
        self.listener = Listener(models["listener"], stage.opinions) if stage.opinions else None
        self.tagger = Tagger(models["yamnet"]) if stage.tags else None
        self.predictor = Predictor(models["quality"]) if stage.quality else None
        self.towers = Towers(models["image_tower"], models["sound_tower"]) if stage.image_tower else None

    def __call__(self, row: Row) -> Row:
        """The columns of a clip; a file without sound has a coverage of 0 and no more."""
        if not row["usable"]:
            return {}
        path = self.root / row["source"]
        sound = read_sound(path, row["start"], row["end"])
        if sound is None:
            return {"audio_coverage": 0.0}
        found: Row = {"audio_coverage": sound.coverage, **levels(sound)}
        samples = mono(sound)
        found["speech"] = self.voices.speech(samples)
        if self.listener and found["speech"] >= HEARD:
            found |= self.listener.opinions(samples)
        if self.predictor:
            found["audio_quality"] = self.predictor.score(samples)
        if self.tagger:
            found |= self._tags(samples, found)
        if self.towers:
            found["diegetic"] = self.towers.score(path, row, samples, self.stage.pictures)
        return found

    def _tags(self, samples: Float[np.ndarray, " n"], found: Row) -> dict[str, Any]:
        """What is heard, and its caption; `found`: what was measured before."""
        assert self.tagger
        likely = audio_tags.likelihoods(patches := self.tagger.probabilities(samples))
        named = audio_tags.top(patches, self.stage.tags, [label.kind for label in audio_tags.labels()])
        kind = audio_tags.class_of(likely, self.stage.heard, found["silence"] >= self.stage.silent)
        columns = {
            "audio_tags": [name for name, _ in named],
            "audio_tag_scores": [score for _, score in named],
            **likely,
            "audio_class": kind,
        }
        if kind == "silence":
            return columns
        sounds = _sure(audio_tags.top(patches, DESCRIBED, OF_SOUND))
        music = _sure(audio_tags.top(patches, DESCRIBED, ["music"]))
        caption = describer.caption_of(likely, sounds, music, found.get("audio_quality"), self.stage.heard)
        return {**columns, "audio_caption": caption, "audio_captioner": describer.NAME}


def _sure(named: list[tuple[str, float]]) -> list[str]:
    return [name for name, score in named if score >= SURE]
