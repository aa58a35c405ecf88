"""`python -m evaluation.run tae|t2v|report ...`: measure what was trained, and show it on one page."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console import UserError, add_verb, command

EXAMPLES = {
    "tae": """examples:
  python -m evaluation.run tae --model runs/demo/tae/model --shards data/demo/curated/shards/val \\
      --out runs/demo/tae/eval.json
  python -m evaluation.run tae --peer wan=/models/Wan2.1-Diffusers --frames-network inception.onnx""",
    "t2v": """examples:
  python -m evaluation.run t2v --model runs/demo/t2v/model --prompts 64 --seed 0 \\
      --size 1.3 --pace 0.4 --out runs/demo/t2v/eval""",
    "report": """examples:
  python -m evaluation.run report --out report/index.html
  python -m evaluation.run report --curation data/demo/curated --tae runs/demo/tae --t2v runs/demo/t2v""",
}
DEFAULT = "(default: %(default)s)"
STAGING = ("size", "pace", "gap")  # options of a world, and fields of its Staging


def main(arguments: list[str] | None = None) -> int:
    """Parse and run one command."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.run",
        description="Measure trained models and build the report. Toy world: python -m evaluation.toy_world.",
        epilog="\n".join(EXAMPLES.values()).replace("\nexamples:", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="tae|t2v|report")
    _add_tae(
        _verb(
            verbs, "tae", "a TAE's reconstructions of held-out clips, scored and beside other VAEs", _run_tae
        )
    )
    _add_t2v(
        _verb(verbs, "t2v", "accuracy of clips generated for held-out prompts of the toy world", _run_t2v)
    )
    _add_report(_verb(verbs, "report", "one HTML page of all stages, readable without a server", _run_report))
    return parser


def _verb(
    verbs: Any, name: str, says: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    return add_verb(verbs, name, says=says, examples=EXAMPLES[name], run=run)


def _add_tae(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, default=Path("runs/demo/tae/model"), help=f"model folder {DEFAULT}")
    add(
        "--shards", type=Path, default=Path("data/demo/curated/shards/val"), help=f"held-out shards {DEFAULT}"
    )
    add("--out", type=Path, default=Path("runs/demo/tae/eval.json"), help=f"result {DEFAULT}")
    add("--limit", type=int, help="clips to use (default: all)")
    add(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="a VAE of diffusers, or another model folder of ours, on the same clips; may be given again",
    )
    add(
        "--frames-network",
        metavar="FILE",
        help="ONNX network of frames for rFID-like (default: the packaged EfficientNet-Lite0)",
    )
    add("--clips-network", metavar="FILE", help="ONNX network of clips for rFVD-like")
    add(
        "--levels",
        type=float,
        nargs=2,
        default=[-1.0, 1.0],
        metavar=("BLACK", "WHITE"),
        help="what these networks take for black and white (default: -1 1)",
    )
    add("--lpips", nargs=2, metavar=("vgg|alex", "FILE"), help="LPIPS on torchvision's weights in FILE")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")


def _add_t2v(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, default=Path("runs/demo/t2v/model"), help=f"model folder {DEFAULT}")
    add("--tae", type=Path, help="model folder of the TAE (default: where training found it)")
    add(
        "--out",
        type=Path,
        default=Path("runs/demo/t2v/eval"),
        help=f"folder for clips and eval.json {DEFAULT}",
    )
    add("--prompts", type=int, default=64, help=f"how many held-out prompts {DEFAULT}")
    add("--seed", type=int, default=0, help=f"seed of the prompts and of the noise {DEFAULT}")
    add("--camera", type=float, default=0.0, help=f"share of prompts in which the camera moves {DEFAULT}")
    add(
        "--counted", type=float, default=0.0, help=f"share of prompts that name a number of sprites {DEFAULT}"
    )
    for name in STAGING:
        add(f"--{name}", type=float, help="as the world was made with, where it was")
    add("--steps", type=int, help="Euler steps (default: the model's own, else 50)")
    add("--guidance", type=float, help="scale of guidance; 1 is none (default: the model's own, else 7.5)")
    add("--schedule", help="linear-quadratic or linear (default: the model's own, else linear-quadratic)")
    add("--batch", type=int, default=16, help=f"clips sampled at once {DEFAULT}")
    add("--device", default="auto", help=f"auto, cpu, cuda, cuda:1 {DEFAULT}")


def _add_report(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--out", type=Path, default=Path("report/index.html"), help=f"the page {DEFAULT}")
    add("--curation", type=Path, default=Path("data/demo/curated"), help=f"what curation put out {DEFAULT}")
    add("--tae", type=Path, default=Path("runs/demo/tae"), help=f"run folder of the TAE {DEFAULT}")
    add("--t2v", type=Path, default=Path("runs/demo/t2v"), help=f"run folder of the T2V model {DEFAULT}")


def _run_tae(options: argparse.Namespace) -> int:
    from evaluation.reconstruction import Clips, evaluate_tae

    _positive("--limit", options.limit)
    clips = Clips(options.shards, options.limit)
    result = evaluate_tae(options.model, clips, options.out, _comparison(options), options.device)
    psnr, ssim = result["psnr"], result["ssim"]
    print(f"{result['count']} held-out clips of {result['bucket']}")
    print(f"PSNR {psnr['mean']:.2f} dB (worst {psnr['worst']:.2f}, best {psnr['best']:.2f})")
    print(f"SSIM {ssim['mean']:.4f} (worst {ssim['worst']:.4f}, best {ssim['best']:.4f})")
    print(options.out)
    return 0


def _comparison(options: argparse.Namespace) -> Any:
    """What the options of `tae` say of judges and peers."""
    from evaluation.comparison import ComparisonConfig
    from evaluation.metrics.extractors import ExtractorConfig

    peers = dict(peer.partition("=")[::2] for peer in options.peer)
    if faulty := [name or "=" for name, folder in peers.items() if not name or not folder]:
        raise UserError(f"--peer takes NAME=FOLDER, as wan=/models/wan; '{faulty[0]}' came.")
    levels = dict(zip(("black", "white"), options.levels, strict=True))
    network, weights = options.lpips or (None, None)
    if network not in (None, "vgg", "alex"):
        raise UserError(f"--lpips takes vgg or alex and the file of its weights; '{network}' came.")
    judged = {"perceptual": f"lpips-{network}", "perceptual_weights": weights} if network else {}
    try:
        return ComparisonConfig(
            frame_extractor=ExtractorConfig(path=options.frames_network, **levels),
            clip_extractor=ExtractorConfig(path=options.clips_network, **levels),
            peers=peers,
            **judged,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _run_t2v(options: argparse.Namespace) -> int:
    from evaluation.generation import Prompts, evaluate_t2v
    from evaluation.toy_world.scene import Staging
    from evaluation.toy_world.settings import checked_staging
    from inference.pipeline import open_pipeline
    from inference.sampling import sampling_for

    _positive("--prompts", options.prompts)
    if min(options.camera, options.counted) < 0 or options.camera + options.counted > 1:
        raise UserError(
            "--camera and --counted are shares of the prompts, of 0 or more and together 1 at most; "
            f"{options.camera:g} and {options.counted:g} came."
        )
    given = {name: getattr(options, name) for name in STAGING if getattr(options, name) is not None}
    staging = checked_staging(Staging(**given))
    pipeline = open_pipeline(options.model, options.tae, options.device)
    asked_for = {name: getattr(options, name) for name in ("steps", "guidance", "schedule")}
    sampling = sampling_for(pipeline.facts, **asked_for)
    prompts = Prompts(options.prompts, options.seed, options.camera, options.counted, staging)
    result = evaluate_t2v(pipeline, options.out, prompts, sampling, options.batch)
    _print_accuracy(result)
    print(options.out / "eval.json")
    return 0


def _run_report(options: argparse.Namespace) -> int:
    from evaluation.report.build import build_report

    missing = build_report(options.out, options.curation, options.tae, options.t2v)
    for part, remedy in missing:
        print(f"not there yet: {part}. Make it with: {remedy}")
    print(options.out)
    return 0


def _print_accuracy(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['prompts']} held-out prompts, guidance {result['sampling']['guidance']:g}")
    columns = {
        "generated": "accuracy",
        "chance": "chance",
        "true clips": "true_clips",
        "true, through TAE": "through_tae",
    }
    table.add_column("")
    for heading in columns:
        table.add_column(heading, justify="right")
    for name in result["accuracy"]:
        table.add_row(name, *(f"{result[key][name]:.1%}" for key in columns.values()))
    console = Console()
    console.print(table)
    for name, choices in result["by_choice"].items():
        console.print(f"{name}: " + ", ".join(f"{wanted} {share}" for wanted, share in choices.items()))


def _positive(option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(f"{option} must be at least 1; {value} came.")


if __name__ == "__main__":
    command(main)
