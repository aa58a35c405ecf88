"""Previews: after every few steps, a picture of the clip as the model sees it by then."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from console import UserError
from inference.sheet import contact_sheet
from storage import atomic_path


class Preview(NamedTuple):
    """After which steps to show, and how: `show` gets the steps done and uint8 clips "b t h w 3"."""

    every: int
    show: Callable[[int, np.ndarray], None]


def write_previews(every: int, paths: Sequence[Path]) -> Preview:
    """Previews beside each of `paths`, as NAME.step0010.png: a contact sheet, or the single frame."""
    if every < 1:
        raise UserError(f"--preview must be at least 1 step; {every} came.")

    def show(done: int, clips: np.ndarray) -> None:
        for path, clip in zip(paths, clips, strict=True):
            target = path.with_name(f"{path.stem}.step{done:04d}.png")
            if len(clip) > 1:
                contact_sheet([clip], target, [f"as seen after step {done}"])
                continue
            with atomic_path(target) as temporary:
                Image.fromarray(clip[0]).save(temporary, format="PNG")

    return Preview(every, show)
