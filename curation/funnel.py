"""What a person reads of verdicts: the funnel of a subset, and one clip with every score and reason."""

import sys

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from curation.clip import COLUMNS, PLANNED
from curation.rules import SKIPPED, Resample, Threshold
from curation.select import Verdicts
from curation.stages.keyframes import Keyframes

HINTS = {
    "human": "It needs an open_clip model, embed.clip; or spare clips with faces: preserve: face_rate.",
    "single_face": "The faces stage has not run: --stage faces, or a run with this subset.",
    "face_similarity": "The faces stage has not run, or no two neighbouring samples have one face each.",
    "diegetic": "It needs towers by path: audio.image_tower and audio.sound_tower.",
    "audio_quality": "It needs a predictor by path: audio.quality.",
    "audio_class": "The audio stage has not run, or audio.tags is 0.",
    "aesthetics": "It needs weights by path: visual.aesthetics and visual.clip.",
    "niqe": "The frames are too small for it, or visual.niqe_frames is 0.",
    "mv_mean": "The codec gives no motion vectors (H.264 and MPEG-4 do).",
}


def print_funnel(verdicts: Verdicts, total: int) -> None:
    """What each rule left, in order, and how many more clips there would be without it."""
    shown = Table(
        "rule", "says", "left", "% left", "rejects", "without it", title=f"subset {verdicts.subset.name}"
    )
    shown.add_row("all spans", "", str(total), "100.00", "", "")
    for step in verdicts.funnel:
        share = f"{100 * step.left / max(total, 1):.2f}"
        rejects = str(step.rejected) + (f" + {step.unknown} not measured" if step.unknown else "")
        says = f"{step.says} (no clip has this score)" if step.idle else step.says
        shown.add_row(step.rule, says, str(step.left), share, rejects, f"{step.alone:+d}")
    Console().print(shown)
    for text in remarks(verdicts):
        print(f"warning: {text}", file=sys.stderr)


def remarks(verdicts: Verdicts) -> list[str]:
    """What a funnel must not hide: rules without a score, and clips that the cascade did not measure."""
    found = []
    for rule, step in zip(verdicts.subset.rules, verdicts.funnel, strict=True):
        if step.idle and isinstance(rule, Resample):
            found.append(
                f"rule {rule.name!r} spares no clip: none has the score {rule.preserve!r}. "
                f"{unwritten(str(rule.preserve))}"
            )
        if not step.idle or not isinstance(rule, Threshold):
            continue
        if rule.missing == "keep" and rule.score in Keyframes.adds:
            continue  # without a cascade nobody looks at keyframes alone
        does = "lets every clip pass" if rule.missing == "keep" else "rejects every clip"
        found.append(
            f"rule {rule.name!r} {does}: no clip has the score {rule.score!r}. {unwritten(rule.score)}"
        )
    if verdicts.unmeasured:
        found.append(
            f"{verdicts.unmeasured} clips fail no rule of {verdicts.subset.name!r} but lack scores: the "
            "cascade of the run skipped them, so they are not kept. Run again with a looser cascade or none."
        )
    return found


def unwritten(score: str) -> str:
    """Why no clip may have a score."""
    if score in PLANNED:
        return "No stage writes it yet."
    return HINTS.get(score, "Its stage has not run, or measures it only when asked to.")


def print_clip(clips: pa.Table, verdicts: Verdicts, row: int) -> None:
    """Every score of a clip, and what each rule says of it."""
    facts = clips.slice(row, 1).to_pylist()[0]
    shown = Table("column", "value", "meaning", title=f"{facts['clip_id']} ({facts['source']})")
    for name, value in facts.items():
        if value is not None:
            shown.add_row(name, _short(value), COLUMNS[name].meaning if name in COLUMNS else _note(name))
    Console().print(shown)
    rules = Table("rule", "verdict", "says", "it has", title=f"subset {verdicts.subset.name}")
    for rule, failing in zip(verdicts.subset.rules, verdicts.fails[:, row], strict=True):
        value = facts.get(rule.score) if isinstance(rule, Threshold) else None
        known = not isinstance(rule, Threshold) or value is not None
        passes = "passes" if known else "not measured"
        rules.add_row(rule.name, "rejects" if failing else passes, rule.says(), _short(value))
    Console().print(rules)
    print("kept" if verdicts.kept[row] else f"rejected: {', '.join(verdicts.reasons(row))}")


def _short(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _note(name: str) -> str:
    return "why the cascade measured no more" if name == SKIPPED else "why the stage has no result"
