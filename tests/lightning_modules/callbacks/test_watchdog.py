"""A run that stands still names the process that holds it up and the collective in which others wait."""

import sys
import threading
import time

import pytest

from lightning_modules.callbacks.watchdog import HANGS, Watchdog, told, where


def word(rank, step=7, collective=None, seconds=30.0):
    line = "stage.py:10 training_step"
    return {"rank": rank, "step": step, "phase": "backward pass", "seconds": seconds,
            "collective": collective, "line": line}  # fmt: skip


def test_the_process_in_no_collective_is_held_responsible():
    message = told([word(0, collective="all_reduce"), word(1), word(2, collective="all_reduce")], 3)
    assert "Held up by rank: 1." in message
    assert (
        "rank 0: step 7, backward pass, waits in all_reduce, stage.py:10 training_step, for 30 s" in message
    )
    assert "rank 1: step 7, backward pass, in no collective" in message


def test_a_process_without_a_word_is_held_responsible():
    message = told([word(0, collective="broadcast")], 3)
    assert "Held up by rank: 1, 2." in message
    assert "rank 2: no word" in message


def test_a_process_that_is_a_step_behind_is_held_responsible():
    words = [word(0, step=8, collective="all_reduce"), word(1, step=7, collective="broadcast")]
    assert "Held up by rank: 1." in told(words, 2)


def test_the_line_of_a_thread_is_found():
    gate, frames = threading.Event(), []

    def stand_still():
        gate.wait(30)

    thread = threading.Thread(target=stand_still)
    thread.start()
    while not frames or "stand_still" not in frames[-1]["line"]:
        frames.append(where(sys._current_frames().get(thread.ident)))
        time.sleep(0.01)
    gate.set()
    thread.join()
    assert frames[-1]["collective"] is None
    assert frames[-1]["line"].startswith("test_watchdog.py:")
    assert where(None) == {"collective": None, "line": "unknown"}


def test_a_negative_time_is_refused():
    with pytest.raises(ValueError, match="at least 0; -1 came"):
        Watchdog(-1)


def test_the_code_is_that_of_a_fault_that_may_pass():
    import os

    assert os.EX_TEMPFAIL == HANGS
