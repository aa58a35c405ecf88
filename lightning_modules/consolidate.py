"""`python -m lightning_modules.consolidate runs/t2v --out model`: a checkpoint's shards as a model folder."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from console import UserError, command

SIZE = re.compile(r"(\d+)\s*([KMGT]?)B?", re.IGNORECASE)
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m lightning_modules.consolidate",
        description="Write what inference opens (config.json, *.safetensors) from a run's checkpoint, "
        "of any number of processes. One process does it without GPU; the weights must fit its memory.",
    )
    made.add_argument(
        "run", type=Path, help="a run's folder (its newest whole checkpoint), or one checkpoint"
    )
    made.add_argument("--out", type=Path, required=True, help="the model folder; an older one is replaced")
    which = made.add_mutually_exclusive_group()
    which.add_argument("--step", type=int, help="the checkpoint of this step instead of the newest")
    which.add_argument("--best", action="store_true", help="the checkpoint of the best validation instead")
    made.add_argument("--shard_size", metavar="SIZE", help="largest file of tensors, as 5GB; else one file")
    return made


def main(args: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    options = parser().parse_args(args)
    size = _bytes(options.shard_size) if options.shard_size is not None else None
    folder = _checkpoint(options.run, options.step, best=options.best)
    count, step = consolidate(folder, options.out, size)
    print(f"{options.out}: {count} tensors of step {step}, from {folder}", file=sys.stderr)
    return 0


def consolidate(folder: Path, out: Path, shard_bytes: int | None = None) -> tuple[int, int]:
    """Write the exported weights of checkpoint `folder` to the model folder `out`; their number, its step."""
    from inference.weights import save_tensors
    from lightning_modules.sealed import exported, read_plain, verify
    from lightning_modules.shards import empty_tensors, read_tensors
    from lightning_modules.snapshot import MODEL, Snapshot
    from lightning_modules.team import Team

    verify(folder, Team())
    plain = read_plain(folder, 0)
    export = plain.get("export")
    if export is None:
        raise UserError(
            f"The stage of '{folder}' says nothing of a model that inference could open: nothing to write."
        )
    start = f"{MODEL}/{export['prefix']}"
    there = {name: tensor for name, tensor in empty_tensors(folder).items() if name.startswith(start)}
    read_tensors(folder, there)
    tensors = exported(Snapshot(there, plain))
    save_tensors(out, tensors, export["description"], shard_bytes)
    return len(tensors), int(plain["global_step"])


def _checkpoint(run: Path, step: int | None, *, best: bool) -> Path:
    from lightning_modules.run_folder import CHECKPOINT, RunFolder

    if CHECKPOINT.fullmatch(run.resolve().name):
        if step is not None or best:
            raise UserError(
                f"'{run}' is one checkpoint; --step and --best choose among those of a run's folder."
            )
        return run
    folder = RunFolder(run)
    whole = folder.whole_checkpoints()
    found = folder.best() if best else folder.checkpoint(step) if step is not None else folder.newest()
    if found is None or found not in whole:
        asked = "the best of" if best else f"step {step} of" if step is not None else "any of"
        steps = ", ".join(path.name for path in whole) or "none"
        raise UserError(f"'{run}' does not have a whole checkpoint of {asked} its steps; there are: {steps}.")
    return found


def _bytes(text: str) -> int:
    match = SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise UserError(f"--shard_size must be a size such as 5GB or 500MB; '{text}' came.")
    return int(match[1]) * UNITS[match[2].upper()]


if __name__ == "__main__":
    command(main)
