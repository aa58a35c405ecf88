"""What each command of `python -m inference.run` can be told; no torch is imported to answer --help."""

import argparse
from pathlib import Path

DEFAULT = "(default: %(default)s)"


def add_sampling(parser: argparse.ArgumentParser, kind: str) -> None:
    """Options of a product that is sampled from prompts: `kind` is "video" or "image"."""
    add = parser.add_argument
    add("prompt", nargs="*", help="what to show")
    add("--prompts", type=Path, metavar="FILE", help="file of prompts: one a line, or .jsonl")
    add("--out", type=Path, default=Path("outputs"), help=f"file or folder {DEFAULT}")
    add("--model", type=Path, default=Path("runs/demo/t2v/model"), help=f"model folder {DEFAULT}")
    add("--tae", type=Path, help="model folder of the TAE (default: where training found it)")
    add("--size", metavar="WxH[xF]", help="a bucket the model was trained on (default: the usual one)")
    if kind == "video":
        add(
            "--image",
            type=Path,
            metavar="FILE",
            help="the first frame, for a model trained with first frames",
        )
        add("--frames", type=int, help="frames of the clip (default: as in --size, else the usual ones)")
        add("--fps", type=float, help="frames a second, of those it was trained at (default: the usual one)")
    unseen = "sizes" if kind == "image" else "sizes and rates"
    add("--off-bucket", action="store_true", help=f"also take {unseen} it never saw, if its tables hold them")
    add("--seed", type=int, default=0, help=f"seed of the first result {DEFAULT}")
    add("--count", type=int, default=1, help=f"results for each prompt, seeds counting up {DEFAULT}")
    add("--batch", type=int, default=16, help=f"results sampled at once {DEFAULT}")
    add("--preview", type=int, metavar="K", help="after every K steps, a picture of what is seen by then")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")
    add("--overwrite", action="store_true", help="make again what the same settings have made already")
    _add_rewriting(parser)
    _add_solver(parser)


def _add_rewriting(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "rewriting of prompts by a language model; off unless asked for"
    ).add_argument
    add("--rewrite", metavar="URL|FOLDER", help="OpenAI-compatible address, as http://localhost:8000/v1 (its "
        "key: REWRITE_API_KEY in the environment), or folder of a causal model of transformers")  # fmt: skip
    add("--rewrite-model", default="", metavar="NAME", help="name of the model at that address")
    add("--rewrite-timeout", type=float, default=60.0, help=f"seconds for a prompt at an address {DEFAULT}")
    add("--rewrite-cache", type=Path, default=Path("outputs/rewritten"), metavar="FOLDER", help=
        f"answers that were good, not asked for again {DEFAULT}")  # fmt: skip


def _add_solver(parser: argparse.ArgumentParser) -> None:
    """Fields of inference.sampling.Sampling, none of which has its default here."""
    own = "(default: the model's own, else {})".format
    add = parser.add_argument_group("from noise to data").add_argument
    add("--method", help=f"euler, midpoint, heun or dopri5 {own('euler')}")
    add("--steps", type=int, help=f"steps of the method; dopri5 chooses its own {own('50')}")
    add("--schedule", help=f"linear-quadratic, linear-quadratic-flat or linear {own('linear-quadratic')}")
    add("--emulated", type=int, help=f"linear steps that linear-quadratic imitates {own('250')}")
    add("--tolerance", type=float, help=f"error that dopri5 allows in a step {own('0.001')}")
    add("--guidance", type=float, help=f"scale of guidance; 1 is none {own('7.5')}")
    add("--guidance-from", type=float, metavar="T", help=f"time it begins; 0 is noise {own('0')}")
    add("--guidance-until", type=float, metavar="T", help=f"time it ends; 1 is data {own('1')}")
    add("--cache", type=float, metavar="C", help=f"skip blocks that change less than C, as 0.02 {own('0')}")
    add("--negative", help=f"what to steer away from {own('nothing')}")


def add_encode(parser: argparse.ArgumentParser) -> None:
    """Options of `encode`."""
    add = parser.add_argument
    add("--shards", required=True, type=Path, help="folder with train/ and val/ of curated shards")
    add("--tae", required=True, type=Path, help="model folder of the TAE")
    add("--out", required=True, type=Path, help="folder for the encoded train/ and val/")
    says = "minilm, a folder or a hub name: SOURCE[@TOKENS][:quoted], several joined by +"
    add("--text", default="minilm", help=f"{says} {DEFAULT}")
    add("--max-tokens", type=int, default=64, help=f"tokens kept of a caption {DEFAULT}")
    add("--prefix", nargs="+", choices=("fps", "camera"), default=(), help="what to put before captions")
    add("--batch", type=int, default=16, help=f"clips encoded at once {DEFAULT}")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")
    add("--first-frame", action="store_true", help="also each clip's first frame alone, for image-to-video")
    add("--sure", type=float, default=0.8, help=f"confidence from which a camera motion is named {DEFAULT}")
    add("--shrink", type=int, default=1, metavar="N", help="divide rows and columns by N")
    add("--images", action="store_true", help="the middle frame of each clip alone, for text-to-image")
    add("--only", type=Path, metavar="FILE", help="encode these training clips alone: a clip_id on each line")
    tile = "encode in tiles: long or large clips at constant memory (alone: 32)"
    add("--tile", nargs="?", const="32", metavar="FRAMES[xPIXELS]", help=tile)
    add("--replace", action="store_true", help="first remove what another TAE or other shards left in --out")
