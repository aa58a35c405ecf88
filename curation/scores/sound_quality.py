"""How good a clip sounds, 1 to 10, by a predictor of the user (Sec. 6.2.4).

The paper trains its own on people's ratings of sound, as LAION's is of pictures. No package ships one. The
file is ONNX: mono sound at 16 kHz, full scale 1, float [1, samples] to one number.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from console import UserError
from curation.scores.onnx_model import Model
from curation.sound import RATE

LONGEST = 30  # seconds that are heard at once: the paper's sequences
LOWEST, HIGHEST = 1.0, 10.0


class Predictor:
    """The model, loaded once per worker."""

    def __init__(self, path: Path):
        self.model = Model(path, "audio.quality")
        shapes = self.model.takes()
        free = len(shapes) == 1 and len(shapes[0]) == 2 and not isinstance(shapes[0][1], int)
        if not free or self.model.kind() != "tensor(float)":
            raise UserError(
                f"audio.quality takes {self.model.kind()} of shapes {shapes}; float [1, samples] of any "
                "length is needed."
            )

    def score(self, samples: Float[np.ndarray, " n"]) -> float:
        """1 to 10, from the first 30 s. ValueError where the model gives another number."""
        found = self.model.run(samples[None, : LONGEST * RATE].astype(np.float32))[0]
        value = float(found.ravel()[0]) if found.size == 1 else np.nan
        if not LOWEST <= value <= HIGHEST:
            raise ValueError(f"audio.quality gave {found.ravel()[:3].tolist()}, not one number of 1 to 10")
        return value
