"""A run that went wrong on some samples goes back and goes on as if it had never had them."""

import json

import pytest
import torch

from console import UserError
from datamodules.quarantine import FILE
from lightning_modules.callbacks.non_finite import NonFiniteLossError
from lightning_modules.callbacks.rollback import LossSpikeError, RollBack
from lightning_modules.stage_cli import run_stage
from tests.lightning_modules.stand_in import StandIn

TROUBLED = ("--model", "tests.lightning_modules.troubled.Troubled")
BEGUN = ("--checkpoint.every", "2", "--trainer.max_steps", "12")


def fit(config, *options):
    run_stage(["fit", "-c", str(config), *TROUBLED, *BEGUN, *options])
    return StandIn.made[-1]


@pytest.fixture
def plan(config):
    """The clips of each batch of a run without trouble."""
    return fit(config, "--run_dir", "runs/plain").seen


def first_step_of(plan, clip):
    return next(step for step, clips in enumerate(plan) if clip in clips)


def bad_one(plan):
    """A clip that does not come in the first three batches."""
    return next(clip for clips in plan for clip in clips if first_step_of(plan, clip) >= 3)


@pytest.mark.parametrize("images", [(), ("--data.images.share", "0.5")])
def test_a_batch_that_is_no_number_is_quarantined_and_the_run_goes_on_without_it(config, capsys, images):
    plan = fit(config, "--run_dir", "runs/plain", *images).seen
    bad = bad_one(plan)
    step = first_step_of(plan, bad)
    stage = fit(config, "--model.bad_clip", bad, "--non_finite.in_a_row", "0", *images)
    saved = step // 2 * 2
    assert stage.seen[: step + 1] == plan[: step + 1]
    after = stage.seen[step + 1 :]
    assert len(after) == 12 - saved
    assert not {bad} & {clip for clips in after for clip in clips}
    gone = set(plan[step])
    assert after[: step - saved] == [tuple(c for c in clips if c not in gone) for clips in plan[saved:step]]
    (samples,) = json.loads((config.parent / "runs/stand_in" / FILE).read_text()).values()
    assert {facts["clip_id"] for facts in samples.values()} == set(plan[step])
    assert {facts["step"] for facts in samples.values()} == {step + 1}
    assert "Going back to the last checkpoint, without those clips." in capsys.readouterr().err
    assert stage.trainer.global_step == 12


def test_after_a_rollback_all_is_as_in_a_run_that_was_resumed_with_the_quarantine(config, plan, tmp_path):
    bad = bad_one(plan)
    step = first_step_of(plan, bad)
    saved = step // 2 * 2
    rolled = fit(config, "--model.bad_clip", bad, "--non_finite.in_a_row", "0")
    options = ("--run_dir", "runs/other")
    fit(config, "--trainer.max_steps", str(saved), "--model.bad_clip", bad, *options)
    (tmp_path / "runs/other" / FILE).write_text((tmp_path / "runs/stand_in" / FILE).read_text())
    resumed = fit(config, "--model.bad_clip", bad, *options)
    assert rolled.losses[step + 1 :] == resumed.losses
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, rolled.state_dict()[name]), name


def test_a_leap_of_the_loss_is_found_and_left_out(config, plan):
    """Of 24 losses that fall slowly none is a leap, a thousandfold one is."""
    long = ("--trainer.max_steps", "40", "--checkpoint.every", "5", "--rollback.spike", "30")
    bad = fit(config, *long, "--run_dir", "runs/calm").seen[30][0]
    assert not (config.parent / "runs/calm" / FILE).exists()
    stage = fit(config, *long, "--model.bad_clip", bad, "--model.factor", "1000", "--trainer.max_steps", "40")
    assert stage.trainer.global_step == 40
    content = json.loads((config.parent / "runs/stand_in" / FILE).read_text())
    (samples,) = content.values()
    assert bad in {facts["clip_id"] for facts in samples.values()}
    assert {facts["reason"] for facts in samples.values()} == {LossSpikeError.__name__}


def test_a_fault_that_does_not_come_from_the_samples_stops_after_so_many_times(config):
    with pytest.raises(NonFiniteLossError):
        fit(config, "--model", "tests.lightning_modules.stand_in.StandIn", "--model.broken_at", "6",
            "--non_finite.in_a_row", "0", "--rollback.times", "3")  # fmt: skip
    assert len(StandIn.made[-1].losses) == 7 + 3


def test_nothing_is_gone_back_to_unless_it_was_saved(config, plan):
    with pytest.raises(NonFiniteLossError, match="nothing was saved yet"):
        fit(config, "--model.bad_clip", plan[0][0], "--non_finite.in_a_row", "0")
    again = fit(config, "--model.bad_clip", plan[0][0], "--non_finite.in_a_row", "0")
    assert not {plan[0][0]} & {clip for clips in again.seen for clip in clips}


def test_a_run_without_rollbacks_stops_at_the_first_and_quarantines_nothing(config, plan):
    with pytest.raises(UserError, match="loss is nan"):
        fit(config, "--model.bad_clip", bad_one(plan), "--non_finite.in_a_row", "0", "--rollback.times", "0")
    assert not (config.parent / "runs/stand_in" / FILE).exists()


@pytest.mark.parametrize("options", [{"times": -1}, {"spike": -1.0}, {"window": 3}])
def test_settings_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"rollback\.window at least 20"):
        RollBack(**options)
