"""Names and neighbours of a result: named by prompt and seed, a contact sheet and the facts beside it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from console import UserError
from inference.prompts import Request
from inference.sheet import contact_sheet
from inference.video import write_video
from storage import atomic_path, fingerprint, write_json

SLUG_LENGTH = 80  # characters; file systems take 255 bytes


def slug(prompt: str) -> str:
    """A file name that reads as the prompt; where it drops something, a hash keeps it unique."""
    words = re.sub(r"[\W_]+", "-", prompt).strip("-").lower()
    short = words.encode()[:SLUG_LENGTH].decode(errors="ignore").strip("-")
    if short.replace("-", " ") == prompt:
        return short
    return f"{short or 'prompt'}-{fingerprint(prompt)[:6]}"


def output_paths(out: Path | str, asked: list[Request], suffix: str) -> list[Path]:
    """Where each result goes: `out` itself if it names a file, else `out/PROMPT_seedN` with `suffix`.

    An image is PROMPT_image_seedN: PROMPT_seedN.png is the contact sheet of a clip.
    Fails now, and not after minutes of sampling, where the folder cannot be written.
    """
    out = Path(out)
    if out.suffix == suffix:
        if len(asked) > 1:
            raise UserError(f"--out {out} names one file, but {len(asked)} results come. Give a folder.")
        paths = [out]
    elif out.suffix and not out.is_dir():
        raise UserError(f"--out {out}: the result is a {suffix} file. Give NAME{suffix} or a folder.")
    else:
        kind = "_image" if suffix == ".png" else ""
        paths = [out / f"{slug(request.prompt)}{kind}_seed{request.seed}{suffix}" for request in asked]
    _check_writable(paths[0].parent)
    return paths


def is_made(path: Path, facts: dict[str, Any]) -> bool:
    """Whether `path` is there and was made with just these `facts`."""
    try:
        return path.is_file() and json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) == facts
    except (OSError, ValueError):
        return False


def write_clip(path: Path, frames: np.ndarray, fps: float, facts: dict[str, Any]) -> None:
    """Write the mp4, its contact sheet (.png) and, last, its facts (.json)."""
    _forget_facts(path)
    write_video(path, frames, fps)
    contact_sheet([frames], path.with_suffix(".png"), [f"{facts['prompt']}   (seed {facts['seed']})"])
    write_json(path.with_suffix(".json"), facts)


def write_image(path: Path, pixels: np.ndarray, facts: dict[str, Any]) -> None:
    """Write uint8 "h w 3" as PNG and, last, its facts (.json)."""
    from PIL import Image

    _forget_facts(path)
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
    write_json(path.with_suffix(".json"), facts)


def _forget_facts(path: Path) -> None:
    """Of what is about to be replaced: a kill in between must not leave them beside another result."""
    path.with_suffix(".json").unlink(missing_ok=True)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The output folder '{folder}' cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise UserError(f"The output folder '{folder}' cannot be written. Give another --out.")
