"""The ordeal finds workers and differences; the line through memory tells a leak from noise."""

import mmap
import os
import random
import sys

import numpy as np
import pytest

from benchmarks import curation_kills
from benchmarks.curation_kills import endure, results, workers
from benchmarks.curation_memory import resident, risen


def test_a_rise_is_that_of_the_line_after_the_start():
    clips = [float(k) for k in range(4, 201, 4)]
    start_up = [300e6 * min(k / 40, 1.0) for k in clips]
    assert risen(clips, start_up)[1] == pytest.approx(0.0, abs=1.0)
    noise = np.random.default_rng(0).normal(0, 1e5, len(clips))
    leak = [300e6 + 1e5 * k + n for k, n in zip(clips, noise, strict=True)]
    assert risen(clips, leak)[1] == pytest.approx(1e5 * 148, rel=0.05)


def test_the_resident_size_grows_with_what_is_held():
    """Memory mapped anew: what NumPy takes may be what this process freed before and still holds."""
    before = resident(os.getpid())
    with mmap.mmap(-1, 40_000_000) as held:
        held.write(bytes(40_000_000))
        assert resident(os.getpid()) - before > 30_000_000


def test_a_missing_and_another_file_both_differ(tmp_path, monkeypatch):
    """The command is replaced by one that ends at once and leaves what is in the folder."""
    for name, text in (("work/a-1/part.parquet", "a"), ("shards/train/x.tar", "b")):
        path = tmp_path / "pool-1" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    whole = results(tmp_path / "pool-1")
    assert set(whole) == {"work/a-1/part.parquet", "shards/train/x.tar"}

    def one_kill(folder, name, engine, kills, ordeal, dice):
        ordeal.kills["worker"] += 1
        return True

    monkeypatch.setattr(curation_kills, "_one_command", one_kill)
    assert endure(tmp_path, "pool", 1, whole, random.Random(0)).differing == []
    other = {"work/a-1/part.parquet": "another", "shards/train/lost.tar": "c"}
    found = endure(tmp_path, "pool", 1, other, random.Random(0)).differing
    assert sorted(found) == [f"pool-1/{name}" for name in sorted({*whole, *other})]


@pytest.mark.slow
def test_a_few_kills_of_a_small_world_change_nothing(capsys):
    assert curation_kills.main(["--engines", "pool", "--kills", "3", "--clips", "8"]) == 0
    assert "0 of" in capsys.readouterr().out


def test_workers_are_those_of_the_session_alone(tmp_path):
    import subprocess

    code = "import time; time.sleep(30)  # from multiprocessing.spawn import spawn_main"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        try:
            for _ in range(200):
                if workers(process.pid):
                    break
            assert workers(process.pid) == [process.pid]
            assert workers(process.pid + 1) == []
        finally:
            process.kill()
