"""The engine `ray` on a real cluster of this machine: the same laws as the pool, and parts of GPUs."""

import errno
import os
import time

import pytest

from console import UserError
from curation.engine.attempts import Limits
from curation.engine.cluster import Cluster, OnRay, Shared
from curation.engine.ray_session import Session
from tests.curation.engine.jobs import Scripted


def brief(workers: int) -> Limits:
    return Limits(row_seconds=2.0, opening_seconds=60.0)


@pytest.fixture(scope="module")
def home():
    """A cluster that outlives the engines of these tests, as one at RAY_ADDRESS does; a GPU on paper."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_ADDRESS", "local")
    patch.setenv("CUDA_VISIBLE_DEVICES", "0")
    session = Session(2)
    session.start(num_gpus=1)
    yield session
    session.close()
    patch.undo()


@pytest.fixture
def shared(tmp_path):
    """The folders of a run that every node sees."""
    (tmp_path / ".lock").write_text("run 1")
    return Shared(tmp_path, tmp_path / ".lock", "run 1")


@pytest.fixture
def cluster(home, shared):
    """An engine on it; `close` lets go of workers and leaves the cluster alone."""
    with Cluster(OnRay(), 2, shared, brief, session=home) as cluster:
        yield cluster


def lines(folder, key):
    return (folder / key).read_text().splitlines()


def test_jobs_finish_and_workers_are_used_again(cluster, tmp_path):
    done = list(cluster.run([Scripted(f"job{k}", tmp_path) for k in range(6)]))
    assert sorted(one.job.key for one in done) == [f"job{k}" for k in range(6)]
    assert len({one.report["pid"] for one in done}) <= 2
    more = list(cluster.run([Scripted("later", tmp_path)]))
    assert more[0].report["pid"] in {one.report["pid"] for one in done}
    assert lines(tmp_path, "job3") == ["fine"] * 4
    cluster.close()
    assert not list(tmp_path.glob(".signs-*"))


def test_a_poison_row_is_given_up_with_the_words_of_the_pool(cluster, tmp_path):
    jobs = [Scripted("bad", tmp_path, plan={1: "die", 2: "once"}), Scripted("good", tmp_path)]
    done = {one.job.key: one for one in cluster.run(jobs)}
    reason = "given up: its worker died, 2 times on this row"
    assert done["bad"].quarantined == {1: reason}
    assert lines(tmp_path, "bad") == ["fine", reason, "fine", "fine"]
    assert lines(tmp_path, "good") == ["fine"] * 4


def test_a_hung_row_is_killed_and_given_up(cluster, tmp_path):
    (done,) = cluster.run([Scripted("job", tmp_path, plan={0: "hang"})])
    assert done.quarantined == {0: "given up: its worker gave no sign for 2 s, 2 times on this row"}
    assert lines(tmp_path, "job")[1:] == ["fine"] * 3


def test_failures_of_a_whole_job_arrive_as_what_they_are(cluster, tmp_path):
    with pytest.raises(OSError, match="No space") as caught:
        list(cluster.run([Scripted("job", tmp_path, plan={1: "full"})]))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "part.parquet")
    assert cluster.workers == []
    with pytest.raises(UserError, match="install it"):
        list(cluster.run([Scripted("job", tmp_path, plan={0: "user"})]))
    with pytest.raises(RuntimeError, match="KeyError: 'what'"):
        list(cluster.run([Scripted("job", tmp_path, plan={0: "bug"})]))


def test_a_worker_that_dies_between_two_jobs_costs_neither_an_attempt(cluster, tmp_path, capsys):
    running = cluster.run([Scripted(f"job{k}", tmp_path) for k in range(2)])
    for done in running:
        os.kill(done.report["pid"], 9)
    time.sleep(0.5)
    done = list(cluster.run([Scripted(f"next{k}", tmp_path) for k in range(2)]))
    assert [one.quarantined for one in done] == [{}, {}]
    assert "warning" not in capsys.readouterr().err


def test_workers_of_a_stage_share_a_gpu_by_their_parts(home, shared, tmp_path):
    settings = OnRay(gpus={"scripted": 0.5})
    jobs = [Scripted(f"job{k}", tmp_path, plan={0: "gpu", 1: "wait"}) for k in range(4)]
    with Cluster(settings, 0, shared, brief, session=home) as cluster:
        done = list(cluster.run(jobs))
        assert cluster.size == 2
    assert {lines(tmp_path, one.job.key)[0] for one in done} == {"0"}
    assert len({one.report["pid"] for one in done}) == 2


def test_work_is_not_left_with_workers_that_there_is_no_room_for(home, shared, tmp_path):
    """Three workers of half a GPU each where two have room: the third's job goes to the others."""
    with Cluster(OnRay(gpus={"scripted": 0.5}), 3, shared, brief, session=home) as cluster:
        assert len(list(cluster.run([Scripted(f"job{k}", tmp_path) for k in range(5)]))) == 5


def test_more_than_the_cluster_has_is_an_error_and_no_endless_wait(home, shared, tmp_path):
    jobs = [Scripted("job", tmp_path)]
    with pytest.raises(UserError, match="needs 64 CPU; the Ray cluster has 2"):
        list(Cluster(OnRay(cpus={"scripted": 64.0}), 1, shared, brief, session=home).run(jobs))
    home.ours = False  # another's cluster may grow: there it waits a while
    try:
        settings = OnRay(cpus={"scripted": 64.0}, wait_seconds=1.5)
        with pytest.raises(UserError, match="needs 64 CPU"):
            list(Cluster(settings, 1, shared, brief, session=home).run(jobs))
    finally:
        home.ours = True


def test_a_node_without_the_folders_of_the_run_is_named(home, shared, tmp_path):
    other = Shared(tmp_path, shared.mark, "run 2")
    with (
        Cluster(OnRay(), 1, other, session=home) as cluster,
        pytest.raises(UserError, match=r"does not see the files of this run.*storage that all nodes share"),
    ):
        list(cluster.run([Scripted("job", tmp_path)]))


def test_parts_of_gpus_are_summed_where_stages_share_a_worker():
    settings = OnRay(gpus={"visual": 0.25, "embed": 0.5, "caption": 1.0}, cpus={"shards": 4.0})
    assert settings.needs({"visual", "embed", "motion"}) == {"CPU": 1.0, "GPU": 0.75}
    assert settings.needs({"caption", "embed"}) == {"CPU": 1.0, "GPU": 1.0}
    assert settings.needs({"shards"}) == {"CPU": 4.0}
    with pytest.raises(UserError, match="a part of one GPU"):
        OnRay(gpus={"visual": 2.0})


def test_an_address_where_nobody_answers_is_one_message_at_once(monkeypatch, shared, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(UserError, match="where no Ray cluster answers"):
        list(Cluster(OnRay(), 1, shared).run([Scripted("job", tmp_path)]))
