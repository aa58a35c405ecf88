"""A run's folder finds its newest whole checkpoint, refuses a mix and knows when it is done."""

import pytest
import yaml

from console import UserError
from lightning_modules.run_folder import RunFolder, changes, flatten
from storage import file_seals, seal
from storage.seal import SEAL

CONFIG = {
    "trainer": {"max_steps": 10, "max_epochs": None, "max_time": None, "gradient_clip_val": 1.0},
    "model": {"class_path": "a.B", "init_args": {"lr": 0.1}},
    "checkpoint": {"every": 5},
}
TEXT = yaml.safe_dump(CONFIG)


def changed(**trainer):
    return yaml.safe_dump({**CONFIG, "trainer": {**CONFIG["trainer"], **trainer}})


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def checkpoint(folder, step):
    path = folder.checkpoint(step)
    path.mkdir(parents=True)
    (path / "data").write_text("x" * 1000)
    seal(path, file_seals(path, ["data"]), step=step)
    return path


def test_the_newest_checkpoint_is_the_one_of_the_last_step(folder):
    assert folder.newest() is None
    paths = [checkpoint(folder, step) for step in (5, 100, 20)]
    assert folder.newest() == paths[1]
    assert folder.whole_checkpoints() == [paths[0], paths[2], paths[1]]


@pytest.mark.parametrize("harm", ["cut", "missing", "unsealed", "half a seal"])
def test_a_checkpoint_that_is_not_whole_is_passed_over(folder, harm):
    whole, other = checkpoint(folder, 5), checkpoint(folder, 10)
    if harm == "cut":
        (other / "data").write_text("x" * 500)
    elif harm == "missing":
        (other / "data").unlink()
    elif harm == "unsealed":
        (other / SEAL).unlink()
    else:
        (other / SEAL).write_text((other / SEAL).read_text()[:30])
    assert folder.newest() == whole


def test_the_best_is_the_one_that_was_marked_while_it_is_whole(folder):
    assert folder.best() is None
    assert folder.best_value("val/loss") is None
    best, _ = checkpoint(folder, 5), checkpoint(folder, 10)
    folder.mark_best(5, "val/loss", 0.25)
    assert folder.best() == best
    assert folder.best_value("val/loss") == 0.25
    assert folder.best_value("val/psnr") is None
    (best / SEAL).unlink()
    assert folder.best() is None
    assert folder.best_value("val/loss") is None


def test_cleaning_removes_what_has_no_seal_and_nothing_else(folder):
    kept = checkpoint(folder, 5)
    folder.mark_best(5, "val/loss", 0.5)
    (folder.checkpoints / "step-0000007").mkdir()
    (folder.checkpoints / "step-0000007" / "rank-00000.pt").write_bytes(b"half")
    (folder.checkpoints / ".unfinished-x").mkdir()
    folder.clean()
    assert sorted(folder.checkpoints.iterdir()) == [folder.checkpoints / "best.json", kept]


def test_a_run_is_set_aside_under_the_first_free_name(folder):
    assert folder.set_aside() is None
    for number in (1, 2):
        checkpoint(folder, number)
        assert folder.set_aside() == folder.path.with_name(f"run.old-{number}")
        assert not folder.path.exists()


@pytest.mark.parametrize(
    "harmless", [{"max_steps": 20}, {"max_time": "00:01:00:00"}, {"log_every_n_steps": 3}]
)
def test_limits_and_logging_may_change(folder, harmless):
    checkpoint(folder, 5)
    folder.write_config(TEXT)
    folder.check_same(changed(**harmless), None)


def test_a_setting_that_changes_the_result_is_refused_by_name(folder):
    folder.write_config(TEXT)
    folder.check_same(changed(gradient_clip_val=2.0), None)  # nothing was learnt yet
    checkpoint(folder, 5)
    with pytest.raises(
        UserError, match=r"trainer\.gradient_clip_val: was 1\.0, now 2\.0(.|\n)*--restart true"
    ):
        folder.check_same(changed(gradient_clip_val=2.0), None)


def test_other_data_under_the_same_path_is_refused(folder):
    checkpoint(folder, 5)
    folder.write_config(TEXT)
    folder.add_facts(data="abc")
    folder.check_same(TEXT, "abc")
    with pytest.raises(UserError, match="fingerprint was abc, now def"):
        folder.check_same(TEXT, "def")


def test_facts_are_added_to_those_that_are_there(folder):
    folder.add_facts(data="abc")
    folder.add_facts(mlflow={"run": "1"})
    assert folder.facts() == {"data": "abc", "mlflow": {"run": "1"}}


def test_a_finished_run_is_finished_until_its_limits_are_raised(folder):
    assert folder.finished(TEXT) is None
    folder.finish(TEXT, 10)
    assert folder.finished(TEXT) == 10
    assert folder.finished(changed(gradient_clip_val=None)) == 10
    assert folder.finished(changed(max_steps=20)) is None
    folder.reopen()
    assert folder.finished(TEXT) is None


def test_a_finished_run_without_checkpoints_still_refuses_another_config(folder):
    folder.write_config(TEXT)
    folder.finish(TEXT, 10)
    with pytest.raises(UserError, match="gradient_clip_val"):
        folder.check_same(changed(gradient_clip_val=2.0), None)


def test_changes_reach_into_lists_of_classes():
    one = {"trainer": {"callbacks": [{"class_path": "a", "init_args": {"x": 1}}]}, "prompts": ["a", "b"]}
    two = {"trainer": {"callbacks": [{"class_path": "a", "init_args": {"x": 2}}]}, "prompts": ["a", "b"]}
    assert list(changes(one, two)) == ["trainer.callbacks.0.init_args.x: was 1, now 2"]
    assert dict(flatten(one))["prompts"] == ["a", "b"]


def test_other_data_are_told_apart_by_what_they_are_made_of(tmp_path):
    folder, before = RunFolder(tmp_path), {"TAE": "one", "text encoder": "minilm", "buckets": "64x64x16 (9)"}
    folder.write_config("a: 1\n")
    folder.add_facts(data="first", made_of=before)
    folder.finish("a: 1\n", step=1)
    folder.check_same("a: 1\n", "first", before)
    now = {**before, "TAE": "two", "buckets": "64x64x16 (9), 64x64x1 (9)"}
    both = r"data's TAE: one then, two now\n.*buckets: 64x64x16 \(9\) then, .*x1 \(9\) now"
    with pytest.raises(UserError, match=both):
        folder.check_same("a: 1\n", "second", now)
    with pytest.raises(UserError, match="fingerprint was first, now second"):
        folder.check_same("a: 1\n", "second", before)
