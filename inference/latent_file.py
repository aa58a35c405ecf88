"""Latents of one video of any length in a safetensors file, written and read in pieces.

`latent` is float32 "t c h w", posterior means as the TAE gave them; `instants` int64 says when each frame is
shown. The header of such a file comes first and counts what follows, so room for it is left at the start.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from console import UserError
from storage import atomic_path

ROOM = 4096  # bytes of the header with its length; what is not needed is spaces, as the format allows
KEY, FORMAT = "video_latents", 1
NEEDED = ("format", "tae", "tae_path", "height", "width", "clock", "rate", "aspect")


class LatentWriter:
    """An open file that takes latents piece by piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._shape, self._described = file, [0], False
        file.write(bytes(ROOM))

    def append(self, latent: np.ndarray) -> None:
        """Write the next float32 "t c h w"."""
        own = list(self._shape[1:])
        if own and list(latent.shape[1:]) != own:
            raise ValueError(f"Latents of one video have one shape; {latent.shape[1:]} came behind {own}.")
        self._file.write(np.ascontiguousarray(latent, dtype="<f4").tobytes())
        self._shape = [self._shape[0] + len(latent), *latent.shape[1:]]

    def describe(self, instants: list[int], facts: dict[str, Any]) -> None:
        """Say, last of all, when the frames are shown and what the latents are of."""
        end = 4 * int(np.prod(self._shape))
        filling = -end % 8  # tensors of 8 bytes each begin at multiples of 8
        self._file.write(bytes(filling) + np.asarray(instants, dtype="<i8").tobytes())
        start = end + filling
        header: dict[str, Any] = {
            "__metadata__": {KEY: json.dumps({"format": FORMAT, **facts}, sort_keys=True)},
            "latent": {"dtype": "F32", "shape": self._shape, "data_offsets": [0, end]},
            "instants": {
                "dtype": "I64",
                "shape": [len(instants)],
                "data_offsets": [start, start + 8 * len(instants)],
            },
        }
        if filling:
            header["filling"] = {"dtype": "U8", "shape": [filling], "data_offsets": [end, start]}
        text = json.dumps(header).encode()
        if len(text) > ROOM - 8:
            raise UserError(f"The facts of the latents take {len(text)} bytes; there is room for {ROOM - 8}.")
        self._file.seek(0)
        self._file.write((ROOM - 8).to_bytes(8, "little") + text.ljust(ROOM - 8))
        self._described = True

    @property
    def described(self) -> bool:
        """Whether the file is whole."""
        return self._described


@contextmanager
def writing_latents(path: Path) -> Iterator[LatentWriter]:
    """Write a file of latents, whole or not at all."""
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            writer = LatentWriter(file)
            yield writer
        assert writer.described, "latents without facts"


@dataclass(frozen=True, kw_only=True)
class LatentFile:
    """A file of latents that was found whole."""

    path: Path
    facts: dict[str, Any]
    shape: tuple[int, ...]
    instants: list[int]

    def pieces(self, size: int = 8) -> Iterator[torch.Tensor]:
        """The latent as "1 t c h w", `size` of its frames at a time."""
        with safe_open(self.path, framework="pt", device="cpu") as file:
            latent = file.get_slice("latent")
            for start in range(0, self.shape[0], size):
                yield latent[start : start + size][None]


def open_latents(path: Path) -> LatentFile:
    """Read what a file of latents says of itself; one that is something else is a UserError."""
    made_by = "Make one with: python -m inference.run encode-video"
    if not path.is_file():
        raise UserError(f"There is no file of latents '{path}'. {made_by}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})[KEY])
            shape = tuple(file.get_slice("latent").get_shape())
            instants = file.get_tensor("instants").tolist()
    except SafetensorError as error:
        raise UserError(f"'{path}' cannot be read ({error}). Copy it again, or encode anew.") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"'{path}' holds no latents of a video ({error}). {made_by}") from error
    missing = [key for key in NEEDED if key not in facts]
    if missing or facts["format"] != FORMAT:
        raise UserError(
            f"'{path}' is of format {facts.get('format')} and lacks {', '.join(missing) or 'nothing'}; this "
            f"version reads format {FORMAT}. {made_by}"
        )
    return LatentFile(path=path, facts=facts, shape=shape, instants=instants)
