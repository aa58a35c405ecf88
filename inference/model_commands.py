"""`python -m inference.run export|import|average|grow|stretch`: what is done to models as a whole."""

import argparse
import sys
from pathlib import Path
from typing import Any

from console import UserError, add_verb

EXAMPLES = {
    "export": """examples:
  python -m inference.run export --model runs/demo/t2v/model --out exported
  python -m inference.run export --model runs/demo/t2v/model --form diffusers --shard-gb 5 --out exported""",
    "import": """examples:
  python -m inference.run import --from exported --out runs/imported/model""",
    "average": """examples:
  python -m inference.run average runs/a/model runs/b/model --weights 2 1 --out runs/average""",
    "grow": """examples:
  python -m inference.run grow --model runs/t2i/model --grid 32 32 32 --out runs/t2i/grown
  python -m inference.run grow --model runs/256/model --grid 32 96 96 --scale 1 3 3 --out runs/256/grown""",
    "stretch": """examples:
  python -m inference.run stretch --clip metaclip-h14 --tokens 256 --out long-metaclip""",
}
SAYS = {
    "export": "a model folder to one that can be given away, with a model card",
    "import": "a folder in the manner of diffusers to a model folder",
    "average": "the mean of several runs of a model, and how far apart they stand",
    "grow": "a transformer to larger position tables, for the next stage",
    "stretch": "a CLIP text tower of open_clip to more tokens, to be trained on",
}


def add_model_commands(verbs: Any) -> None:
    """Add the commands to a parser's subparsers."""
    add = _command(verbs, "export", _export)
    add("--model", required=True, type=Path, help="model folder")
    add("--form", choices=("folder", "diffusers"), default="folder", help="layout (default: %(default)s)")
    add("--shard-gb", type=float, help="size of a file of tensors at most (default: one file)")
    add("--out", required=True, type=Path, help="new folder")
    add = _command(verbs, "import", _import)
    add("--from", required=True, type=Path, dest="source", help="folder that export --form diffusers wrote")
    add("--out", required=True, type=Path, help="new model folder")
    add = _command(verbs, "average", _average)
    add("models", nargs="+", type=Path, metavar="MODEL", help="model folders of runs of one model")
    add("--weights", nargs="+", type=float, metavar="W", help="one for each, of any sum (default: equal)")
    add("--out", required=True, type=Path, help="model folder of the average")
    add = _command(verbs, "grow", _grow)
    add("--model", required=True, type=Path, help="model folder of a transformer")
    add("--grid", required=True, type=int, nargs=3, metavar=("FRAMES", "ROWS", "COLUMNS"), help="in tokens")
    add("--scale", type=int, nargs=3, default=[1, 1, 1], metavar=("FRAMES", "ROWS", "COLUMNS"),
        help="new tokens where one stood (default: 1 1 1, only room behind)")  # fmt: skip
    add("--seed", type=int, default=0, help="of new entries (default: %(default)s)")
    add("--out", required=True, type=Path, help="new model folder")
    add = _command(verbs, "stretch", _stretch)
    add("--clip", required=True, help="folder or hub name of an open_clip model with safetensors")
    add("--tokens", type=int, default=256, help="tokens to have room for (default: %(default)s)")
    add("--out", required=True, type=Path, help="new folder")


def _command(verbs: Any, name: str, run: Any) -> Any:
    return add_verb(verbs, name, says=SAYS[name], examples=EXAMPLES[name], run=run).add_argument


def _export(options: argparse.Namespace) -> int:
    from inference.exchange import export_diffusers, export_folder

    export = export_diffusers if options.form == "diffusers" else export_folder
    export(options.model, options.out, options.shard_gb)
    print(options.out)
    return 0


def _import(options: argparse.Namespace) -> int:
    from inference.exchange import import_diffusers

    import_diffusers(options.source, options.out)
    print(options.out)
    return 0


def _average(options: argparse.Namespace) -> int:
    from inference.average import WHOLE, Source, average_models

    weights = options.weights or [1.0] * len(options.models)
    if len(weights) != len(options.models):
        raise UserError(
            f"--weights: {len(weights)} came for {len(options.models)} models. Give one for each."
        )
    done = average_models(list(map(Source, options.models, weights)), options.out)
    for found in done.distances:
        what = f"{found.first} and {found.second}" if found.part == WHOLE else f"  in {found.part}"
        print(f"{what}: distance {found.relative:.4f} of the norm, cosine {found.cosine:.4f}")
    for name in done.departing:
        print(f"warning: the models differ in '{name}'; the average has that of the first.", file=sys.stderr)
    print(options.out)
    return 0


def _grow(options: argparse.Namespace) -> int:
    import torch

    from inference.weights import load_model, save_model
    from models.transformer import Transformer
    from models.transformer.grow import grow

    loaded = load_model(options.model, expect=Transformer)
    generator = torch.Generator().manual_seed(options.seed)
    try:
        grown = grow(loaded.model, tuple(options.grid), tuple(options.scale), generator)
    except ValueError as error:
        raise UserError(str(error)) from error
    save_model(options.out, grown, loaded.facts)
    print(options.out)
    return 0


def _stretch(options: argparse.Namespace) -> int:
    from models.text.clip_folder import read_clip, write_clip
    from models.text.source import find_folder
    from models.text.stretch import stretch

    try:
        longer = stretch(read_clip(find_folder(options.clip)), options.tokens)
    except (ValueError, FileNotFoundError) as error:
        raise UserError(str(error)) from error
    write_clip(options.out, longer)
    print(options.out)
    return 0
