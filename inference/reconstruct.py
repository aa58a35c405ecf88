"""A video through a TAE and back, of any length at constant memory: what it keeps (Sec. 3.1.1)."""

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from console import track
from inference.film import Picture, check_mp4, look_of, pictures, writing_film
from inference.tiles import Fit, StreamOptions, open_tiled, pieces

CEILING = 100.0  # dB, for pictures that are equal, as in evaluation.metrics


def reconstruct(video: Path, tae: Path, out: Path, options: StreamOptions) -> str:
    """Write `video` as the TAE gives it back: the same pictures' instants, the same sound, an mp4.

    Sizes that the TAE does not divide are continued for it and cut back. Returns a line with the PSNR.
    """
    check_mp4(out)
    opened = open_tiled(tae, options)
    look = look_of(video)
    fit = Fit.padded(look.height, look.width, opened.factor)
    waiting: deque[Picture] = deque()
    film = pieces(remembered(pictures(video, look), waiting), fit, opened.device)
    latents = (posterior.mean for posterior in opened.tiled.encode_stream(film))
    scores: list[float] = []
    with writing_film(out, look, video if options.sound else None) as writer:
        for decoded in track(opened.tiled.decode_stream(latents), "Tiles"):
            for pixels in fit.undo(decoded):
                if waiting:  # what is decoded beyond the last picture is spurious
                    original = waiting.popleft()
                    scores.append(psnr_of_picture(pixels, original.pixels))
                    writer.write(Picture(pixels, original.instant))
    return (
        f"{out}: {len(scores)} frames of {look.width}x{look.height}, PSNR {np.mean(scores):.2f} dB "
        f"(worst frame {min(scores):.2f})"
    )


def remembered(film: Iterable[Picture], waiting: deque[Picture]) -> Iterator[Picture]:
    """The pictures of a film, each also put into `waiting`."""
    for picture in film:
        waiting.append(picture)
        yield picture


def psnr_of_picture(new: np.ndarray, old: np.ndarray) -> float:
    """`10 log10(255^2 / mean squared error)` of two pictures uint8 "h w 3", at most `CEILING`."""
    error = np.square(new.astype(np.int16) - old, dtype=np.int32).mean()
    return float(10 * np.log10(255**2 / max(error, 255**2 / 10 ** (CEILING / 10))))
