"""Curation: raw videos become training shards. Runs all stages, or up to --stage, and only what is not done.

python -m curation.run                      all stages, the verdicts of the subset, the shards, the report
python -m curation.run --stage motion       motion, and first what it stands on
python -m curation.run --engine slurm       the same as chained array jobs; ray: on a Ray cluster
python -m curation.run plan                 what would run, and why
python -m curation.run select --subset X    the funnel of another subset, from stored scores
python -m curation.run explain CLIP_ID      every score and verdict of a clip
python -m curation.run pairs                for each clip kept, other clips of the same person
python -m curation.run nearest SEED ...     clips near chosen ones: clip ids, files of the run, other videos
python -m curation.run verify DIR           whether shards are whole
"""

import argparse
import sys
from pathlib import Path

from console import command

STAGES = (
    "ingest",
    "split",
    "keyframes",
    "visual",
    "motion",
    "embed",
    "faces",
    "identities",
    "audio",
    "content",
    "caption",
    "shards",
)
VERBS = ("run", "task", "plan", "select", "explain", "pairs", "nearest", "verify")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    shared = _settings()
    top = argparse.ArgumentParser(
        prog="python -m curation.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="{run,task,plan,select,explain,pairs,nearest,verify}")
    run = verbs.add_parser("run", parents=[shared], help="run what is due (the default)")
    run.add_argument("--stage", metavar="NAME", help=f"only up to this stage: {' '.join(STAGES)}")
    run.add_argument("--engine", metavar="NAME", help="pool (default), ray or slurm: where the work is done")
    run.add_argument("--workers", type=int, metavar="N", help="processes; 0 for one per core")
    run.add_argument(
        "--retry",
        nargs="?",
        const="all",
        choices=("files", "captions", "all"),
        help="ask again for files that could not be fetched, captions that failed, or both (the default)",
    )
    run.add_argument("--no-mlflow", action="store_true", help="do not log the run")
    task = verbs.add_parser("task", parents=[shared], help="a share of one step: a task of an array job")
    task.add_argument("--step", required=True, metavar="NAME", help="a stage, or stages with one decode: A+B")
    task.add_argument("--shard-of", required=True, metavar="K/N", help="every N-th unit, from the K-th on")
    verbs.add_parser("plan", parents=[shared], help="what would run, and why")
    scores = argparse.ArgumentParser(add_help=False)
    scores.add_argument(
        "--table", type=Path, metavar="FILE", help="scores.parquet of any run, in place of this run's tables"
    )
    verbs.add_parser("select", parents=[shared, scores], help="the funnel of a subset, from stored scores")
    explain = verbs.add_parser("explain", parents=[shared, scores], help="every score and verdict of a clip")
    explain.add_argument("clip_id")
    pairs = verbs.add_parser("pairs", parents=[shared], help="clips of one person, for the kept ones")
    pairs.add_argument(
        "--generated",
        type=Path,
        metavar="DIR",
        help="pictures of the clips' persons that an image model made",
    )
    nearest = verbs.add_parser("nearest", parents=[shared], help="the clips that are nearest to seeds")
    nearest.add_argument("seeds", nargs="+", metavar="SEED", help="clip_id, file of the run, or any video")
    nearest.add_argument("--each", type=int, default=20, metavar="K", help="clips for a seed (default 20)")
    verify = verbs.add_parser("verify", help="check shards against their index")
    verify.add_argument("folder", type=Path)
    return top


def _settings() -> argparse.ArgumentParser:
    """What most verbs take: where from, where to, which rules."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-c", "--config", default="configs/curation/default.yaml", help="settings (default %(default)s)"
    )
    shared.add_argument("--input", metavar="WHERE", help="folder, pattern, list, tar or address of videos")
    shared.add_argument("--out", metavar="DIR", help="folder for shards, report and work")
    shared.add_argument(
        "--subset", metavar="NAME", help="rules: a name in configs/curation/subsets or a path"
    )
    shared.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="changes",
        help="a setting, as split.seed=3",
    )
    return shared


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not any(word in VERBS for word in given[:1]) and not set(given[:1]) & {"-h", "--help"}:
        given.insert(0, "run")
    options = parser().parse_args(given)
    from curation import commands  # pyarrow and the stages: not needed for --help

    return getattr(commands, options.verb)(options)


if __name__ == "__main__":
    command(main)
