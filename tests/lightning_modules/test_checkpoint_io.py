"""A checkpoint is whole or absent, opens without pickled code, and says where it does not fit."""

import errno
import resource
from pathlib import Path

import pytest
import torch

from console import UserError
from lightning_modules.checkpoint_io import AtomicCheckpointIO, check_fits, read_checkpoint


class Payload:
    def __reduce__(self):
        return print, ("ran",)


def test_what_was_saved_is_read(tmp_path):
    path = tmp_path / "a" / "step.ckpt"
    AtomicCheckpointIO().save_checkpoint({"x": torch.arange(3), "step": 5}, path)
    read = AtomicCheckpointIO().load_checkpoint(path)
    assert read["x"].tolist() == [0, 1, 2]
    assert read["step"] == 5
    assert [file.name for file in path.parent.iterdir()] == ["step.ckpt"]


def test_a_failed_save_leaves_the_older_file_alone(tmp_path):
    path = tmp_path / "step.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        AtomicCheckpointIO().save_checkpoint({"step": 2, "no": lambda: None}, path)
    assert read_checkpoint(path) == {"step": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"x": Payload()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match=r"evil\.ckpt' is no checkpoint of ours"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keep", [0, 10, 600])
def test_a_cut_checkpoint_is_refused_by_name(tmp_path, keep):
    path = tmp_path / "cut.ckpt"
    torch.save({"x": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cut\.ckpt"):
        read_checkpoint(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt")


def test_tensors_that_do_not_fit_are_named_with_both_shapes():
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(()), "old": torch.zeros(1)}
    needed = {"a": torch.zeros(2, 4), "b": torch.zeros(()), "new": torch.zeros(5)}
    with pytest.raises(UserError) as told:
        check_fits(Path("x.ckpt"), state, needed)
    message = str(told.value)
    assert "'a' is 2x3 there, 2x4 here" in message
    assert "'new' (5) is missing there" in message
    assert "'old' (1) has no place here" in message
    assert "'b'" not in message
    check_fits(Path("x.ckpt"), needed, needed)


@pytest.fixture
def _small_disk():
    """A limit on the size of files stands in for the disk's end: the same write fails in the same place."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("_small_disk")
def test_a_full_disk_is_told_as_one_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="File too large") as refused:
        AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(1 << 18)}, tmp_path / "a.ckpt")
    assert refused.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
