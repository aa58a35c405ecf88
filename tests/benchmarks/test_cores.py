"""Cores of a processor: each arm runs as its row says, and what is compared are the same rounds."""

import pytest
import torch

from benchmarks import cores
from benchmarks.cores import Arm, Work, arms, main, measure, table_of
from console import UserError
from models.transformer import TransformerConfig

SHAPE = TransformerConfig(
    width=8, layers=1, heads=2, feed_forward=16, latent_channels=4, grid=(2, 4, 4), text_widths=(5,)
)


def test_cores_are_threads_or_processes_compiled_or_not():
    names = [str(arm) for arm in arms(2)]
    assert names[:2] == ["2 processes of 1 thread", "1 process of 2 threads"]
    assert names[2:] == [f"{name}, compiled" for name in names[:2]]
    assert [str(arm) for arm in arms(1)] == ["1 process of 1 thread", "1 process of 1 thread, compiled"]


@pytest.mark.parametrize("arm", arms(2)[:2], ids=str)
def test_an_arm_measures_every_step(arm):
    assert 0 < measure(arm, Work(SHAPE, 4, 2)) < 60


def test_processes_share_the_batch_and_threads_do_not(monkeypatch):
    """In this process, where what is asked for can be seen."""
    seen = {}
    monkeypatch.setattr(cores, "batch_of", lambda clips, shape: seen.update(clips=clips) or failing)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: seen.update(threads=number))
    monkeypatch.setattr(cores, "compile_blocks", lambda model: seen.update(compiled=True))
    monkeypatch.setattr(cores.dist, "init_process_group", lambda *_, **options: seen.update(options))
    monkeypatch.setattr(cores, "DistributedDataParallel", lambda model: seen.update(ddp=True) or model)
    monkeypatch.setattr(cores, "keep_freed_memory", lambda: None)  # of all tests after this one
    monkeypatch.setenv("MASTER_ADDR", "")
    monkeypatch.setenv("MASTER_PORT", "")
    for arm, expected in (
        (
            Arm(2, 1, True),
            {"clips": 16, "threads": 1, "compiled": True, "ddp": True, "rank": 1, "world_size": 2},
        ),
        (Arm(1, 2, False), {"clips": 32, "threads": 2}),
    ):
        seen.clear()
        with pytest.raises(BegunError):
            cores._worker(arm.processes - 1, 1, arm, Work(SHAPE, 32, 1), None)
        assert seen == expected


def test_rows_are_compared_round_by_round():
    seconds = {Arm(2, 1, False): [0.2, 0.4, 0.3], Arm(1, 2, True): [0.1, 0.1, 0.2]}
    columns = [list(column.cells) for column in table_of("", 30, seconds).columns]
    assert columns[1:] == [
        ["300", "100"],
        ["100", "300"],
        ["1.00", "2.00"],
        ["1.00 to 1.00", "1.50 to 4.00"],
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--batch", "3"), "multiple of --cores"),
        (("--steps", "0"), "at least 1"),
        (("--rounds", "0"), "at least 1"),
    ],
)
def test_impossible_options_are_refused(monkeypatch, options, said):
    monkeypatch.setattr("sys.argv", ["cores", "--cores", "2", *options])
    with pytest.raises(UserError, match=said):
        main()


class BegunError(Exception):
    """The first step began."""


def failing(_model):
    raise BegunError
