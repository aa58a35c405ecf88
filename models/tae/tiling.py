"""A TAE tile by tile: any length at constant memory, any size in parts (Sec. 3.1.1, Fig. 6).

Along time as in the paper: the encoder's tiles do not overlap, the decoder's share half of theirs and are
blended linearly. Tiles of rows and columns, for which the paper has no need, overlap in both halves.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from models.tae.autoencoder import TAE, Posterior
from models.tae.config import TAEConfig

TIME, ROWS, COLUMNS = 1, 3, 4  # axes of "b t c h w"


@dataclass(frozen=True, kw_only=True)
class TilingConfig:
    """Sizes of tiles, in frames and pixels of the video; in the latent they are as many times smaller."""

    frames: int = 32
    """Frames of a tile: 4 of the latent in the paper."""
    overlap: int | None = None
    """Frames that neighbouring tiles of the decoder share. Left out: half of a tile, as in the paper."""
    pixels: int | None = None
    """Rows and columns of a tile at most. Left out: whole frames, as in the paper."""
    pixel_overlap: int | None = None
    """Rows, or columns, that neighbouring tiles share. Left out: a quarter of a tile."""

    def __post_init__(self) -> None:
        if self.overlap is None:
            object.__setattr__(self, "overlap", self.frames // 2)
        if self.pixels is None and self.pixel_overlap is not None:
            raise ValueError(f"pixel_overlap is {self.pixel_overlap} without tiles. Give pixels, or drop it.")
        if self.pixels is not None and self.pixel_overlap is None:
            object.__setattr__(self, "pixel_overlap", self.pixels // 4)
        for tile, overlap in ((self.frames, self.overlap), (self.pixels, self.pixel_overlap)):
            if tile is not None and not (tile >= 1 and 0 <= (overlap or 0) <= tile // 2):
                raise ValueError(
                    f"Tiles of {tile} that share {overlap}: a tile needs at least 1, and may share at most "
                    "half of itself, so that no more than two meet anywhere."
                )

    def checked(self, tae: TAEConfig) -> "TilingConfig":
        """Itself, if its sizes are whole numbers of positions of the latent of such a TAE."""
        for axis, factor, sizes in (
            ("frames", tae.time_factor, (self.frames, self.overlap)),
            ("pixels", tae.space_factor, (self.pixels, self.pixel_overlap)),
        ):
            if any(size is not None and size % factor for size in sizes):
                raise ValueError(
                    f"Tiles of {sizes[0]} {axis} that share {sizes[1]}: this TAE needs multiples of {factor}."
                )
        return self


class TiledTAE:
    """Encodes and decodes as its TAE does, in tiles. What is not one tile differs a little near seams."""

    def __init__(self, tae: TAE, tiling: TilingConfig) -> None:
        self.tae, self.tiling = tae, tiling.checked(tae.config)

    def encode(self, video: Float[Tensor, "b t 3 h w"]) -> Posterior:
        """Encode pixels in [-1, 1]: t frames give ceil(t / time_factor), as `TAE.encode` does."""
        parts = list(self.encode_stream([video]))
        return Posterior(*(torch.cat(moment, dim=TIME) for moment in zip(*parts, strict=True)))

    def decode(
        self, latent: Float[Tensor, "b t c h w"], frames: int | None = None
    ) -> Float[Tensor, "b tt 3 hh ww"]:
        """Decode to time_factor x t frames, or to the first `frames`, as `TAE.decode` does."""
        return torch.cat(list(self.decode_stream([latent])), dim=TIME)[:, :frames]

    def encode_stream(self, video: Iterable[Float[Tensor, "b _ 3 h w"]]) -> Iterator[Posterior]:
        """Encode a video that comes in pieces of any lengths; each tile's posterior is given at once."""
        for tile in windows(video, self.tiling.frames, overlap=0):
            yield self._encode_tile(tile)

    def decode_stream(
        self, latent: Iterable[Float[Tensor, "b _ c h w"]]
    ) -> Iterator[Float[Tensor, "b _ 3 hh ww"]]:
        """Decode a latent that comes in pieces of any lengths; frames are given once no tile can change them.

        They are time_factor times as many as the latent has: the caller drops the spurious last ones.
        """
        overlap = self.tiling.overlap or 0
        factor = self.tae.config.time_factor
        tiles = windows(latent, self.tiling.frames // factor, overlap // factor)
        yield from stitch(map(self._decode_tile, tiles), overlap, TIME)

    def seams(self, frames: int, height: int, width: int) -> dict[int, list[int]]:
        """Where, on each axis of "b t 3 h w", a tile of the decoder begins or has faded out.

        A seam at p lies between the positions p - 1 and p.
        """
        overlap, found = self.tiling.overlap or 0, {}
        step = self.tiling.frames - overlap
        found[TIME] = seams_of(range(0, max(1, frames - overlap), step), overlap)
        factor, shared = self.tae.config.space_factor, self.tiling.pixel_overlap or 0
        for axis, length in ((ROWS, height), (COLUMNS, width)):
            starts = [start * factor for start, _ in self._spans(length // factor)]
            found[axis] = seams_of(starts, shared)
        return found

    @torch.no_grad()
    def _encode_tile(self, video: Float[Tensor, "b t 3 h w"]) -> Posterior:
        factor = self.tae.config.space_factor

        def moments(part: Tensor) -> Tensor:
            return torch.cat(self.tae.encode(part), dim=2)

        whole = self._in_parts(moments, video, (factor, 1))
        return Posterior(*whole.chunk(2, dim=2))

    @torch.no_grad()
    def _decode_tile(self, latent: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b tt 3 hh ww"]:
        return self._in_parts(self.tae.decode, latent, (1, self.tae.config.space_factor))

    def _in_parts(self, apply: Callable[[Tensor], Tensor], x: Tensor, units: tuple[int, int]) -> Tensor:
        """`apply` to tiles of rows and columns. A position of the latent is units[0] of `x` on each side, and
        units[1] of the result."""
        if self.tiling.pixels is None:
            return apply(x)
        shared = (self.tiling.pixel_overlap or 0) // self.tae.config.space_factor * units[1]

        def cut(whole: Tensor, axis: int) -> Iterator[Tensor]:
            for start, size in self._spans(whole.shape[axis] // units[0]):
                yield whole.narrow(axis, start * units[0], size * units[0])

        def row(band: Tensor) -> Tensor:
            return torch.cat(list(stitch(map(apply, cut(band, COLUMNS)), shared, COLUMNS)), dim=COLUMNS)

        return torch.cat(list(stitch(map(row, cut(x, ROWS)), shared, ROWS)), dim=ROWS)

    def _spans(self, length: int) -> list[tuple[int, int]]:
        """Tiles of `length` rows or columns of the latent."""
        factor = self.tae.config.space_factor
        tile, overlap = self.tiling.pixels, self.tiling.pixel_overlap or 0
        return spans(length, tile // factor, overlap // factor) if tile is not None else [(0, length)]


def windows(pieces: Iterable[Tensor], size: int, overlap: int) -> Iterator[Tensor]:
    """Cut a stream "b t ..." into windows of `size` frames, each beginning with the last `overlap` of the one
    before. The last window may be shorter."""
    held, repeated = None, 0
    for piece in pieces:
        held = piece if held is None else torch.cat([held, piece], dim=TIME)
        while held.shape[TIME] >= size:
            yield held[:, :size]
            held, repeated = held[:, size - overlap :], overlap
    if held is not None and held.shape[TIME] > repeated:
        yield held


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Starts and lengths of as few tiles as cover `length`, of nearly equal size and `tile` at most."""
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    size = -(-(length + (count - 1) * overlap) // count)
    starts = [number * (size - overlap) for number in range(count)]
    return [(start, min(size, length - start)) for start in starts]


def seams_of(starts: Iterable[int], overlap: int) -> list[int]:
    """Positions at which the tiles behind the first begin, and at which those before them end."""
    _, *later = starts
    return sorted({*later, *(start + overlap for start in later)})


def stitch(tiles: Iterable[Tensor], overlap: int, axis: int) -> Iterator[Tensor]:
    """Join tiles that share `overlap` positions with their neighbours; give what no later one touches."""
    tail = None
    for tile in tiles:
        if tail is not None and overlap:
            shared, rest = tile.tensor_split([overlap], dim=axis)
            tile = torch.cat([fade(tail, shared, axis), rest], dim=axis)
        ready = max(0, tile.shape[axis] - overlap)
        done, tail = tile.tensor_split([ready], dim=axis)
        if ready:
            yield done
    if tail is not None and tail.shape[axis]:
        yield tail


def fade(before: Tensor, after: Tensor, axis: int) -> Tensor:
    """Blend what two tiles say of the positions they share: all of `before` at first, then less and less.

    Sec. 3.1.1 prints w = j / N as the weight of the tile before, which would fade the wrong way.
    """
    count = after.shape[axis]
    weight = torch.arange(count, device=after.device, dtype=after.dtype) / max(count, 1)
    shape = [1] * after.ndim
    shape[axis] = count
    return torch.lerp(before, after, weight.reshape(shape))
