"""Curation's part of the page, from the `report/curation.json` that a run of curation leaves."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from console import UserError
from evaluation.report.histogram import histogram
from evaluation.report.preview import embed_span
from evaluation.report.sections import Missing, read_json

SHOWN = {"kept": 6, "rejected": 16}  # examples; each is a player, and a page holds about 75
TITLES = {"kept": "Kept", "rejected": "Rejected, with every reason"}


def curation_section(folder: Path) -> dict[str, Any] | Missing:
    """Funnel, scores and examples of the curation whose output is `folder`."""
    path = folder / "report" / "curation.json"
    told = read_json(path)
    if told is None:
        return Missing("the curation funnel", "python -m curation.run -c configs/curation/demo.yaml")
    if told.get("format") != 1:
        raise UserError(f"{path} has format {told.get('format')}; this version reads format 1. Curate again.")
    total, kept = told["clips"]["all"], told["clips"]["kept"]
    all_clips = {"name": "all candidate clips", "says": "", "left": total, "rejected": None, "alone": None}
    funnel = [all_clips, *({"name": step["rule"], **step} for step in told["funnel"])]
    groups = [
        {
            "title": title,
            "clips": [_example(clip, Path(told["input"])) for clip in told["examples"][name][: SHOWN[name]]],
        }
        for name, title in TITLES.items()
    ]
    return {
        "total": total,
        "kept": kept,
        "says": _summary(told),
        "funnel": [{**step, "share": step["left"] / max(total, 1)} for step in funnel],
        "histograms": [(entry["score"], Markup(histogram(entry))) for entry in told["histograms"]],
        "groups": [group for group in groups if group["clips"]],
        "seconds": sum(told["cpu_seconds"].values()),
    }


def _summary(told: dict[str, Any]) -> str:
    files, clips = told["files"], told["clips"]
    broken = f" ({files['unreadable']} of them unreadable)" if files["unreadable"] else ""
    return (
        f"{files['all']:,} files{broken}, {files['hours']:.2f} hours, gave {clips['all']:,} candidate clips. "
        f"The subset '{told['subset']}' keeps {clips['kept']:,}: {clips['train']:,} to train on, "
        f"{clips['val']:,} held out by their source."
    )


def _example(clip: dict[str, Any], raw: Path) -> dict[str, Any]:
    """The clip as a player where its source is still there, else the frames that curation kept."""
    path = raw / clip["source"]
    start, end = clip["start"], clip["end"]
    return {
        "uri": embed_span(path, start, end) if start is not None and path.is_file() else None,
        "frames": clip["frames"],
        "caption": clip["caption"],
        "source": clip["source"],
        "reasons": clip["reasons"],
    }
