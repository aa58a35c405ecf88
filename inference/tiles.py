"""A TAE opened for work in tiles, and videos of any size made to fit it and cut back."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from console import UserError
from inference.film import Picture
from inference.pipeline import pick_device
from inference.t2v import to_pixels, to_values
from inference.weights import LoadedModel, load_model
from models.tae import TAE
from models.tae.tiling import TiledTAE, TilingConfig

PIECE = 8  # pictures that go to the model's device at once


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How to stream."""

    tile: str = "32"
    """Frames of a tile, and its pixels where frames are cut: 32 or 32x256."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    sound: bool = True
    """Copy the sound."""


class Opened(NamedTuple):
    """A TAE on its device, in tiles, and what names it."""

    loaded: LoadedModel[TAE]
    tiled: TiledTAE
    device: torch.device

    @property
    def factor(self) -> int:
        """Height and width must be multiples of it."""
        return self.tiled.tae.config.space_factor


def open_tiled(folder: Path, options: StreamOptions) -> Opened:
    """The TAE of a model folder."""
    loaded = load_model(folder, expect=TAE)
    place = pick_device(options.device)
    return Opened(loaded, tiled(loaded.model.to(place), options.tile), place)


def tiled(tae: TAE, tile: str) -> TiledTAE:
    """`tae` in tiles; sizes that do not fit it are a UserError."""
    try:
        return TiledTAE(tae, parse_tile(tile))
    except ValueError as error:
        raise UserError(f"--tile {tile}: {error}") from error


def parse_tile(text: str) -> TilingConfig:
    """FRAMES or FRAMESxPIXELS, as 32 or 32x256."""
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise UserError(f"--tile must be FRAMES or FRAMESxPIXELS, such as 32 or 32x256; '{text}' came.")
    frames, *pixels = map(int, text.split("x"))
    return TilingConfig(frames=frames, pixels=pixels[0] if pixels else None)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How pictures become as large as a TAE needs, and its pictures as large as they were."""

    height: int
    """Rows that come back."""
    width: int
    bottom: int = 0
    """Rows that repeat the last one."""
    right: int = 0
    top: int = 0
    """Rows cut off above; as many or one more below."""
    left: int = 0

    @classmethod
    def padded(cls, height: int, width: int, factor: int) -> "Fit":
        """Continue pictures by their last row and column."""
        return cls(height=height, width=width, bottom=-height % factor, right=-width % factor)

    @classmethod
    def cropped(cls, height: int, width: int, factor: int) -> "Fit":
        """Cut the middle out of pictures."""
        rows, columns = height % factor, width % factor
        if rows == height or columns == width:
            raise UserError(f"Of {width}x{height} nothing is left to crop to multiples of {factor}. Pad it.")
        return cls(height=height - rows, width=width - columns, top=rows // 2, left=columns // 2)

    def apply(self, frames: np.ndarray) -> Tensor:
        """Pixels uint8 "t h w 3" to the TAE's "1 t 3 h w"."""
        cut = frames[:, self.top : self.top + self.height, self.left : self.left + self.width]
        video = to_values(np.ascontiguousarray(cut)[None])
        return pad(video, (0, self.right, 0, self.bottom, 0, 0), mode="replicate")

    def undo(self, video: Tensor) -> np.ndarray:
        """The TAE's "1 t 3 h w" to pixels uint8 "t h w 3"."""
        return to_pixels(video[..., : self.height, : self.width])[0]


def pieces(film: Iterable[Picture], fit: Fit, device: torch.device) -> Iterator[Tensor]:
    """Pictures as "1 t 3 h w" on the device, a few at a time."""
    film = iter(film)
    while some := list(islice(film, PIECE)):
        yield fit.apply(np.stack([picture.pixels for picture in some])).to(device)
