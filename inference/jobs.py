"""From requests to files: which are still to make, in which batches, with the solver's steps as progress."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from console import UserError, track
from inference.outputs import is_made
from inference.pipeline import Pipeline, Shape
from inference.prompts import Request
from inference.t2v import Sampling

OnStep = Callable[[int], Any]
Make = Callable[[Sequence[Request], OnStep], np.ndarray]  # a batch of requests to as many results


class Job(NamedTuple):
    """One file to make, and the facts that decide what is in it."""

    request: Request
    path: Path
    facts: dict[str, Any]


def plan(
    pipeline: Pipeline, asked: Sequence[Request], paths: Sequence[Path], sampling: Sampling, shape: Shape
) -> list[Job]:
    """A job for each request."""
    shared = {
        **dataclasses.asdict(sampling),
        **dataclasses.asdict(shape),
        "fps": pipeline.facts["fps"],
        "model": pipeline.hash,
        "tae": pipeline.facts["tae"],
        "text": pipeline.text.fingerprint,
    }
    return [
        Job(request, path, {**request._asdict(), **shared})
        for request, path in zip(asked, paths, strict=True)
    ]


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose file is not there yet, or was made under other facts."""
    return [job for job in jobs if not is_made(job.path, job.facts)]


def run_jobs(jobs: Sequence[Job], batch: int, steps: int, make: Make) -> Iterator[tuple[Job, np.ndarray]]:
    """Make the jobs in batches of at most `batch`; each result comes as soon as its batch is done."""
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
            results = make([job.request for job in part], on_step)
        yield from zip(part, results, strict=True)


def parse_shape(text: str | None, trained: Shape, frames: int | None = None) -> Shape:
    """`WxH` or `WxHxF`; what is not said is as the model was trained. `frames` overrules both."""
    if text is None:
        return dataclasses.replace(trained, frames=frames or trained.frames)
    try:
        width, height, *rest = (int(part) for part in text.lower().split("x"))
        (length,) = rest or [trained.frames]
    except ValueError:
        raise UserError(
            f"--size must be WIDTHxHEIGHT or WIDTHxHEIGHTxFRAMES, such as 64x64x16; '{text}' came."
        ) from None
    return Shape(frames=frames or length, height=height, width=width)


@contextmanager
def ticking(description: str, steps: int) -> Iterator[OnStep]:
    """A progress display for a loop that is not ours: give the loop the callback, once a step."""
    ticks = track(range(steps), description, steps)
    next(ticks, None)
    try:
        yield lambda _: next(ticks, None)
    finally:
        ticks.close()  # pyright: ignore[reportAttributeAccessIssue], a generator
