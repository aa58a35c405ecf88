"""The report of a run: report/curation.json for machines, and report/curation.html, one page that needs no
server and no other file.

The page holds the survival funnel in the paper's order and what each rule costs alone, a histogram of each
score with its thresholds and the clips nearest to them on both sides, clips that were kept and rejected,
groups of near-duplicates, clusters and persons. How many clips are shown does not depend on how many there
are.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from curation.config import Config
from curation.engines import cores
from curation.pipeline import Outcome
from curation.report import galleries, people
from curation.report.charts import histogram, number
from curation.report.facts import numbers
from curation.report.strips import strips
from storage import write_json, write_text

KEYS = ("clip_id", "source", "start", "end", "caption", "caption_source", "captioner")
SCORES = (
    "border", "text_score", "frozen", "slideshow", "vmaf_motion", "mv_mean", "shake", "sharpness",
    "similarity", "cluster",
)  # fmt: skip

Card = dict[str, Any]


class Deck(NamedTuple):
    """What is known of the rows that are shown."""

    facts: Mapping[int, Mapping[str, Any]]
    cards: Mapping[int, Card]
    faces: Mapping[int, list[str]]
    "Reference pictures, where there are any"


def write_report(config: Config, outcome: Outcome) -> Path:
    """Write both files; the path of the page."""
    folder = Path(config.out) / "report"
    told, shown = gather(config, outcome)
    write_json(folder / "curation.json", told)
    write_text(folder / "curation.html", render(told, shown))
    return folder / "curation.html"


def gather(config: Config, outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the report says, as JSON types, and the galleries of the page with their pictures."""
    choice = choose(config, outcome)
    deck = deal(outcome, _rows_in(choice), config.workers or cores())
    examples = {name: [deck.cards[row] for row in choice[name]] for name in ("kept", "rejected")}
    return {**numbers(config, outcome), "examples": examples}, _filled(choice, deck)


def choose(config: Config, outcome: Outcome) -> dict[str, Any]:
    """The rows of each gallery."""
    clips, verdicts, count = outcome.clips, outcome.verdicts, config.examples
    pairs = people.pairs(Path(config.out), clips, count // 2)
    return {
        "kept": galleries.kept(verdicts, count),
        "rejected": galleries.rejected(verdicts, count),
        "edges": galleries.edges(clips, verdicts, (count + 3) // 4),
        "duplicates": galleries.duplicates(clips, (count + 1) // 2),
        "clusters": galleries.clusters(clips, count),
        "pairs": pairs,
        "persons": [] if pairs else people.alone(outcome, (count + 1) // 2),
    }


def _rows_in(choice: Mapping[str, Any]) -> list[int]:
    found: list[int] = [*choice["kept"], *choice["rejected"], *choice["persons"]]
    for edge in choice["edges"]:
        found += [*edge.inside, *edge.outside]
    for group in (*choice["duplicates"], *choice["clusters"]):
        found += group.rows
    for pair in choice["pairs"]:
        found += [row for row in (pair.row, pair.other) if row is not None]
    return sorted({int(row) for row in found})


def deal(outcome: Outcome, rows: list[int], workers: int) -> Deck:
    """What the page says of each row, with its pictures."""
    facts = dict(zip(rows, outcome.clips.take(pa.array(rows, pa.int64())).to_pylist(), strict=True))
    pictures = strips(outcome.graph.library, facts, workers)
    cards = {
        row: {
            **{key: fact[key] for key in KEYS},
            "reasons": outcome.verdicts.reasons(row),
            "scores": {key: fact[key] for key in SCORES if fact[key] is not None},
            "frames": pictures[row],
            "why": next((v for k, v in fact.items() if k.endswith("_error") and v), None),
        }
        for row, fact in facts.items()
    }
    return Deck(facts, cards, people.references(outcome, rows))


def _filled(choice: Mapping[str, Any], deck: Deck) -> dict[str, Any]:
    """The galleries with cards in place of rows."""

    def of(rows: Iterable[int], score: str | None = None) -> list[Card]:
        return [{**deck.cards[row], "value": deck.facts[row][score] if score else None} for row in rows]

    def person(row: int | None) -> Card | None:
        return None if row is None else {**deck.cards[row], "references": deck.faces.get(row, [])}

    edges: dict[str, list[dict]] = {}
    for edge in choice["edges"]:
        sides = {"inside": of(edge.inside, edge.score), "outside": of(edge.outside, edge.score)}
        edges.setdefault(edge.score, []).append({"rule": edge.rule, "says": edge.says, **sides})
    return {
        "edges": edges,
        "duplicates": [{**group._asdict(), "clips": of(group.rows)} for group in choice["duplicates"]],
        "clusters": [{**group._asdict(), "clips": of(group.rows)} for group in choice["clusters"]],
        "pairs": [(person(pair.row), person(pair.other), pair.says) for pair in choice["pairs"]],
        "persons": [person(row) for row in choice["persons"]],
    }


def render(told: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """The page."""
    folder = Path(__file__).parent
    pages = Environment(
        autoescape=True, loader=FileSystemLoader(folder), trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["number"] = number
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))
    most = max((step["alone"] for step in told["funnel"]), default=0)
    page = pages.get_template("page.html.j2")
    return page.render(**told, shown=shown, style=style, draw=histogram, most=most)
