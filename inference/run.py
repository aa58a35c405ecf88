"""`python -m inference.run t2v|encode|reconstruct ...`: the commands; each has its own file."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError, command
from inference.model_commands import add_model_commands
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
DEFAULT = "(default: %(default)s)"


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one command."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.run",
        description="Make clips and images from text, or encode shards for training.",
        epilog="\n".join(EXAMPLES.values()).replace("\nexamples:", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar=f"t2v|t2i|encode|export|import|grow|stretch|{VERBS}")
    _add_sampling(_verb(verbs, "t2v", "text to video: an mp4, a contact sheet and its facts", _run_t2v))
    _add_sampling(_verb(verbs, "t2i", "text to image: a PNG and its facts, from the same model", _run_t2i))
    _add_encode(
        _verb(verbs, "encode", "clips in shards to latents and text embeddings in shards", _run_encode)
    )
    add_model_commands(verbs)
    add_stream_commands(verbs)
    return parser


def _verb(
    verbs: Any, name: str, says: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=says,
        description=says[0].upper() + says[1:] + ".",
        epilog=EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("prompt", nargs="*", help="what to show")
    add("--prompts", type=Path, metavar="FILE", help="file of prompts: one a line, or .jsonl")
    add("--out", type=Path, default=Path("outputs"), help=f"file or folder {DEFAULT}")
    add("--model", type=Path, default=Path("runs/demo/t2v/model"), help=f"model folder {DEFAULT}")
    add("--tae", type=Path, help="model folder of the TAE (default: where training found it)")
    add("--steps", type=int, help="Euler steps (default: the model's own, else 50)")
    add("--guidance", type=float, help="scale of guidance; 1 is none (default: the model's own, else 7.5)")
    add("--schedule", help="linear-quadratic or linear (default: the model's own, else linear-quadratic)")
    add("--negative", help="what to steer away from (default: nothing)")
    add("--size", metavar="WxH[xF]", help="a bucket the model was trained on (default: the usual one)")
    add("--seed", type=int, default=0, help=f"seed of the first result {DEFAULT}")
    add("--count", type=int, default=1, help=f"results for each prompt, seeds counting up {DEFAULT}")
    add("--batch", type=int, default=16, help=f"results sampled at once {DEFAULT}")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")
    add("--overwrite", action="store_true", help="make again what the same settings have made already")


def _add_encode(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--shards", required=True, type=Path, help="folder with train/ and val/ of curated shards")
    add("--tae", required=True, type=Path, help="model folder of the TAE")
    add("--out", required=True, type=Path, help="folder for the encoded train/ and val/")
    add("--text", default="minilm", help=f"text encoder: minilm, or a transformers folder {DEFAULT}")
    add("--max-tokens", type=int, default=64, help=f"tokens kept of a caption {DEFAULT}")
    add("--batch", type=int, default=16, help=f"clips encoded at once {DEFAULT}")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")
    add("--replace", action="store_true", help="first remove what another TAE or other shards left in --out")


class Product(NamedTuple):
    """What sets one product of sampling apart from the others."""

    suffix: str
    frames: int | None  # None: as trained
    generate: Callable[..., Any]
    write: Callable[[Any, Any], None]


def _run_t2v(options: argparse.Namespace) -> int:
    from inference.outputs import write_clip
    from inference.t2v import generate

    def write(job: Any, clip: Any) -> None:
        write_clip(job.path, clip, job.facts["fps"], job.facts)

    return _sample(options, Product(".mp4", None, generate, write))


def _run_t2i(options: argparse.Namespace) -> int:
    from inference.outputs import write_image
    from inference.t2i import generate_images

    def write(job: Any, image: Any) -> None:
        write_image(job.path, image, job.facts)

    return _sample(options, Product(".png", 1, generate_images, write))


def _sample(options: argparse.Namespace, product: Product) -> int:
    from inference.jobs import parse_shape, plan, run_jobs, unfinished
    from inference.outputs import output_paths
    from inference.pipeline import open_pipeline
    from inference.prompts import read_prompts, requests, warn_of_cuts
    from inference.t2v import sampling_for

    if bool(options.prompt) == bool(options.prompts):
        raise UserError('Give one prompt, such as "a red ball moves left", or --prompts FILE.')
    prompts = read_prompts(options.prompts) if options.prompts else [" ".join(options.prompt)]
    asked = requests(prompts, options.seed, options.count)
    paths = output_paths(options.out, asked, product.suffix)
    pipeline = open_pipeline(options.model, options.tae, options.device)
    asked_for = {name: getattr(options, name) for name in ("steps", "guidance", "schedule", "negative")}
    sampling = sampling_for(pipeline.facts, **asked_for)
    shape = pipeline.checked(parse_shape(options.size, pipeline.shape, product.frames))
    warn_of_cuts([*prompts, sampling.negative], pipeline.text)
    jobs = plan(pipeline, asked, paths, sampling, shape)
    todo = jobs if options.overwrite else unfinished(jobs)
    if len(todo) < len(jobs):
        print(f"{len(jobs) - len(todo)} of {len(jobs)} are there already, made with the same settings.")

    def make(batch: Any, on_step: Any) -> Any:
        return product.generate(pipeline, batch, sampling, shape, on_step)

    for job, result in run_jobs(todo, options.batch, sampling.steps, make):
        product.write(job, result)
        print(job.path)
    return 0


def _run_encode(options: argparse.Namespace) -> int:
    from inference.encode import EncodeOptions, encode

    settings = EncodeOptions(
        text=options.text, max_tokens=options.max_tokens, batch=options.batch, device=options.device
    )
    print(encode(options.shards, options.tae, options.out, settings, replace=options.replace))
    return 0


if __name__ == "__main__":
    command(main)
