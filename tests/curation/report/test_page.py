"""The page stands alone, says what the numbers say, can be read without pictures, and trusts no name."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import pairing, pipeline
from curation.report import write_report
from curation.report.page import gather, render
from curation.report.strips import PICTURES, strips
from tests.curation.conftest import moving, texture, write_video

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements with their attributes, all closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def finished(raw, tmp_path_factory):
    """A run over `raw` whose report is asked for often."""
    from curation.config import load
    from curation.engine.serial import Serial

    out = tmp_path_factory.mktemp("reported")
    light = ["visual.text_frames=1", "embed.size=32", "unit=4", "mlflow=false", "examples=4", "workers=1"]
    settings = load("configs/curation/demo.yaml", {"input": str(raw), "out": str(out)}, light)
    return settings, pipeline.run_all(settings, Serial())


@pytest.fixture(scope="module")
def page(finished):
    return write_report(*finished).read_text()


def test_the_page_needs_nothing_from_elsewhere(page):
    found = Page(page)
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in found.all("img"))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in found.elements}
    without = re.sub(r'"data:[^"]*"', "", page)
    assert "http" not in without
    assert "url(" not in without
    assert "@import" not in without


def test_it_can_be_read_without_pictures_and_with_keys_alone(page):
    found = Page(page)
    assert all("alt" in image for image in found.all("img"))
    assert any(image["alt"].startswith("Frames of ") for image in found.all("img"))
    assert all(one["role"] == "img" and "Histogram of" in one["aria-label"] for one in found.all("svg"))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in found.all("a")} <= {f"#{name}" for name in ids}
    labels = [a["aria-labelledby"] for _, a in found.elements if "aria-labelledby" in a]
    assert set(labels) <= set(ids)
    assert all(
        a["tabindex"] == "0" and a["aria-label"] for _, a in found.elements if a.get("role") == "region"
    )
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert found.all("html")[0]["lang"] == "en"


def test_it_says_what_the_numbers_say(finished, page):
    settings, outcome = finished
    told = json.loads((Path(settings.out) / "report" / "curation.json").read_text())
    assert told["clips"]["kept"] == int(outcome.verdicts.kept.sum())
    rows = re.findall(
        r'<th scope="row">([^<]*)</th><td class="dim">[^<]*</td><td class="n">([\d,]+)</td>', page
    )
    assert [(rule, int(left)) for rule, left in rows] == [
        (step["rule"], step["left"]) for step in told["funnel"]
    ]
    for edge in ("Just rejected", "Just passing"):
        assert edge in page
    assert "Near-duplicates" in page
    assert page.count('class="card"') >= told["clips"]["kept"]
    for bad in told["files"]["errors"]:
        assert bad["source"] in page


def test_names_and_captions_are_text_whatever_they_hold(finished):
    told, shown = gather(*finished)
    hostile = "<script>alert(1)</script>\"'&.mp4"
    told["examples"]["kept"][0].update(source=hostile, caption=hostile)
    told["files"]["errors"].append({"source": hostile, "error": hostile})
    text = render(told, shown)
    assert "<script" not in text
    assert Page(text).all("img")[0]["alt"]


def test_persons_are_shown_with_the_pairs_of_the_table(finished, tmp_path):
    settings, outcome = finished
    one, other = [row["clip_id"] for row in outcome.clips.to_pylist() if row["usable"]][:2]
    made = [
        {"clip_id": one, "reference": other, "cosine": 0.91, "kind": "real", "reference_source": "b.mp4"},
        {
            "clip_id": one,
            "reference": "x.png",
            "cosine": 0.8,
            "kind": "synthetic",
            "reference_source": "x.png",
        },
        {"clip_id": "gone", "reference": "gone", "cosine": 0.5, "kind": "real", "reference_source": "-"},
    ]
    pq.write_table(pa.Table.from_pylist(made, pairing.SCHEMA), tmp_path / pairing.FILE)
    _, shown = gather(replace(settings, out=str(tmp_path), examples=6), outcome)
    assert [(a["clip_id"], b and b["clip_id"]) for a, b, _ in shown["pairs"]] == [(one, other), (one, None)]
    assert "cosine 0.91" in shown["pairs"][0][2]


def test_a_million_rows_make_a_page_of_the_same_size(finished):
    settings, outcome = finished
    few = render(*gather(settings, outcome))
    times = 400
    grown = pa.concat_tables([outcome.clips] * times)
    verdicts = replace(
        outcome.verdicts,
        kept=np.tile(outcome.verdicts.kept, times),
        fails=np.tile(outcome.verdicts.fails, times),
    )
    many = render(*gather(settings, replace(outcome, clips=grown, verdicts=verdicts)))
    assert len(many) < 2.0 * len(few)


def test_a_strip_shows_its_own_span_and_a_broken_clip_none(tmp_path):
    from curation.sources.handling import Handling
    from curation.sources.library import Library

    dark, light = [np.zeros((64, 64, 3), np.uint8)] * 8, [texture(3)] * 8
    write_video(tmp_path / "a.mp4", [*dark, *light])
    library = Library(tmp_path, tmp_path / "c", Handling())
    ticks = 16384 // 8
    row = {"source": "a.mp4", "start_pts": 0, "end_pts": 8 * ticks, "visual_error": None}
    asked = {
        4: row,
        7: {**row, "start_pts": 8 * ticks, "end_pts": 16 * ticks},
        8: {**row, "source": "gone.mp4"},
        9: {**row, "visual_error": "given up: it killed its worker"},
    }
    found = strips(library, asked, 2)
    assert list(found) == [4, 7, 8, 9]
    assert len(found[4]) == len(found[7]) == PICTURES
    assert found[8] == found[9] == []
    assert set(found[4]).isdisjoint(found[7])


def test_short_clips_have_the_pictures_that_they_have(tmp_path):
    from curation.sources.handling import Handling
    from curation.sources.library import Library

    write_video(tmp_path / "a.mp4", moving(1, 1))
    row = {"source": "a.mp4", "start_pts": 0, "end_pts": 2048}
    assert len(strips(Library(tmp_path, tmp_path / "c", Handling()), {0: row}, 1)[0]) == 1
