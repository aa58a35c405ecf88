"""Static clips, slideshows and fades: how the change of a clip is spread over its frame steps (App. B.1)."""

import cv2
import numpy as np
from jaxtyping import UInt8

from curation.footage import Observer, Seen

VISIBLE = 3.0  # levels of luma (0 to 255) that a patch must change by: above the noise of compression
PATCH = 4  # pixels of the small picture: noise averages out, a small object does not
CHANGED = 12.0  # levels by which a pixel counts as changed
HELD = 0.3  # seconds that a slide stands at least: a film of few pictures a second repeats them, too
MOST = 0.4  # part of the picture that changes at once in a jump


class Change(Observer):
    """frozen: steps without visible change; slideshow: share of the change that comes in lone steps between
    stills; darkest: light of the darkest frame against the ordinary one, which a fade through black brings
    near 0."""

    def __init__(self):
        self.last: UInt8[np.ndarray, "h w"] | None = None
        self.visible: list[bool] = []
        self.times: list[float] = []  # when the second frame of each step is shown
        self.amount: list[float] = []  # mean change of luma in each step
        self.spread: list[float] = []  # part of the picture that changed in each step
        self.light: list[float] = []  # mean luma of each frame

    def see(self, seen: Seen) -> None:
        small = seen.small
        if self.last is not None and self.last.shape == small.shape:
            difference = cv2.absdiff(small, self.last).astype(np.float32)
            self.visible.append(bool(cv2.blur(difference, (PATCH, PATCH)).max() > VISIBLE))
            self.times.append(seen.seconds)
            self.amount.append(float(difference.mean()))
            self.spread.append(float((difference > CHANGED).mean()))
        self.last = small
        self.light.append(float(small.mean()))

    def result(self) -> dict[str, float | int | None]:
        if not self.visible:
            return {"frozen": 1.0, "jumps": 0, "slideshow": 0.0, "darkest": 1.0}  # one frame: a still
        visible, amount = np.array(self.visible), np.array(self.amount)
        still = np.concatenate([[True], ~visible, [True]])  # beyond both ends nothing is known to move
        alone = visible & still[:-2] & still[2:]
        held = np.concatenate([[True], np.diff(np.array(self.times)[visible]) >= HELD, [True]])
        alone[visible] &= held[:-1] & held[1:]
        total = amount[visible].sum()
        return {
            "frozen": float(1 - visible.mean()),
            "jumps": int((np.array(self.spread) > MOST).sum()),
            "slideshow": float(amount[alone].sum() / total) if total > 0 else 0.0,
            "darkest": min(self.light) / max(float(np.median(self.light)), 1.0),
        }
