"""The table of ablations: means and deviations over seeds."""

import io

import pytest
from rich.console import Console

from benchmarks.over_seeds import over_seeds, run
from console import UserError


def printed(arms: dict[str, list[list[float]]]) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(over_seeds(arms, ("colour", "shape"), "title", digits=1))
    return out.getvalue()


def test_a_cell_is_mean_and_deviation_over_the_seeds_of_an_arm() -> None:
    text = printed({"ours": [[90.0, 1.0], [92.0, 3.0], [94.0, 5.0]], "theirs": [[10.0, 2.0]]})
    ours, theirs = (next(line for line in text.splitlines() if arm in line) for arm in ("ours", "theirs"))
    assert "92.0 ± 2.0" in ours
    assert "3.0 ± 2.0" in ours
    assert "10.0" in theirs
    assert "±" not in theirs  # one seed has no deviation


def test_a_run_that_fails_is_named_and_one_that_ends_well_is_not() -> None:
    run("benchmarks.t2v_ablations", "--help")
    with pytest.raises(UserError, match=r"benchmarks.t2v_ablations ended with code 2"):
        run("benchmarks.t2v_ablations", "--seeds", "many")
