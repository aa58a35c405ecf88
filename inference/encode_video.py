"""One video to a file of latents, and such a file to a video: of any length at constant memory."""

from fractions import Fraction
from pathlib import Path
from typing import Any

from console import UserError, track
from inference.film import Look, Picture, check_mp4, look_of, pictures, writing_film
from inference.latent_file import LatentFile, open_latents, writing_latents
from inference.tiles import Fit, Opened, StreamOptions, open_tiled, pieces


def encode_video(video: Path, tae: Path, out: Path, fit: str | None, options: StreamOptions) -> str:
    """Write the posterior means of `video` to `out`. `fit`, pad or crop, says what becomes of a size that the
    TAE does not divide: without it, that is a UserError. Returns a line that says what was done."""
    if out.suffix != ".safetensors" or out.is_dir():
        raise UserError(f"--out {out}: latents are a .safetensors file. Give NAME.safetensors.")
    opened = open_tiled(tae, options)
    look = look_of(video)
    chosen = choose_fit(look, opened.factor, fit)
    instants: list[int] = []

    def film():
        for picture in pictures(video, look):
            instants.append(picture.instant)
            yield picture

    with writing_latents(out) as writer:
        video_pieces = pieces(film(), chosen, opened.device)
        for posterior in track(opened.tiled.encode_stream(video_pieces), "Tiles"):
            writer.append(posterior.mean[0].float().cpu().numpy())
        writer.describe(instants, _facts(opened, tae, look, chosen, options))
    return f"{out}: latents of {len(instants)} frames of {chosen.width}x{chosen.height}"


def decode_video(latents: Path, tae: Path, out: Path, sound: Path | None, options: StreamOptions) -> str:
    """Write the video of a file of latents, with the sound of the file `sound` where one is given."""
    check_mp4(out)
    found = open_latents(latents)
    opened = open_tiled(tae, options)
    _check_origin(found, tae, opened)
    facts = found.facts
    look = Look(
        height=facts["height"],
        width=facts["width"],
        clock=Fraction(facts["clock"]),
        rate=Fraction(facts["rate"]),
        aspect=Fraction(facts["aspect"]),
    )
    fit = Fit(height=look.height, width=look.width)
    instants = iter(found.instants)
    on_device = (piece.to(opened.device) for piece in found.pieces())
    with writing_film(out, look, sound) as writer:
        for decoded in track(opened.tiled.decode_stream(on_device), "Tiles"):
            for pixels, instant in zip(fit.undo(decoded), instants, strict=False):
                writer.write(Picture(pixels, instant))
    return f"{out}: {len(found.instants)} frames of {look.width}x{look.height}"


def choose_fit(look: Look, factor: int, fit: str | None) -> Fit:
    """How pictures of that look come to multiples of `factor`."""
    height, width = look.height, look.width
    if fit == "crop":
        return Fit.cropped(height, width, factor)
    if fit is None and (height % factor or width % factor):
        raise UserError(
            f"The video is {width}x{height}; this TAE needs multiples of {factor}. Add --fit pad (decode "
            "cuts back to this size) or --fit crop (the middle is kept)."
        )
    return Fit.padded(height, width, factor)


def _facts(opened: Opened, tae: Path, look: Look, fit: Fit, options: StreamOptions) -> dict[str, Any]:
    return {
        "tae": opened.loaded.hash,
        "tae_path": str(tae),
        "height": fit.height,
        "width": fit.width,
        "clock": str(look.clock),
        "rate": str(look.rate),
        "aspect": str(look.aspect),
        "tile": options.tile,
    }


def _check_origin(found: LatentFile, tae: Path, opened: Opened) -> None:
    if found.facts["tae"] != opened.loaded.hash:
        raise UserError(
            f"'{found.path}' holds latents of the TAE {found.facts['tae'][:12]} "
            f"('{found.facts['tae_path']}'); '{tae}' is {opened.loaded.hash[:12]}. "
            "Give --tae the folder of that TAE, or encode again."
        )
    frames = -(-len(found.instants) // opened.tiled.tae.config.time_factor)
    if found.shape[0] != frames or not found.instants:
        raise UserError(
            f"'{found.path}' has {found.shape[0]} frames of latent for {len(found.instants)} pictures, which "
            f"take {frames}. Encode the video again."
        )
