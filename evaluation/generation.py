"""Does a clip show what its prompt names? Asked with combinations that training never showed."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.facts import run_facts
from evaluation.reconstruction import reconstruct
from evaluation.toy_world.render import render
from evaluation.toy_world.scene import draw_scene
from evaluation.toy_world.score import CHOICES, accuracy, expect, held_out_prompts, measure
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
    expected: dict[str, str]


def evaluate_t2v(
    pipeline: Pipeline, out: Path, count: int, seed: int, sampling: Sampling, batch: int
) -> dict[str, Any]:
    """Generate a clip for each of `count` held-out prompts into `out`/clips, measure them, write eval.json.

    Clips that the same settings made already stay. What is measured is the file, as a viewer sees it.
    """
    asked = ask(count, seed)
    requests = [each.request for each in asked]
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
    result = {
        "prompts": count,
        "seed": seed,
        "sampling": {"steps": sampling.steps, "guidance": sampling.guidance, "schedule": sampling.schedule},
        "model": pipeline.hash,
        "shape": str(pipeline.shape),
        "seconds_per_clip": round(seconds / len(todo), 2) if todo else None,
        "accuracy": _rates(clips, [each.expected for each in asked]),
        "chance": {name: 1 / len(choices) for name, choices in CHOICES.items()},
        **_ceilings(pipeline, count, seed),
        "clips": [
            _row(path.relative_to(out), each, clip)
            for path, each, clip in zip(paths, asked, clips, strict=True)
        ],
        "run": run_facts(),
    }
    _write_sheet(clips, result["clips"], out / "clips.png")
    write_json(out / "eval.json", result)
    return result


def ask(count: int, seed: int) -> list[Asked]:
    """`count` held-out prompts; each has noise of its own, so that a lucky draw cannot carry them all."""
    prompts = held_out_prompts(count, seed)
    return [
        Asked(Request(prompt, seed + place), expected) for place, (prompt, expected) in enumerate(prompts)
    ]


def _rates(clips: Sequence[np.ndarray], expected: Sequence[dict[str, str]]) -> dict[str, float]:
    found = accuracy(clips, expected)
    return {name: found[name] for name in CHOICES}


def _ceilings(pipeline: Pipeline, count: int, seed: int) -> dict[str, Any]:
    """What true clips score, and true clips after the TAE: no generated clip can be expected to do better."""
    rng = np.random.default_rng((seed, count))
    scenes = [draw_scene(rng, held_out=True) for _ in range(count)]
    expected = [expect(scene) for scene in scenes]
    shape, fps = pipeline.shape, pipeline.facts["fps"]
    true = [render(scene, shape.width, shape.height, shape.frames, fps) for scene in scenes]
    return {
        "true_clips": _rates(true, expected),
        "through_tae": _rates([reconstruct(pipeline.tae, clip) for clip in true], expected),
    }


def _row(file: Path, asked: Asked, clip: np.ndarray) -> dict[str, Any]:
    found = measure(clip)
    return {
        "file": str(file),
        "prompt": asked.request.prompt,
        "seed": asked.request.seed,
        "expected": {name: asked.expected[name] for name in CHOICES},
        "measured": {name: getattr(found, name) for name in CHOICES},
    }


def _write_sheet(clips: Sequence[np.ndarray], rows: Sequence[dict[str, Any]], path: Path) -> None:
    labels = []
    for row in rows:
        wrong = [
            f"{name}: {row['measured'][name]}"
            for name in CHOICES
            if row["measured"][name] != row["expected"][name]
        ]
        labels.append(row["prompt"] + (f"   [{', '.join(wrong)}]" if wrong else ""))
    contact_sheet(clips, path, labels)
