"""Statistics of a TAE's latents over a set of clips, stored in its model folder for all later stages."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from console import UserError, track
from inference.clips import bucket_shape, decode_clip
from inference.film import look_of, pictures
from inference.shards import INDEX, read_index, read_samples
from inference.t2v import to_values
from inference.tiles import Fit, Opened, StreamOptions, open_tiled, pieces
from inference.weights import LoadedModel, load_model, save_model
from models.tae import TAE
from models.tae.moments import LatentMoments, LatentStatistics

COMMAND = "python -m inference.run statistics CLIPS --tae"
VIDEOS = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"}


def statistics_of(loaded: LoadedModel[TAE], folder: Path) -> LatentStatistics:
    """What is stored in the model folder; a TAE whose latents were never measured is a UserError."""
    found = [loaded.facts.get(name) for name in ("latent_mean", "latent_std")]
    if None in found:
        raise UserError(
            f"The TAE in '{folder}' ({loaded.hash[:12]}) has no statistics of its latents, which the flow "
            f"needs. Measure them on the clips to train on: {COMMAND} {folder}"
        )
    return LatentStatistics(*map(torch.tensor, found))


def measure(source: Path, tae: Path, options: StreamOptions, *, replace: bool = False) -> str:
    """Measure mean and deviation of each channel over `source` and store them in the folder `tae`.

    `source` is a folder of shards (its train/, where it has one), a folder of videos, or one video. Returns a
    line that says what was done. A TAE that has statistics keeps them unless `replace` is set, since it
    becomes another TAE by them: latents that were encoded before are refused beside it.
    """
    before = load_model(tae, expect=TAE)
    if before.facts.get("latent_mean") is not None and not replace:
        raise UserError(
            f"The TAE in '{tae}' ({before.hash[:12]}) has statistics of its latents already. With --replace "
            "it gets new ones, and what it has encoded must be encoded again."
        )
    opened = open_tiled(tae, options)
    moments, clips = LatentMoments(opened.tiled.tae.config.latent_channels, opened.device), 0
    for means in track(latents_of(source, opened), "Clips"):
        for mean in means:
            moments.add(mean)
        clips += 1
    if not clips:
        raise UserError(f"Not one clip of '{source}' could be encoded; the warnings above say why.")
    found = moments.statistics()
    if not all(values.isfinite().all() for values in found):
        raise UserError(f"The latents of '{source}' are no finite numbers: the TAE in '{tae}' is broken.")
    digest = _store(tae, before, found, {"latent_clips": clips, "latent_source": str(source)})
    return (
        f"{tae}: statistics of {clips} clips, deviations {found.std.min():.3f} to {found.std.max():.3f}. "
        f"The TAE was {before.hash[:12]} and is {digest[:12]} now."
    )


def latents_of(source: Path, opened: Opened) -> Iterator[list[Tensor]]:
    """The posterior means "1 t c h w" of each clip, in tiles; clips that cannot be read are named."""
    shards = next((folder for folder in (source / "train", source) if (folder / INDEX).is_file()), None)
    for name, video in _from_shards(shards) if shards is not None else _from_files(source, opened):
        try:
            yield [posterior.mean for posterior in opened.tiled.encode_stream(
                piece.to(opened.device) for piece in video
            )]  # fmt: skip
        except UserError as error:
            print(f"warning: left out {name}: {error}", file=sys.stderr)


def _from_shards(folder: Path) -> Iterator[tuple[str, Iterable[Tensor]]]:
    for row in read_index(folder)["shards"]:
        shape = bucket_shape(row["bucket"])
        for sample in read_samples(folder / row["file"]):
            # a generator: what is wrong with a clip is said where it is read
            yield sample.key, (to_values(decode_clip(one, shape).frames[None]) for one in [sample])


def _from_files(source: Path, opened: Opened) -> Iterator[tuple[str, Iterable[Tensor]]]:
    files = [source] if source.is_file() else sorted(
        path for path in source.rglob("*") if path.suffix.lower() in VIDEOS and path.is_file()
    )  # fmt: skip
    if not files:
        raise UserError(f"There are neither shards nor videos in '{source}'. Give a folder that has some.")
    for path in files:
        yield str(path), _film(path, opened)


def _film(path: Path, opened: Opened) -> Iterator[Tensor]:
    look = look_of(path)
    fit = Fit.padded(look.height, look.width, opened.factor)
    yield from pieces(pictures(path, look), fit, opened.device)


def _store(folder: Path, loaded: LoadedModel[TAE], found: LatentStatistics, more: dict[str, Any]) -> str:
    model = loaded.model
    model.latent_mean.copy_(found.mean)
    model.latent_std.copy_(found.std)
    facts = {
        **loaded.facts,
        "latent_mean": model.latent_mean.tolist(),
        "latent_std": model.latent_std.tolist(),
        "latent_step": loaded.facts.get("step"),
        **more,
    }
    return save_model(folder, model, facts)
