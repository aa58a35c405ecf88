"""`python -m inference.run t2v|encode|reconstruct ...`: the commands; each has its own file."""

import argparse
from collections.abc import Callable
from typing import Any

from console import add_verb, command
from inference.model_commands import add_model_commands
from inference.options import add_encode, add_sampling
from inference.stream_commands import VERBS, add_stream_commands

EXAMPLES = {
    "t2v": """examples:
  python -m inference.run t2v "a red ball moves left" --out outputs/clip.mp4
  python -m inference.run t2v "a red ball moves left" --count 4 --seed 10 --out outputs
  python -m inference.run t2v --prompts prompts.txt --out outputs --guidance 3 --steps 25""",
    "t2i": """examples:
  python -m inference.run t2i "a green star on sand" --out outputs/star.png
  python -m inference.run t2i --prompts prompts.txt --out outputs""",
    "encode": """examples:
  python -m inference.run encode --shards data/demo/curated/shards --tae runs/demo/tae/model \\
      --out data/demo/latents
  python -m inference.run encode ... --replace     where --out holds latents of another TAE""",
}


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one command."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.run",
        description="Make clips and images from text, encode shards for training, keep and average models.",
        epilog="\n".join(EXAMPLES.values()).replace("\nexamples:", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(
        required=True, metavar=f"t2v|t2i|encode|export|import|average|grow|stretch|{VERBS}"
    )
    add_sampling(
        _verb(verbs, "t2v", "text to video: an mp4, a contact sheet and its facts", _run_t2v), "video"
    )
    add_sampling(
        _verb(verbs, "t2i", "text to image: a PNG and its facts, from the same model", _run_t2i), "image"
    )
    add_encode(
        _verb(verbs, "encode", "clips in shards to latents and text embeddings in shards", _run_encode)
    )
    add_model_commands(verbs)
    add_stream_commands(verbs)
    return parser


def _verb(
    verbs: Any, name: str, says: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    return add_verb(verbs, name, says=says, examples=EXAMPLES[name], run=run)


def _run_t2v(options: argparse.Namespace) -> int:
    from inference.products import VIDEO, make_products

    return make_products(options, VIDEO)


def _run_t2i(options: argparse.Namespace) -> int:
    from inference.products import IMAGE, make_products

    return make_products(options, IMAGE)


def _run_encode(options: argparse.Namespace) -> int:
    from inference.encode import EncodeOptions, encode
    from inference.picked import Picked, read_ids

    only = None if options.only is None else read_ids(options.only)
    settings = EncodeOptions(
        text=options.text,
        max_tokens=options.max_tokens,
        prefix=tuple(options.prefix),
        batch=options.batch,
        device=options.device,
        first_frame=options.first_frame,
        tile=options.tile,
        sure=options.sure,
        picked=Picked(shrink=options.shrink, images=options.images, only=only),
    )
    print(encode(options.shards, options.tae, options.out, settings, replace=options.replace))
    return 0


if __name__ == "__main__":
    command(main)
