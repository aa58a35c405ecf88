"""What of curated clips is encoded: which of them, at which size, as videos or as images (Sec. 3.2, 3.3).

One set of shards serves the stages of training: low resolution, images for text-to-image, a picked few.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from console import UserError
from inference.clips import Frames, bucket_shape
from inference.pipeline import Shape


@dataclass(frozen=True, kw_only=True)
class Picked:
    """The default is every clip as it is."""

    shrink: int = 1
    """Rows and columns are divided by it."""
    images: bool = False
    """The middle frame of each clip alone, an image."""
    only: frozenset[str] | None = None
    """The training clips to keep, by clip_id; held-out clips all stay, so that losses can be compared."""

    def __post_init__(self) -> None:
        if self.shrink < 1:
            raise UserError(f"--shrink must be at least 1; {self.shrink} came.")

    @property
    def marks(self) -> list[Any]:
        """What latents depend on; nothing for the default."""
        fields = {"shrink": self.shrink, "images": self.images, "only": sorted(self.only or ())}
        return [] if self == Picked() else [fields]

    def shape(self, bucket: str) -> Shape:
        """What the clips of a bucket are scaled and cut to."""
        shape = bucket_shape(bucket)
        height, width = shape.height // self.shrink, shape.width // self.shrink
        return replace(shape, height=height, width=width, frames=1 if self.images else shape.frames)

    def keeps(self, split: str, clip_id: str) -> bool:
        """Whether a clip is encoded."""
        return self.only is None or split != "train" or clip_id in self.only

    def described(self, clip: Frames, shape: Shape) -> Frames:
        """The clip with the bucket that it is in now."""
        if clip.facts.get("bucket") in (None, str(shape)):
            return clip
        sizes = {"bucket": str(shape), "width": shape.width, "height": shape.height, "frames": shape.frames}
        facts = {**clip.facts, **sizes}
        return clip._replace(facts=facts, described=json.dumps(facts, sort_keys=True).encode())


def read_ids(path: Path) -> frozenset[str]:
    """The clip_ids in a file, one a line; what stands behind the first word or a # is for people."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--only: '{path}' cannot be read ({error}). Give a file of clip_ids.") from error
    found = frozenset(words[0] for line in lines if (words := line.partition("#")[0].split()))
    if not found:
        raise UserError(f"--only: '{path}' names no clip. Write a clip_id on each line.")
    return found
