"""The benchmark of the report measures choices of clips that do not grow with the table."""

from benchmarks.curation_report import report_costs


def test_as_many_clips_are_shown_of_twenty_times_as_many_rows():
    few, many = report_costs(2_000), report_costs(40_000)
    assert 50 < few["clips"] <= many["clips"] <= 250
    assert many["cpu_seconds"] >= 0
