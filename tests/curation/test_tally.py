"""What is told of a unit while a run is under way is what its tables say."""

from collections import Counter

import pytest

from curation import pipeline, tally
from curation.engine.job import Done
from curation.graph import groups, jobs
from curation.rules import Measured, Threshold
from curation.select import select
from curation.stage import BarrierStage
from curation.table import load, score_columns

RULES = (
    Threshold(name="wide", score="width", min=65),
    Threshold(name="moves", score="frozen", below=0.5),
    Threshold(name="whole", score="usable", equals=True),
    Threshold(name="seen and moving", score="vmaf_motion", above=0.1, when="orientation", among=("square",)),
    Measured(name="readable", measured=("split", "motion")),
)


@pytest.fixture(scope="module")
def told(raw, tmp_path_factory):
    """Counts by group of stages, and the graph at the end."""
    from curation.config import load as load_config
    from curation.engine.serial import Serial

    light = ["visual.text_frames=1", "embed.size=32", "unit=4", "mlflow=false", "examples=0"]
    out = tmp_path_factory.mktemp("tallied")
    config = load_config("configs/curation/demo.yaml", {"input": str(raw), "out": str(out)}, light)
    graph, counts = pipeline.survey(config), {}
    for group in groups(graph, graph.needed("motion")):
        found = [tally.count(graph, group, RULES, done) for done in Serial().run(jobs(graph, group))]
        counts["+".join(group)] = (
            sum(one.rows for one in found),
            sum((Counter(one.rejects) for one in found), Counter()),
        )
        graph = pipeline.survey_again(config, graph)
    assert not any(isinstance(graph.nodes[name].stage, BarrierStage) for name in graph.needed("motion"))
    return counts, graph


def test_files_are_counted_with_their_failures_and_the_rules_on_them(told):
    rows, rejects = told[0]["ingest"]
    assert rows == 13
    failures = {why: n for why, n in rejects.items() if why != "wide"}
    assert sum(failures.values()) == 4
    assert failures["the file is empty (N bytes)"] == 1
    assert rejects["wide"] == 9  # all that can be read have 64 pixels


def test_clips_are_counted_when_the_last_column_of_a_rule_is_there(told):
    counts, graph = told
    clips = load(graph, score_columns(graph))
    fails = dict(zip((rule.name for rule in RULES), select(clips, _subset()).fails, strict=True))
    known = clips.column("frozen").is_valid().to_numpy()
    assert counts["split"][1]["whole"] == fails["whole"].sum()
    assert counts["motion"][1] == Counter(
        {
            "moves": int((fails["moves"] & known).sum()),
            "seen and moving": int((fails["seen and moving"] & known).sum()),
        }
    )
    assert counts["motion"][1]["moves"] >= 1
    assert "wide" not in counts["split"][1]


def _subset():
    from curation.rules import Subset

    return Subset("s", RULES)


def test_equal_reasons_count_together_and_long_ones_are_cut():
    assert tally.reason("truncated: 12 of 30 frames") == tally.reason("truncated: 7 of 8.5 frames")
    assert len(tally.reason("x" * 500)) == tally.WORDS


def test_jobs_of_other_kinds_count_their_rows(told):
    assert tally.count(told[1], ["content"], RULES, Done(object(), {"rows": 5})) == (5, {})
