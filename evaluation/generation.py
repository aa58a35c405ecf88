"""Does a clip show what its prompt names? Asked with combinations that training never showed."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.facts import run_facts
from evaluation.reconstruction import reconstruct
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import Staging
from evaluation.toy_world.score import (
    CHOICES,
    accuracy,
    asked,
    expect,
    held_out_prompts,
    held_out_scenes,
    measure,
)
from inference.jobs import plan, run_jobs, unfinished
from inference.outputs import output_paths, write_clip
from inference.pipeline import Pipeline
from inference.prompts import Request
from inference.sampling import Sampling
from inference.sheet import contact_sheet
from inference.t2v import generate
from inference.video import read_video
from storage import write_json


class Asked(NamedTuple):
    """A held-out prompt, the seed of its noise and what a right clip shows."""

    request: Request
    expected: dict[str, Any]


class Prompts(NamedTuple):
    """Which held-out prompts are asked."""

    count: int = 64
    seed: int = 0
    """Of the prompts and of the noise."""
    camera: float = 0.0
    """Share of the prompts in which the camera moves."""
    counted: float = 0.0
    """Share of the prompts that name a number of sprites."""
    staging: Staging = Staging()
    """Of the world that the model was trained on."""


def evaluate_t2v(
    pipeline: Pipeline, out: Path, prompts: Prompts, sampling: Sampling, batch: int
) -> dict[str, Any]:
    """Generate a clip for each of the held-out prompts into `out`/clips, measure them, write eval.json.

    Clips that the same settings made already stay. What is measured is the file, as a viewer sees it.
    """
    questions = ask(prompts)
    requests = [each.request for each in questions]
    paths = output_paths(out / "clips", requests, ".mp4")
    jobs = plan(pipeline, requests, paths, sampling, pipeline.shape)
    todo = unfinished(jobs)
    start = time.monotonic()
    made = run_jobs(
        todo,
        batch,
        sampling.progress,
        lambda part, tick: generate(pipeline, [job.request for job in part], sampling, None, tick),
    )
    for job, clip in made:
        write_clip(job.path, clip, job.facts["fps"], job.facts)
    seconds = time.monotonic() - start
    clips = [read_video(path) for path in paths]
    pace = prompts.staging.pace
    accuracies = _rates(clips, [each.expected for each in questions], pace)
    rows = [
        _row(path.relative_to(out), each, clip, pace)
        for path, each, clip in zip(paths, questions, clips, strict=True)
    ]
    result = {
        "prompts": prompts.count,
        "seed": prompts.seed,
        "staging": asdict(prompts.staging),
        "sampling": {"steps": sampling.steps, "guidance": sampling.guidance, "schedule": sampling.schedule},
        "model": pipeline.hash,
        "shape": str(pipeline.shape),
        "seconds_per_clip": round(seconds / len(todo), 2) if todo else None,
        "accuracy": accuracies,
        "chance": {name: 1 / len(CHOICES[name]) for name in accuracies},
        **_ceilings(pipeline, prompts),
        "by_choice": _by_choice(rows),
        "clips": rows,
        "run": run_facts(),
    }
    _write_sheet(clips, rows, out / "clips.png")
    write_json(out / "eval.json", result)
    return result


def ask(prompts: Prompts) -> list[Asked]:
    """Held-out prompts; each has noise of its own, so that a lucky draw cannot carry them all."""
    return [
        Asked(Request(prompt, prompts.seed + place), expected)
        for place, (prompt, expected) in enumerate(held_out_prompts(*prompts))
    ]


def _rates(clips: Sequence[np.ndarray], expected: Sequence[dict[str, Any]], pace: float) -> dict[str, float]:
    found = accuracy(clips, expected, pace)
    return {name: found[name] for name in CHOICES if name in found}


def _ceilings(pipeline: Pipeline, prompts: Prompts) -> dict[str, Any]:
    """What true clips score, and true clips after the TAE: no generated clip can be expected to do better."""
    rng = np.random.default_rng((prompts.seed, prompts.count))
    scenes = held_out_scenes(rng, prompts.count, prompts.camera, prompts.counted, prompts.staging)
    expected = [expect(scene) for scene in scenes]
    shape, fps = pipeline.shape, pipeline.rate(pipeline.shape)
    true = [render(scene, shape.width, shape.height, shape.frames, fps) for scene in scenes]
    passed = [reconstruct(pipeline.tae, clip) for clip in true]
    return {
        "true_clips": _rates(true, expected, prompts.staging.pace),
        "through_tae": _rates(passed, expected, prompts.staging.pace),
    }


def _row(file: Path, question: Asked, clip: np.ndarray, pace: float) -> dict[str, Any]:
    found, names = measure(clip, pace), asked(question.expected)
    return {
        "file": str(file),
        "prompt": question.request.prompt,
        "seed": question.request.seed,
        "expected": {name: question.expected[name] for name in names},
        "measured": {name: getattr(found, name) for name in names},
    }


def _by_choice(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """For each score and each thing that prompts asked for, "right/asked" in numbers of clips."""
    verdicts: dict[str, dict[str, list[bool]]] = {}
    for row in rows:
        for name, wanted in row["expected"].items():
            right = row["measured"][name] == wanted
            verdicts.setdefault(name, {}).setdefault(str(wanted), []).append(right)
    return {
        name: {wanted: f"{sum(each)}/{len(each)}" for wanted, each in sorted(choices.items())}
        for name, choices in verdicts.items()
    }


def _write_sheet(clips: Sequence[np.ndarray], rows: Sequence[dict[str, Any]], path: Path) -> None:
    labels = []
    for row in rows:
        wrong = [
            f"{name}: {row['measured'][name]}"
            for name in row["expected"]
            if row["measured"][name] != row["expected"][name]
        ]
        labels.append(row["prompt"] + (f"   [{', '.join(wrong)}]" if wrong else ""))
    contact_sheet(clips, path, labels)
