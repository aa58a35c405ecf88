"""The demo's subset on the toy world, whose spoilers are labelled: what is caught, and what is lost by
mistake."""

import json
from collections import defaultdict

import pytest

from curation import pipeline
from curation.config import load
from curation.engine.serial import Serial
from curation.rules import read_subset
from curation.table import files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REASONS = {  # label of the toy world: rules that may say it; None for a file that cannot be read
    "hard_cuts": {"whole shot"},
    "fade": {"whole shot", "no fade"},
    "slideshow": {"whole shot", "no slideshow"},
    "letterbox": {"no border"},
    "pillarbox": {"no border"},
    "text": {"no text"},
    "static": {"no still"},
    "shake": {"no shake"},
    "truncated": None,
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The truth of each file, and the verdicts on its spans."""
    from evaluation.toy_world.settings import Settings
    from evaluation.toy_world.write import make

    folder = tmp_path_factory.mktemp("toy")
    make(Settings(clips=160, seed=5, spoilers=0.6), folder / "raw", 1)
    config = load(
        "configs/curation/demo.yaml", {"input": str(folder / "raw"), "out": str(folder / "out")}, []
    )
    graph = pipeline.run_tables(config, None, Serial())
    clips, verdicts = pipeline.judge(graph, read_subset(config.subset))
    spans = defaultdict(list)
    for row, name in enumerate(clips.column("source").to_pylist()):
        spans[name].append(
            (bool(verdicts.kept[row]), set(verdicts.reasons(row)), clips.slice(row, 1).to_pylist()[0])
        )
    truth = [json.loads(line) for line in (folder / "raw" / "truth.jsonl").read_text().splitlines()]
    broken = {row["source"] for row in files(graph).to_pylist() if row["ingest_error"]}
    return {row["file"]: row for row in truth if row["file"].endswith(".mp4")}, spans, broken


@pytest.mark.parametrize("label", REASONS)
def test_spoilers_are_caught_for_the_right_reason(judged, label):
    truth, spans, broken = judged
    named = [name for name, row in truth.items() if row["kind"] == "spoiler" and row["label"] == label]
    assert len(named) >= 6
    if REASONS[label] is None:
        assert set(named) <= broken
        return
    caught = [
        name
        for name in named
        if all(not kept and reasons & REASONS[label] for kept, reasons, _ in spans[name])
    ]
    assert len(caught) / len(named) >= 0.95, sorted(set(named) - set(caught))


def test_copies_are_found_and_one_of_each_stays(judged):
    truth, spans, _ = judged
    pairs = [
        (name, row["source"]) for name, row in truth.items() if str(row["label"]).startswith("duplicate")
    ]
    groups = {name: spans[name][0][2]["duplicate_group"] for name in truth if spans[name]}
    found = [pair for pair in pairs if groups[pair[0]] and groups[pair[0]] == groups[pair[1]]]
    assert len(found) / len(pairs) >= 0.8, sorted(set(pairs) - set(found))
    for name in {groups[pair[0]] for pair in found}:
        assert sum(spans[member][0][0] for member, group in groups.items() if group == name) == 1


def test_ordinary_clips_are_not_lost(judged):
    truth, spans, _ = judged
    copied = {row["source"] for row in truth.values() if row.get("source")}
    plain = [name for name, row in truth.items() if row["kind"] in ("clip", "reel") and name not in copied]
    plain += [name for name, row in truth.items() if row["label"] == "variable_frame_rate"]
    usable = [(name, kept, reasons) for name in plain for kept, reasons, row in spans[name] if row["usable"]]
    lost = [(name, reasons) for name, kept, reasons in usable if not kept]
    assert len(usable) > 50
    assert len(lost) / len(usable) <= 0.03, lost
