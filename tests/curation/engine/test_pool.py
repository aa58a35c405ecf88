"""A dead or hung worker costs one attempt, a poison row is given up alone, and real failures arrive whole."""

import errno
import time

import pytest

from console import UserError
from curation.engine.attempts import Limits
from curation.engine.pool import Pool
from tests.curation.engine.jobs import Scripted


@pytest.fixture
def pool():
    with Pool(2, Limits(row_seconds=2.0, opening_seconds=60.0)) as pool:
        yield pool


def lines(folder, key):
    return (folder / key).read_text().splitlines()


def test_jobs_finish_and_workers_are_used_again(pool, tmp_path):
    done = list(pool.run([Scripted(f"job{k}", tmp_path) for k in range(6)]))
    assert sorted(one.job.key for one in done) == [f"job{k}" for k in range(6)]
    assert len({one.report["pid"] for one in done}) <= 2
    assert lines(tmp_path, "job3") == ["fine"] * 4


def test_a_worker_that_is_killed_once_costs_one_attempt(pool, tmp_path):
    (done,) = pool.run([Scripted("job", tmp_path, plan={2: "once"})])
    assert done.quarantined == {}
    assert lines(tmp_path, "job") == ["fine"] * 4


def test_a_poison_row_is_given_up_and_the_rest_is_finished(pool, tmp_path):
    jobs = [Scripted("bad", tmp_path, plan={1: "die", 3: "die"}), Scripted("good", tmp_path)]
    done = {one.job.key: one for one in pool.run(jobs)}
    assert set(done["bad"].quarantined) == {1, 3}
    reason = "given up: its worker died, 2 times on this row"
    assert lines(tmp_path, "bad") == ["fine", reason, "fine", reason]
    assert lines(tmp_path, "good") == ["fine"] * 4


def test_a_hung_row_is_killed_and_given_up(pool, tmp_path):
    (done,) = pool.run([Scripted("job", tmp_path, plan={0: "hang"})])
    assert "no sign for 2 s" in done.quarantined[0]
    assert lines(tmp_path, "job")[1:] == ["fine"] * 3


def test_a_full_disk_in_a_worker_is_a_full_disk_here(pool, tmp_path):
    with pytest.raises(OSError, match="No space") as caught:
        list(pool.run([Scripted("job", tmp_path, plan={1: "full"})]))
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "part.parquet"
    assert pool.workers == []


def test_what_the_user_can_mend_and_what_is_a_bug_stay_apart(pool, tmp_path):
    with pytest.raises(UserError, match="install it"):
        list(pool.run([Scripted("job", tmp_path, plan={0: "user"})]))
    with pytest.raises(RuntimeError, match="KeyError: 'what'"):
        list(pool.run([Scripted("job", tmp_path, plan={0: "bug"})]))


def test_leaving_early_kills_what_is_under_way(pool, tmp_path):
    running = pool.run([Scripted("quick", tmp_path), Scripted("slow", tmp_path, plan={0: "hang"})])
    next(running)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 1.5
    assert pool.workers == []
