"""One command: begin, go on, leave a finished run alone, refuse a mix; say what is wrong in one message."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from console import UserError
from lightning_modules.checkpoint_io import open_checkpoint
from lightning_modules.run_folder import RunFolder
from lightning_modules.stage_cli import run_stage
from tests.datamodules.shard_sets import write_clips
from tests.lightning_modules.conftest import stage_config, write_config


def run(name, config, *options):
    return run_stage([name, "-c", str(config), *options])


@pytest.fixture(scope="module")
def finished(clips, tmp_path_factory):
    """A config whose run is finished; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    content = {**stage_config(clips), "run_dir": str(folder / "run")}
    config = write_config(folder / "stage.yaml", content)
    run("fit", config)
    return config


def folder_of(config):
    return RunFolder(yaml.safe_load(config.read_text())["run_dir"])


def test_a_finished_fit_leaves_its_config_metrics_checkpoints_and_a_mark(finished):
    folder = folder_of(finished)
    assert [path.name for path in folder.whole_checkpoints()] == ["step-0000008", "step-0000010"]
    assert json.loads((folder.path / "finished.json").read_text())["step"] == 10
    with open(folder.metrics, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == [str(step) for step in range(10)]
    held_out = [float(row["val/loss"]) for row in rows if row["val/loss"]]
    assert held_out[-1] < held_out[0]
    assert [row["step"] for row in rows if row["val/loss"]] == ["3", "7", "10"]  # the last before the export
    assert all(0 <= float(row["throughput/data_wait"]) <= 1 for row in rows if row["throughput/data_wait"])
    assert any(float(row["throughput/clips_per_second"]) > 0 for row in rows if row["train/loss"])
    assert any(row["lr-AdamW"] for row in rows)


def test_the_saved_config_can_be_given_again(finished, tmp_path):
    folder = folder_of(finished)
    stage = run("fit", folder.path / "config.yaml", "--run_dir", str(tmp_path / "again")).model
    with open(folder.metrics, newline="") as file:
        first = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert len(first) == 10
    assert stage.losses == pytest.approx(first)


def test_a_finished_run_does_nothing_and_says_so(finished, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder_of(finished).path.rglob("*")}
    stage = run("fit", finished).model
    assert stage.seen == []
    assert "is finished (step 10)" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder_of(finished).path.rglob("*")} == before


def test_a_raised_limit_goes_on(config, capsys):
    run("fit", config)
    stage = run("fit", config, "--trainer.max_steps", "12").model
    assert len(stage.seen) == 2
    assert "Going on from runs/stand_in/checkpoints/step-0000010" in capsys.readouterr().err
    assert json.loads(Path("runs/stand_in/finished.json").read_text())["step"] == 12


def test_a_run_of_another_config_is_refused_and_nothing_is_touched(finished):
    before = (folder_of(finished).path / "config.yaml").read_text()
    with pytest.raises(UserError, match=r"model\.init_args\.lr: was 0\.01, now 0\.5"):
        run("fit", finished, "--model.lr", "0.5")
    assert (folder_of(finished).path / "config.yaml").read_text() == before


def test_other_clips_in_the_same_place_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = write_clips(tmp_path / "clips", train=8, val=2)
    config = write_config(tmp_path / "stage.yaml", stage_config(clips))
    run("fit", config, "--trainer.max_steps", "2")
    write_clips(tmp_path / "clips", train=12, val=2)
    with pytest.raises(UserError, match="the data itself"):
        run("fit", config, "--trainer.max_steps", "4")


def test_restart_moves_the_old_run_aside(config):
    run("fit", config, "--trainer.max_steps", "2")
    stage = run("fit", config, "--trainer.max_steps", "3", "--restart", "true", "--model.lr", "0.5").model
    assert len(stage.seen) == 3
    assert RunFolder("runs/stand_in.old-1").newest() == RunFolder("runs/stand_in.old-1").checkpoint(2)


def test_configs_merge_and_a_part_may_be_a_file_beside_the_one_that_names_it(config, clips, tmp_path):
    (tmp_path / "parts").mkdir()
    whole = stage_config(clips)
    write_config(tmp_path / "parts/clips.yaml", whole["data"])
    first = write_config(tmp_path / "first.yaml", {**whole, "data": "parts/clips.yaml"})
    second = write_config(
        tmp_path / "second.yaml", {"trainer": {"max_steps": 2}, "data": {"init_args": {"seed": 7}}}
    )
    cli = run_stage(["fit", "-c", str(first), "-c", str(second), "--data.batch_size", "5"])
    init = cli.config.fit.data.init_args
    assert (init.batch_size, init.seed, init.memory) == (5, 7, True)
    assert cli.config.fit.trainer.max_steps == 2
    assert cli.config.fit.trainer.val_check_interval == 4


def test_print_config_prints_a_config_and_trains_nothing(config, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run("fit", config, "--print_config")
    assert ended.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["trainer"]["max_steps"] == 10
    assert printed["trainer"]["log_every_n_steps"] == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--trainer.max_stepz", "3"), r"'trainer\.max_stepz' does not exist.*Did you mean 'max_steps'\?"),
        (("--model.lrr", "3"), r"'model\.lrr' does not exist.*Did you mean 'lr'\?"),
        (("--data.init_args.shard", "x"), r"Did you mean 'shards'\?"),
        (("--model.shape.widht", "3"), r"widht.*Did you mean 'width'\?"),
        (("--trainer.max_steps", "many"), r"'trainer\.max_steps' must be int; 'many' came"),
        (("--model.class_path", "tests.lightning_modules.stand_in.StandOut"), r"Did you mean '.*StandIn'\?"),
        (("-c", "nowhere.yaml"), r"no file 'nowhere\.yaml'"),
        (("--checkpoint.every", "0"), r"checkpoint\.every and checkpoint\.keep must be at least 1"),
        (("--data.shards", "nowhere"), r"no shard folder 'nowhere/train'.*python -m curation\.run"),
        (("--data.batch_size", "0"), r"data\.batch_size must be at least 1"),
        (("--ckpt_path", "nowhere.ckpt"), r"no checkpoint 'nowhere\.ckpt'"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_message(config, options, told):
    with pytest.raises(UserError, match=told) as raised:
        run("fit", config, *options)
    assert "usage:" not in str(raised.value)


def test_a_misspelt_key_with_nothing_in_it_does_not_pass(config, tmp_path):
    more = write_config(tmp_path / "more.yaml", {"trainr": {}})
    with pytest.raises(UserError, match=r"more\.yaml: 'trainr' does not exist.*'trainer'"):
        run("fit", config, "-c", str(more))


def test_a_config_without_a_run_folder_is_asked_for_one(config, clips, tmp_path):
    content = stage_config(clips)
    del content["run_dir"]
    with pytest.raises(UserError, match="'run_dir' is needed"):
        run("fit", write_config(tmp_path / "bare.yaml", content))


def test_a_checkpoint_of_another_shape_is_refused_by_tensor_and_shapes(finished, config):
    newest = str(folder_of(finished).newest())
    with pytest.raises(UserError, match=r"'squeeze\.weight' is 8x768 there, 9x768 here"):
        run("fit", config, "--ckpt_path", newest, "--model.shape.width", "9")
    with pytest.raises(UserError, match=r"'expand\.weight' is 768x8 there, 768x9 here"):
        run("validate", config, "--ckpt_path", newest, "--model.shape.width", "9")


def test_checkpoints_hold_tensors_and_plain_values_alone(finished):
    checkpoint = open_checkpoint(folder_of(finished).newest())  # weights_only
    assert checkpoint["global_step"] == 10
    assert checkpoint["hyper_parameters"]["width"] == 8


def test_validate_measures_the_newest_checkpoint_as_the_fit_did(finished):
    run("validate", finished)
    folder = folder_of(finished)
    measured = json.loads((folder.path / "validate.json").read_text())
    assert measured["checkpoint"].endswith("step-0000010")
    with open(folder.metrics, newline="") as file:
        last = [row["val/loss"] for row in csv.DictReader(file) if row["val/loss"]][-1]
    assert measured["results"][0]["val/loss"] == pytest.approx(float(last))


def test_predict_writes_the_stage_s_predictions(finished):
    run("predict", finished)
    predictions = torch.load(folder_of(finished).path / "predictions.pt", weights_only=True)
    assert [tuple(part.shape) for part in predictions] == [(3, 4, 3, 16, 16)]


def test_a_stage_without_a_test_says_so(finished):
    with pytest.raises(UserError, match="test_step"):
        run("test", finished)


def test_without_a_checkpoint_there_is_nothing_to_validate(config):
    with pytest.raises(UserError, match="has no checkpoint"):
        run("validate", config)


def test_fast_dev_run_writes_nothing(config, tmp_path):
    run("fit", config, "--trainer.fast_dev_run", "true")
    assert not (tmp_path / "runs").exists()
