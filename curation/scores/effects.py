"""Visual effects (Sec. 3.2.1): flashes, and dissolves from one picture into another inside a clip.

The paper drops clips with effects by a small model that it does not describe. These are two effects that
editors add and that frames tell without one. A cut detector does not see a dissolve: no step of it is large.
"""

from collections import deque

import numpy as np
from jaxtyping import Float

from curation.footage import Observer, Seen

FLASH = 20.0  # levels of mean luma: a tenth of the range, as in guides on photosensitivity
LOOK = 0.25  # seconds between the looks that a dissolve is judged by
LOOKS = 5  # a middle and two on each side: a dissolve of 0.5 to 1 s
DIFFERENT = 12.0  # levels by which the pictures at both ends must differ
WIDE = 0.5  # part of the picture that must differ by as much


class Effects(Observer):
    """flashes: returns of the light per second; mixing: 0 to 1, how well the picture in the middle of half a
    second is the average of those about it, where these are two different ones."""

    def __init__(self, fps: float, seconds: float):
        self.every, self.seconds = max(round(fps * LOOK), 1), seconds
        self.light: list[float] = []
        self.looks: deque[Float[np.ndarray, "h w"]] = deque(maxlen=LOOKS)
        self.mixing = 0.0

    def see(self, seen: Seen) -> None:
        self.light.append(float(seen.small.mean()))
        if seen.index % self.every == 0:
            self.looks.append(seen.small.astype(np.float32))
            if len(self.looks) == LOOKS and len({look.shape for look in self.looks}) == 1:
                self.mixing = max(self.mixing, mixture(list(self.looks)))

    def result(self) -> dict[str, float | None]:
        if self.seconds <= 0:
            return {"flashes": None, "mixing": None}
        return {"flashes": flashes(np.array(self.light)) / self.seconds, "mixing": self.mixing}


def flashes(light: Float[np.ndarray, " t"]) -> int:
    """How often the mean luma of frames swings by `FLASH` and back."""
    swings, last, direction = 0, light[0] if len(light) else 0.0, 0
    for value in light:
        if abs(value - last) >= FLASH:
            turn = 1 if value > last else -1
            swings += turn == -direction
            last, direction = value, turn
        elif direction and (value - last) * direction > 0:
            last = value  # still on its way
    return (swings + 1) // 2


def mixture(looks: list[Float[np.ndarray, "h w"]]) -> float:
    """1 where the pictures between the first and the last are blends of these two, in rising shares."""
    first, last = looks[0], looks[-1]
    change = last - first
    different = np.abs(change) >= DIFFERENT
    if different.mean() < WIDE:
        return 0.0
    span, shares, worst = change[different], [], 0.0
    for look in looks[1:-1]:
        part = (look - first)[different]
        share = float(part @ span / (span @ span))
        worst = max(worst, float(np.abs(part - share * span).mean() / np.abs(span).mean()))
        shares.append(share)
    rising = 0.0 < shares[0] < shares[1] < shares[2] < 1.0 and shares[2] - shares[0] > 0.2
    return max(1.0 - 2 * worst, 0.0) if rising else 0.0
