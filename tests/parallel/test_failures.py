"""What cannot go on ends on every process within seconds, and says why."""

import socket

import pytest

from models.transformer.config import TransformerConfig
from models.transformer.parallelize import check_divides
from parallel.mesh import MeshConfig
from parallel.sharding import ShardingConfig
from tests.parallel.failures import said
from tests.parallel.ranks import RankError, run_ranks

SECONDS = 120.0  # on a machine that does much else; an idle one needs few


def test_the_others_say_that_one_was_killed():
    with pytest.raises(RankError) as raised:
        run_ranks(2, said, "killed", {"timeout": 20.0}, timeout=SECONDS, grace=SECONDS)
    assert raised.value.errors == {1: "ended without an answer"}
    (name, message, _) = raised.value.results[0]
    assert name == "UserError"
    assert "Process 0 of 2 lost the others" in message


@pytest.mark.slow
def test_a_fault_of_one_is_its_own_and_the_others_end_too():
    ours, theirs = run_ranks(2, said, "raises", {"timeout": 20.0}, timeout=SECONDS)
    assert theirs[:2] == ["ZeroDivisionError", "a fault of rank 1 alone"]
    assert ours[0] == "UserError"
    assert "Process 0 of 2 lost the others" in ours[1]


@pytest.mark.slow
def test_nobody_waits_for_ever_for_one_that_hangs():
    ours, theirs = run_ranks(2, said, "hangs", {"timeout": 3.0}, timeout=SECONDS)
    assert "Process 0 of 2 lost the others" in ours[1]
    assert "Process 1 of 2 lost the others" in theirs[1]
    assert ours[2] < theirs[2]  # the first did not wait for the second to wake


def test_a_process_without_data_is_named_on_all():
    for name, message, _ in run_ranks(2, said, "no data", {}, timeout=SECONDS):
        assert name == "UserError"
        assert "have [5, 0] batches; all need equally many" in message


def test_a_port_that_another_program_holds_is_named_on_all(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        options = {"port": port, "start_timeout": 3.0, "said": tmp_path}
        with pytest.raises(RankError) as raised:
            run_ranks(2, said, "stale port", options, timeout=SECONDS, grace=SECONDS)
    assert raised.value.errors == {1: "ended without an answer"}
    first, second = raised.value.results[0][1], (tmp_path / "1.txt").read_text()
    for rank, message in enumerate((first, second)):
        assert f"Process {rank} of 2 did not find the others at 127.0.0.1:{port}" in message
        assert "set MASTER_PORT to a free one" in message


def test_heads_and_channels_that_do_not_divide_are_refused_with_what_to_change():
    config = TransformerConfig(width=48, heads=6, feed_forward=64)
    gather, ulysses = ShardingConfig(), ShardingConfig(context="ulysses")
    check_divides(config, MeshConfig(tp=2, cp=5), gather)
    check_divides(config, MeshConfig(tp=2, cp=3), ulysses)
    with pytest.raises(ValueError, match=r"6 heads do not divide over mesh\.tp = 4\. Lower it\."):
        check_divides(config, MeshConfig(tp=4), gather)
    with pytest.raises(ValueError, match=r"ulysses\) = 4\. Lower it or take sharding\.context gather"):
        check_divides(config, MeshConfig(tp=2, cp=2), ulysses)
    with pytest.raises(ValueError, match=r"feed_forward 64 does not divide over mesh\.tp = 3"):
        check_divides(config, MeshConfig(tp=3), gather)
