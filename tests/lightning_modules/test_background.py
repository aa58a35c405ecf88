"""Jobs are done in order beside the caller, and none fails unseen."""

import threading

import pytest

from lightning_modules.background import Background


def test_jobs_are_done_in_order_in_another_thread():
    done, background = [], Background()
    for number in range(20):
        background.start(lambda number=number: done.append((number, threading.current_thread().name)))
    assert background.wait()
    assert [number for number, _ in done] == list(range(20))
    assert {name for _, name in done} == {"checkpoints"}


def test_the_caller_goes_on_while_a_job_runs():
    gate, background = threading.Event(), Background()
    background.start(gate.wait)
    assert not background.wait(0.01)
    gate.set()
    assert background.wait(10)


def test_what_a_job_raised_is_raised_once_and_what_was_to_follow_is_not_done():
    done, background = [], Background()
    gate = threading.Event()
    background.start(lambda: gate.wait() and 1 / 0)
    background.start(lambda: done.append("after"))
    gate.set()
    with pytest.raises(ZeroDivisionError):
        background.wait()
    assert done == []
    assert not background.failed
    background.start(lambda: done.append("later"))
    background.wait()
    assert done == ["later"]


def test_nothing_to_wait_for_is_no_wait():
    assert Background().wait(0)
