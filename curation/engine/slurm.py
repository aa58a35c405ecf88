"""The engine `slurm`: array scripts, one for each step of a run, and their submission as one chain.

A step is one stage, or several that share a decode; each waits until all tasks of the one before have ended
well, so that a stage which must see every row finds them. Inside a task works the supervised pool, with its
rule for deaths.
"""

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from console import UserError
from storage import write_text

HINT = "Set engine.slurm.submit=false to write the scripts alone."


@dataclass(frozen=True, kw_only=True)
class OnSlurm:
    """How the engine `slurm` asks for machines."""

    tasks: int = 16
    "Tasks of an array, at most"
    options: tuple[str, ...] = ()
    "Options of sbatch for every step, as --partition=cpu or --cpus-per-task=8"
    stages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    "Options for the steps that a stage is in, as {caption: [--gres=gpu:1]}"
    submit: bool = True
    "Submit the scripts and wait for their end; else they are only written"

    def __post_init__(self):
        if self.tasks < 1:
            raise UserError(f"engine.slurm.tasks is {self.tasks}; it must be at least 1.")
        for option in (*self.options, *(one for options in self.stages.values() for one in options)):
            if not option.startswith("-") or "\n" in option:
                raise UserError(f"engine.slurm: {option!r} is no option of sbatch; one looks like --mem=32G.")


@dataclass(frozen=True)
class Step:
    """One array job."""

    stages: tuple[str, ...]
    tasks: int
    command: tuple[str, ...]
    "Of a task, without its share"

    @property
    def name(self) -> str:
        return "+".join(self.stages)


class Slurm:
    """The scripts of a run, in `folder`, which every node must see. `here`: where their commands are run."""

    def __init__(self, settings: OnSlurm, folder: Path, here: Path):
        self.settings, self.folder, self.here = settings, folder.absolute(), here.absolute()

    def write(self, steps: list[Step], last: tuple[str, ...]) -> list[Path]:
        """Write a script for each step, and submit.sh, which submits them as a chain that ends with the
        command `last`."""
        shutil.rmtree(self.folder / "scripts", ignore_errors=True)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        paths = []
        for number, step in enumerate(steps, start=1):
            paths.append(self.folder / "scripts" / f"{number}-{step.name}.sh")
            write_text(paths[-1], self._script(step))
        end = self.folder / "scripts" / f"{len(steps) + 1}-end.sh"
        write_text(end, self._script(Step(("end",), 0, last)))
        write_text(self.folder / "submit.sh", _chain([*paths, end]))
        return paths

    def run(self, scripts: list[Path]) -> bool:
        """Submit the chain and wait; whether Slurm says that it ended well. Leaving early cancels it."""
        if shutil.which("sbatch") is None:
            raise UserError(f"The engine slurm needs sbatch, which is not on PATH here. {HINT}")
        numbers: list[str] = []
        try:
            for path in scripts:
                last = path is scripts[-1]
                after = _after(numbers[-1]) if numbers else []
                number, code = _submit([*after, *(["--wait"] if last else []), str(path)], numbers)
                print(f"sbatch {path.name}: job {number}", file=sys.stderr)
        except BaseException:
            _cancel(numbers)
            raise
        return code == 0

    def _script(self, step: Step) -> str:
        options = [*self.settings.options]
        for stage in step.stages:
            options += self.settings.stages.get(stage, ())
        lines = ["#!/bin/bash", f"#SBATCH --job-name=curation-{step.name}"]
        pattern = "%x-%A_%a.log" if step.tasks else "%x-%j.log"
        lines += [f"#SBATCH --array=0-{step.tasks - 1}"] if step.tasks else []
        lines += [f"#SBATCH --output={self.folder / 'logs' / pattern}"]
        lines += [f"#SBATCH {option}" for option in dict.fromkeys(options)]
        share = f' --shard-of "$SLURM_ARRAY_TASK_ID/{step.tasks}"' if step.tasks else ""
        lines += ["set -eu", f"cd {shlex.quote(str(self.here))}", f"exec {shlex.join(step.command)}{share}"]
        return "\n".join(lines) + "\n"


def _chain(scripts: list[Path]) -> str:
    lines = ["#!/bin/sh", "# Submits the steps of a curation run, each after the one before.", "set -eu"]
    for number, path in enumerate(scripts):
        after = f"{shlex.join(_after('ID'))} ".replace("ID", '"${id%%;*}"') if number else ""
        lines += [f"id=$(sbatch --parsable {after}{shlex.quote(str(path))})", f'echo "{path.stem}: job $id"']
    return "\n".join(lines) + "\n"


def _after(number: str) -> list[str]:
    """Options that let a job wait for the good end of another, and that end it where that cannot come."""
    return [f"--dependency=afterok:{number}", "--kill-on-invalid-dep=yes"]


def _submit(arguments: list[str], numbers: list[str]) -> tuple[str, int]:
    """The number of the new job, put into `numbers` at once, and the exit code: with --wait the job's."""
    command = ["sbatch", "--parsable", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        number = process.stdout.readline().strip().split(";")[0]  # of several clusters: number;cluster
        if number.isdigit():
            numbers.append(number)
        said = process.stderr.read().strip()
        code = process.wait()
    if not number.isdigit():
        raise UserError(
            f"sbatch did not take {arguments[-1]} (exit code {code}): {said or 'no message'}. {HINT}"
        )
    return number, code


def _cancel(numbers: list[str]) -> None:
    if numbers and shutil.which("scancel"):
        subprocess.run(["scancel", *numbers], check=False, capture_output=True)
