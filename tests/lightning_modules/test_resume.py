"""A fit that is stopped and started again ends with the batches, losses and weights of one that was not."""

import os
import signal

import pytest
import torch

from console import UserError
from lightning_modules.callbacks.non_finite import NonFinite
from lightning_modules.callbacks.stop import Stopped
from lightning_modules.run_folder import RunFolder
from lightning_modules.stage_cli import run_stage
from tests.lightning_modules.conftest import stage_config, write_config
from tests.lightning_modules.stand_in import Disturbance, StandIn

STREAMED = ("--data.memory", "false", "--data.stream.lanes", "2")


def fit(config, *options):
    """One `lightning fit`; gives the stage that it trained."""
    run_stage(["fit", "-c", str(config), *options])
    return StandIn.made[-1]


def disturbed(config, step, action, *options):
    """A fit in which `action` is called at `step`, and the stage as it was then."""
    StandIn.disturbance = Disturbance(step, action)
    with pytest.raises(BaseException) as raised:  # noqa: PT011, each test looks at its kind
        fit(config, *options)
    return StandIn.made[-1], raised.value


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    """The stages of whole runs, in memory and streamed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = write_config(folder / "stage.yaml", stage_config(clips))
    runs = {}
    for mode in ((), STREAMED):
        runs[mode] = fit(config, "--run_dir", str(folder / f"run{len(mode)}"), *mode)
    return runs


def assert_same(whole, *parts):
    assert [ids for part in parts for ids in part.seen] == whole.seen
    assert [loss for part in parts for loss in part.losses] == whole.losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts[-1].state_dict()[name]), name


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_whole_runs_see_each_clip_once_an_epoch(undisturbed):
    for stage in undisturbed.values():
        assert len(stage.seen) == 10
        for epoch in (stage.seen[:4], stage.seen[4:8]):
            assert len({clip for batch in epoch for clip in batch}) == sum(map(len, epoch)) == 14


@pytest.mark.parametrize("mode", [(), STREAMED])
@pytest.mark.parametrize(
    "step", [1, 3, 5]
)  # mid-epoch, in an epoch's last batch, after a checkpoint in the second
def test_ctrl_c_saves_the_step_and_the_same_command_goes_on(config, undisturbed, mode, step):
    first, stopped = disturbed(config, step, interrupt, *mode)
    assert isinstance(stopped, KeyboardInterrupt)
    assert len(first.seen) == step + 1
    assert RunFolder("runs/stand_in").newest() == RunFolder("runs/stand_in").checkpoint(step + 1)
    assert_same(undisturbed[mode], first, fit(config, *mode))


def test_sigterm_saves_the_step_and_exits_with_143(config, undisturbed):
    first, stopped = disturbed(config, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert isinstance(stopped, SystemExit)
    assert stopped.code == 143
    assert_same(undisturbed[()], first, fit(config))


def test_a_kill_goes_back_to_the_last_checkpoint(config, undisturbed):
    """os._exit would end the test too: an error that no handler saves from stands in for it."""
    first, _ = disturbed(config, 6, lambda: (_ for _ in ()).throw(OSError("pulled the plug")))
    assert RunFolder("runs/stand_in").newest() == RunFolder("runs/stand_in").checkpoint(4)
    second = fit(config)
    whole = undisturbed[()]
    assert second.seen == whole.seen[4:]
    assert second.losses == whole.losses[4:]
    assert first.losses == whole.losses[:6]
    assert torch.equal(second.squeeze.weight, whole.squeeze.weight)


def test_an_error_between_steps_saves_what_was_learnt(config, undisturbed):
    def fail():
        raise RuntimeError("out of memory")

    first, error = disturbed(config, 2, fail)
    assert isinstance(error, RuntimeError)
    assert RunFolder("runs/stand_in").newest() == RunFolder("runs/stand_in").checkpoint(2)
    assert_same(undisturbed[()], first, fit(config))


def test_a_second_ctrl_c_does_not_wait_for_the_step(config, undisturbed):
    def twice():
        interrupt()
        interrupt()

    first, stopped = disturbed(config, 2, twice)
    assert isinstance(stopped, KeyboardInterrupt)
    assert len(first.seen) == 2
    assert_same(undisturbed[()], first, fit(config))


def test_accumulated_gradients_are_not_cut_in_two(config):
    options = ("--trainer.accumulate_grad_batches", "2", "--trainer.max_steps", "5")
    whole = fit(config, *options, "--run_dir", "runs/whole")
    first, _ = disturbed(config, 1, interrupt, *options)
    assert len(first.seen) == 4  # the signal came in the third batch; the step needs the fourth
    assert_same(whole, first, fit(config, *options))


def test_a_cut_newest_checkpoint_falls_back_on_the_one_before(config, undisturbed):
    disturbed(config, 8, interrupt)
    (shard,) = RunFolder("runs/stand_in").newest().glob("*.distcp")
    shard.write_bytes(shard.read_bytes()[:1000])
    assert fit(config).losses == undisturbed[()].losses[8:]


def test_a_loss_that_is_no_number_stops_before_the_weights(config):
    with pytest.raises(UserError, match=r"loss is nan .* step 7\. Clips: [0-9a-f]{12}, .*step-0000004"):
        fit(config, "--model.broken_at", "6", "--non_finite.in_a_row", "0")
    assert all(value.isfinite().all() for value in StandIn.made[-1].parameters())


def test_a_step_that_was_left_out_is_left_out_of_a_resumed_run_too(config):
    whole = fit(config, "--model.broken_at", "3", "--run_dir", "runs/whole")
    disturbed(config, 3, interrupt, "--model.broken_at", "3")
    second = fit(config, "--model.broken_at", "3")
    assert second.seen == whole.seen[4:]
    assert second.losses == whole.losses[4:]
    assert torch.equal(second.squeeze.weight, whole.squeeze.weight)
    for stage in (whole, second):
        (guard,) = (each for each in stage.trainer.callbacks if isinstance(each, NonFinite))
        assert guard.skipped == 1


def test_signals_are_ours_only_while_a_fit_runs(config):
    before = signal.getsignal(signal.SIGINT)
    disturbed(config, 1, interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    fit(config)
    assert signal.getsignal(signal.SIGINT) is before
    assert issubclass(Stopped, BaseException)
