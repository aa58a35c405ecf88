"""The plan names what is to do, the setting that changed, and what the work cost before."""

import pytest

from curation import pipeline, planning
from curation.planning import differences


def lines(config):
    return {line.stage: line for line in planning.plan(pipeline.survey(config), config.work)}


def test_a_fresh_folder_never_ran_and_its_costs_are_unknown(config):
    found = lines(config())
    assert found["motion"].why == "never ran"
    assert found["motion"].cpu_seconds is None
    assert found["keyframes"].why.startswith("nobody asks")


def test_what_changed_is_named_and_the_cost_is_that_of_the_last_time(config, serial):
    graph = pipeline.run_tables(config(), "motion", serial)
    done = lines(config())
    assert done["motion"].why == "up to date"
    assert (done["motion"].cpu_seconds, done["motion"].gigabytes) == (0.0, 0.0)
    changed = lines(config("motion.rows=180"))
    assert changed["motion"].why == "rows: 360 -> 180"
    notes = [graph.nodes["motion"].folder.statistics(unit.name) for unit in graph.units]
    assert changed["motion"].cpu_seconds == pytest.approx(sum(note["cpu_seconds"] for note in notes))
    assert changed["motion"].gigabytes == pytest.approx(sum(note["bytes"] for note in notes) / 1e9)
    assert changed["visual"].why == "never ran"
    recut = lines(config("split.threshold=20.0"))
    assert recut["split"].why == "threshold: 27.0 -> 20.0"
    assert recut["motion"].why == "stands on split, which changed"
    assert recut["motion"].cpu_seconds == pytest.approx(sum(n["cpu_seconds"] for n in notes))


def test_units_that_are_missing_are_told_apart_from_changes(config, serial):
    graph = pipeline.run_tables(config(), "split", serial)
    graph.nodes["split"].folder.part(graph.units[0].name).unlink()
    line = lines(config())["split"]
    assert (line.missing, line.total) == (1, len(graph.units))
    assert line.why.startswith("1 units are missing")


def test_code_weights_and_units_are_differences_too():
    old = {"settings": {}, "version": 1, "schema": 1, "weights": {"net": "a"}, "parents": {"units": "x"}}
    new = {"settings": {}, "version": 2, "schema": 1, "weights": {"net": "b"}, "parents": {"units": "y"}}
    assert list(differences(old, old)) == []
    assert list(differences(old, new)) == [
        "the code of the stage changed", "other weights: net", "needs all units, and there are other ones"
    ]  # fmt: skip
