"""How much of a clip somebody speaks (Silero's voice activity), and how good that speech sounds (DNSMOS)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from curation.scores.onnx_model import Model

WINDOW, CONTEXT = 512, 64  # samples that are judged at once, and of those before that the model sees too
BLOCK = 1024  # windows in one call: memory does not grow with the clip
STATE = 128  # numbers that the model remembers
SPEECH = 0.5  # probability from which a window is speech, as the authors advise

LISTENED = 144_160  # samples that DNSMOS hears at once, 9.01 s
HEARD = 0.1  # part of a clip that must be speech for a verdict on its speech
CURVES = {  # from the model's numbers to opinions of 1 to 5, as published with it (ITU-T P.835)
    "dnsmos_speech": (-0.08397278, 1.22083953, 0.0052439),
    "dnsmos_noise": (-0.13166888, 1.60915514, -0.39604546),
    "dnsmos_overall": (-0.06766283, 1.11546468, 0.04602535),
}


class Voices:
    """Silero's model for 16 kHz that takes many windows in one call."""

    def __init__(self, path: Path):
        self.model = Model(path, "silero-vad")

    def probabilities(self, samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " windows"]:
        """Of speech, in each 32 ms of mono sound at 16 kHz; the last window is filled with silence."""
        windows = np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW).astype(np.float32)
        before = np.concatenate([np.zeros((1, CONTEXT), np.float32), windows[:-1, -CONTEXT:]])
        seen = np.concatenate([before[: len(windows)], windows], axis=1)
        hidden = cell = np.zeros((1, 1, STATE), np.float32)
        found = []
        for first in range(0, len(seen), BLOCK):
            spoken, hidden, cell = self.model.run(seen[first : first + BLOCK], hidden, cell)
            found.append(spoken.ravel())
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def speech(self, samples: Float[np.ndarray, " n"]) -> float:
        """Part of the windows in which somebody speaks, 0 to 1."""
        found = self.probabilities(samples)
        return float((found >= SPEECH).mean()) if len(found) else 0.0


class Listener:
    """DNSMOS: what people would say of speech, of the noise behind it, and of both, on a scale of 1 to 5."""

    def __init__(self, path: Path, windows: int):
        """At most `windows` parts of 9 s of a clip are judged."""
        self.model, self.windows = Model(path, "speechmos"), windows

    def opinions(self, samples: Float[np.ndarray, " n"]) -> dict[str, float]:
        """Means over parts that are spread over the clip; a clip shorter than one is repeated."""
        if len(samples) < LISTENED:
            samples = np.resize(samples, LISTENED)
        room = len(samples) - LISTENED
        count = min(self.windows, round(len(samples) / LISTENED))
        starts = np.linspace(0, room, count).round().astype(int) if count > 1 else [room // 2]
        raw = np.mean(
            [self.model.run(samples[None, at : at + LISTENED].astype(np.float32))[0][0] for at in starts],
            axis=0,
        )
        return {
            name: float(np.polyval(curve, value))
            for (name, curve), value in zip(CURVES.items(), raw, strict=True)
        }
