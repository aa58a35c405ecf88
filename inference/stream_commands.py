"""`python -m inference.run reconstruct|encode-video|decode|statistics`: whole files through a TAE."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console import add_verb

EXAMPLES = {
    "reconstruct": """examples:
  python -m inference.run reconstruct film.mp4 --tae runs/demo/tae/model --out outputs/film.mp4
  python -m inference.run reconstruct film.mp4 --tile 32x256 ...     cut large frames into tiles, too""",
    "encode-video": """examples:
  python -m inference.run encode-video film.mp4 --tae runs/demo/tae/model --out outputs/film.safetensors
  python -m inference.run encode-video film.mp4 --fit pad ...     where sizes are no multiples of 8""",
    "decode": """examples:
  python -m inference.run decode outputs/film.safetensors --tae runs/demo/tae/model --out outputs/film.mp4
  python -m inference.run decode outputs/film.safetensors --sound film.mp4 ...     with that file's sound""",
    "statistics": """examples:
  python -m inference.run statistics data/demo/curated/shards --tae runs/demo/tae/model
  python -m inference.run statistics folder/of/videos --tae runs/demo/tae/model --replace""",
}
SAYS = {
    "reconstruct": "a video of any length through a TAE and back, with its sound",
    "encode-video": "a video of any length to a file of latents",
    "decode": "a file of latents to a video",
    "statistics": "measure a TAE's latents on clips; mean and deviation go into its model folder",
}
VERBS = "|".join(SAYS)
DEFAULT = "(default: %(default)s)"


def add_stream_commands(verbs: Any) -> None:
    """Add the commands to a parser's subparsers."""
    add = _command(verbs, "reconstruct", _reconstruct)
    add("video", type=Path, help="any video file")
    _add_stream(add, "the mp4 to write")
    add("--no-sound", action="store_true", help="leave the sound out instead of copying it")
    add = _command(verbs, "encode-video", _encode_video)
    add("video", type=Path, help="any video file")
    _add_stream(add, "the .safetensors file to write")
    fits = "what becomes of sizes that the TAE does not divide: pad (decode cuts back) or crop the middle out"
    add("--fit", choices=["pad", "crop"], help=fits)
    add = _command(verbs, "decode", _decode)
    add("latents", type=Path, help="file that encode-video wrote")
    _add_stream(add, "the mp4 to write")
    add("--sound", type=Path, metavar="FILE", help="copy the sound of this file")
    add = _command(verbs, "statistics", _statistics)
    add("clips", type=Path, help="folder of shards or of videos, or one video")
    add("--tae", required=True, type=Path, help="model folder of the TAE")
    _add_place(add)
    add("--replace", action="store_true", help="measure a TAE again; it is another TAE then")


def _command(verbs: Any, name: str, run: Callable[[argparse.Namespace], int]) -> Any:
    return add_verb(verbs, name, says=SAYS[name], examples=EXAMPLES[name], run=run).add_argument


def _add_stream(add: Any, result: str) -> None:
    add("--tae", required=True, type=Path, help="model folder of the TAE")
    add("--out", required=True, type=Path, help=result)
    _add_place(add)


def _add_place(add: Any) -> None:
    add("--tile", default="32", metavar="FRAMES[xPIXELS]", help=f"sizes of tiles {DEFAULT}")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")


def _reconstruct(options: argparse.Namespace) -> int:
    from inference.reconstruct import reconstruct

    print(reconstruct(options.video, options.tae, options.out, _stream(options, sound=not options.no_sound)))
    return 0


def _encode_video(options: argparse.Namespace) -> int:
    from inference.encode_video import encode_video

    print(encode_video(options.video, options.tae, options.out, options.fit, _stream(options)))
    return 0


def _decode(options: argparse.Namespace) -> int:
    from inference.encode_video import decode_video

    print(decode_video(options.latents, options.tae, options.out, options.sound, _stream(options)))
    return 0


def _statistics(options: argparse.Namespace) -> int:
    from inference.statistics import measure

    print(measure(options.clips, options.tae, _stream(options), replace=options.replace))
    return 0


def _stream(options: argparse.Namespace, **more: Any) -> Any:
    from inference.tiles import StreamOptions

    return StreamOptions(tile=options.tile, device=options.device, **more)
