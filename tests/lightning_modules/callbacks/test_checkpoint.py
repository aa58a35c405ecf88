"""Checkpoints of a fit: which are kept, written beside the training, left for an older one when damaged."""

import csv
import threading

import pytest
import torch

from console import UserError
from inference.weights import TENSORS
from lightning_modules.callbacks.checkpoint import RunCheckpoint
from lightning_modules.checkpoint_io import open_checkpoint
from lightning_modules.run_folder import RunFolder
from lightning_modules.sealed import write_checkpoint
from lightning_modules.stage_cli import run_stage
from storage import is_sealed, read_seal
from tests.lightning_modules.stand_in import StandIn


@pytest.fixture
def folder():
    return RunFolder("runs/stand_in")


def fit(config, *options):
    run_stage(["fit", "-c", str(config), *options])
    return StandIn.made[-1]


def steps(folder):
    return [int(path.name.removeprefix("step-")) for path in folder.whole_checkpoints()]


def held_out(folder):
    with open(folder.metrics, newline="") as file:
        return {int(r["step"]) + 1: float(r["val/loss"]) for r in csv.DictReader(file) if r["val/loss"]}


def test_the_newest_are_kept(config, folder):
    fit(config, "--checkpoint.every", "2", "--checkpoint.keep", "3")
    assert steps(folder) == [6, 8, 10]


def test_a_seal_names_every_file_of_the_folder_and_the_step(config, folder):
    fit(config)
    newest = folder.newest()
    content = read_seal(newest)
    assert (content["step"], content["processes"]) == (10, 1)
    files = {str(path.relative_to(newest)) for path in newest.rglob("*") if path.is_file()}
    assert set(content["files"]) == files - {"seal.json"}


@pytest.mark.parametrize(("best_is", "lr"), [("lowest", "0.01"), ("highest", "0.01"), ("lowest", "3.0")])
def test_the_best_validation_is_kept_beside_the_newest(config, folder, best_is, lr):
    """A rate of 3.0 makes the loss grow, so that the first validation is the best for good."""
    options = ("--trainer.val_check_interval", "2", "--checkpoint.every", "3", "--checkpoint.keep", "1")
    best = ("--checkpoint.best", "val/loss", "--checkpoint.best_is", best_is)
    fit(config, *options, *best, "--model.lr", lr)
    measured = {step: value for step, value in held_out(folder).items() if step % 2 == 0}
    expected = (min if best_is == "lowest" else max)(measured, key=lambda step: measured[step])
    assert folder.best() == folder.checkpoint(expected)
    assert folder.best_value("val/loss") == pytest.approx(measured[expected])
    assert steps(folder) == sorted({expected, 10})


def test_a_best_that_is_gone_on_from_stays_the_best_until_it_is_beaten(config, folder):
    fit(config, "--checkpoint.best", "val/loss", "--trainer.max_steps", "4", "--checkpoint.keep", "1")
    folder.mark_best(4, "val/loss", -1.0)  # no loss can be
    fit(config, "--checkpoint.best", "val/loss", "--trainer.max_steps", "10", "--checkpoint.keep", "1")
    assert folder.best() == folder.checkpoint(4)
    assert steps(folder) == [4, 10]


def test_a_number_that_no_validation_logs_is_named(config):
    with pytest.raises(ValueError, match=r"there is no 'val/los'; the validation logged .*val/loss"):
        fit(config, "--checkpoint.best", "val/los")


def test_best_can_be_asked_for_by_its_name(config, folder, capsys):
    fit(config, "--checkpoint.best", "val/loss", "--checkpoint.best_is", "highest", "--checkpoint.keep", "1")
    run_stage(["validate", "-c", str(config), "--ckpt_path", "best"])
    assert f"Weights: {folder.checkpoint(4)}" in capsys.readouterr().err


@pytest.mark.parametrize("background", ["true", "false"])
def test_training_goes_on_while_a_checkpoint_is_written_unless_it_shall_not(config, monkeypatch, background):
    written, gate, ahead = [], threading.Event(), []

    def slowly(folder, snapshot, team, step):
        if not written and background == "true":
            gate.wait(60)
            ahead.append(StandIn.made[-1].global_step > step)
        written.append(step)
        write_checkpoint(folder, snapshot, team, step)

    monkeypatch.setattr("lightning_modules.callbacks.checkpoint.write_checkpoint", slowly)
    step = StandIn.training_step

    def watched(self, batch, batch_idx):
        if self.global_step == 6:
            gate.set()
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StandIn, "training_step", watched)
    stage = fit(config, "--checkpoint.background", background)
    assert written == [4, 8, 10]
    assert ahead == ([True] if background == "true" else [])
    saved = open_checkpoint(RunFolder("runs/stand_in").checkpoint(10))["state_dict"]
    assert torch.equal(saved["squeeze.weight"], stage.squeeze.weight)


def test_a_checkpoint_holds_the_weights_of_its_step_though_training_went_on(config, folder):
    at_step_8 = fit(config, "--trainer.max_steps", "8", "--run_dir", "runs/short").state_dict()
    fit(config)
    saved = open_checkpoint(folder.checkpoint(8))["state_dict"]
    assert all(torch.equal(saved[name], at_step_8[name]) for name in saved)


def test_a_disk_that_takes_no_more_stops_the_fit(config, monkeypatch):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_modules.callbacks.checkpoint.write_checkpoint", refuse)
    with pytest.raises(OSError, match="No space left"):
        fit(config)
    assert len(StandIn.made[-1].losses) < 10


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_newest_checkpoint_is_left_for_the_one_before(config, folder, capsys):
    whole = fit(config)
    (shard,) = folder.newest().glob("*.distcp")
    flip(shard)
    assert is_sealed(folder.newest())  # sizes fit; only the hash can tell
    again = fit(config, "--trainer.max_steps", "11")
    told = capsys.readouterr().err
    assert "step-0000010' is damaged: __0_0.distcp" in told
    assert f"Going on from {folder.checkpoint(8)}" in told
    assert again.losses[:2] == whole.losses[8:]
    assert steps(folder)[-1] == 11


def test_a_damaged_checkpoint_that_was_asked_for_is_refused(config, folder):
    fit(config)
    flip(folder.newest() / "rank-00000.pt")
    with pytest.raises(UserError, match=r"step-0000010' is damaged: rank-00000\.pt"):
        fit(config, "--run_dir", "runs/other", "--ckpt_path", str(folder.newest()))
    with pytest.raises(UserError, match=r"is damaged"):
        run_stage(["validate", "-c", str(config), "--ckpt_path", str(folder.newest())])


def test_an_unfinished_checkpoint_that_was_asked_for_is_refused(config, folder):
    fit(config)
    (folder.newest() / "seal.json").unlink()
    with pytest.raises(UserError, match=r"step-0000010' was not finished: it has no seal\.json"):
        fit(config, "--run_dir", "runs/other", "--ckpt_path", str(folder.checkpoint(10)))


def test_a_stage_that_inference_can_open_is_beside_its_checkpoint(config):
    """The stand-in is none; tests/lightning_modules/test_tae.py looks into one."""
    fit(config)
    assert not list(RunFolder("runs/stand_in").checkpoints.rglob(TENSORS))


@pytest.mark.parametrize(
    ("options", "told"),
    [({"every": 0}, "at least 1; 0 and 2"), ({"keep": 0}, "500 and 0"), ({"best_is": "good"}, "'good' came")],
)
def test_settings_that_mean_nothing_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        RunCheckpoint(**options)
