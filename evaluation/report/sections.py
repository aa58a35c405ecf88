"""The parts of the page as plain values; a part that is not there is a `Missing` that says how to make it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError
from evaluation.comparison_table import shown
from evaluation.report.preview import embed
from evaluation.report.training import training

SHOWN = 32  # generated clips with a picture: browsers stop at about 75 players on a page
WRONG_SHOWN = 12  # of these, so many whose score found a fault; more where the others do not fill the page
ORDER = ("colour", "direction", "background", "shape")  # of what is scored


class Missing(NamedTuple):
    """A part that is not there, and the command that makes it."""

    part: str
    remedy: str


class Tile(NamedTuple):
    """One number of the page's head."""

    number: str
    unit: str
    says: str


def tae_section(run: Path) -> dict[str, Any] | Missing:
    """Scores and reconstructions of the TAE in a run folder."""
    learned = training(run)
    scores = read_json(run / "eval.json")
    if scores is None:
        return Missing("the TAE's reconstructions", f"python -m evaluation.run tae --model {run}/model")
    videos = [
        {**row, "uri": embed(run / row["file"])} for row in scores["videos"] if (run / row["file"]).is_file()
    ]
    compared = scores.get("comparison")  # from before there was one, a file holds none
    return {
        "scores": scores,
        "videos": videos,
        "training": learned,
        "comparison": shown(compared) if compared else None,
    }


def t2v_section(run: Path) -> dict[str, Any] | Missing:
    """Accuracy and clips of the text-to-video model in a run folder."""
    learned = training(run)
    scores = read_json(run / "eval" / "eval.json")
    if scores is None:
        return Missing(
            "the generated clips", f"python -m evaluation.run t2v --model {run}/model --out {run}/eval"
        )
    clips = [_verdict(row) for row in scores["clips"]]
    shown = choose(clips)
    for clip in shown:
        path = run / "eval" / clip["file"]
        clip["uri"] = embed(path) if path.is_file() else None
    wrong = [clip for clip in clips if not clip["right"]]
    bars = [
        {
            "name": name,
            "value": value,
            "chance": scores["chance"][name],
            "true_clips": scores["true_clips"][name],
            "through_tae": scores["through_tae"][name],
        }
        for name, value in _ordered(scores["accuracy"])
    ]
    return {
        "scores": scores,
        "bars": bars,
        "clips": clips,
        "shown": shown,
        "wrong": len(wrong),
        "wrong_shown": sum(not clip["right"] for clip in shown),
        "training": learned,
    }


def choose(clips: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The clips to show: faults are not hidden, and the rest come in the order of the prompts."""
    wrong = [clip for clip in clips if not clip["right"]]
    right = [clip for clip in clips if clip["right"]]
    wrong = wrong[: max(WRONG_SHOWN, SHOWN - len(right))]
    return wrong + right[: SHOWN - len(wrong)]


def _verdict(row: dict[str, Any]) -> dict[str, Any]:
    found = [
        {
            "name": name,
            "expected": wanted,
            "measured": row["measured"][name],
            "right": row["measured"][name] == wanted,
        }
        for name, wanted in _ordered(row["expected"])
    ]
    return {**row, "verdicts": found, "right": all(each["right"] for each in found)}


def _ordered(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The entries as readers expect them; what ORDER does not know comes last."""
    return sorted(
        values.items(), key=lambda item: (ORDER.index(item[0]) if item[0] in ORDER else len(ORDER), item[0])
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no file."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}). Delete it and make it again.") from error
