"""From requests to files: which are still to make, in which batches, with the solver's steps as progress."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from console import UserError, track
from inference.outputs import is_made
from inference.pipeline import Pipeline, Shape
from inference.prompts import Request
from inference.sampling import Sampling
from storage import hash_file

OnStep = Callable[[int], Any]
_FRAMES = "--frames must be at least 1; {} came."


class Job(NamedTuple):
    """One file to make, and the facts that decide what is in it."""

    request: Request
    path: Path
    facts: dict[str, Any]


Make = Callable[[Sequence[Job], OnStep], np.ndarray]  # a batch of jobs to as many results


def plan(
    pipeline: Pipeline,
    asked: Sequence[Request],
    paths: Sequence[Path],
    sampling: Sampling,
    shape: Shape,
    notes: Sequence[Mapping[str, Any]] | None = None,
) -> list[Job]:
    """A job for each request; `notes` are further facts of each."""
    shared = {
        **dataclasses.asdict(sampling),
        **dataclasses.asdict(shape),
        "fps": pipeline.rate(shape),
        "model": pipeline.hash,
        "tae": pipeline.facts["tae"],
        "text": pipeline.text.fingerprint,
    }
    return [
        Job(request, path, {**request._asdict(), **_image(request), **shared, **note})
        for request, path, note in zip(asked, paths, notes or [{}] * len(asked), strict=True)
    ]


def _image(request: Request) -> dict[str, Any]:
    return {} if request.image is None else {"image_sha256": hash_file(request.image)}


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose file is not there yet, or was made under other facts."""
    return [job for job in jobs if not is_made(job.path, job.facts)]


def run_jobs(
    jobs: Sequence[Job], batch: int, steps: int | None, make: Make
) -> Iterator[tuple[Job, np.ndarray]]:
    """Make the jobs in batches of at most `batch`; each result comes as soon as its batch is done.

    `steps` is how many a batch will report, None where nobody knows.
    """
    if batch < 1:
        raise UserError(f"--batch must be at least 1; {batch} came.")
    for start in range(0, len(jobs), batch):
        part = jobs[start : start + batch]
        named = (
            f"{start + 1} to {start + len(part)} of {len(jobs)}"
            if len(jobs) > 1
            else f"'{part[0].request.prompt}'"
        )
        with ticking(f"Sampling {named}", steps) as on_step:
            results = make(part, on_step)
        yield from zip(part, results, strict=True)


def parse_shape(size: str | None, frames: int | None, trained: Shape) -> Shape:
    """`WxH` or `WxHxF` and a number of frames; what is not said is as the model was trained."""
    try:
        sides = [] if size is None else [int(part) for part in size.lower().split("x")]
        width, height, *rest = sides or [trained.width, trained.height]
        (length,) = rest or [frames or trained.frames]
    except ValueError:
        raise UserError(
            f"--size must be WIDTHxHEIGHT or WIDTHxHEIGHTxFRAMES, such as 64x64x16; '{size}' came."
        ) from None
    if frames is not None and (frames < 1 or (rest and length != frames)):
        raise UserError(f"--frames {frames} contradicts --size {size}." if rest else _FRAMES.format(frames))
    return Shape(frames=length, height=height, width=width)


@contextmanager
def ticking(description: str, steps: int | None) -> Iterator[OnStep]:
    """A progress display for a loop that is not ours: give the loop the callback, once a step."""
    ticks = track(count() if steps is None else range(steps), description, steps)
    next(ticks, None)
    try:
        yield lambda _: next(ticks, None)
    finally:
        ticks.close()  # pyright: ignore[reportAttributeAccessIssue], a generator
