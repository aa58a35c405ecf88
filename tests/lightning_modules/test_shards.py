"""Tensors come back bit for bit, and the directory of a checkpoint can make nothing run."""

import pickle

import pytest
import torch

from console import UserError
from lightning_modules.shards import DIRECTORY, empty_tensors, is_sharded, read_tensors, write_tensors
from lightning_modules.team import Team

TENSORS = {
    "model/a.weight": torch.arange(12.0).view(3, 4),
    "model/b": torch.arange(5, dtype=torch.bfloat16),
    "optimizer/0/a.weight/exp_avg": torch.randn(3, 4, generator=torch.Generator().manual_seed(1)),
    "model/none": torch.empty(0, 3),
    "model/turned": torch.arange(6).view(2, 3).t(),
    "model/flags": torch.tensor([True, False]),
}


class Payload:
    def __reduce__(self):
        return print, ("ran",)


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)


@pytest.fixture
def folder(tmp_path):
    write_tensors(tmp_path, TENSORS, Team())
    return tmp_path


def test_what_was_written_is_read_with_names_shapes_and_types(folder):
    found = empty_tensors(folder)
    read_tensors(folder, found)
    assert found.keys() == TENSORS.keys()
    assert all(same(found[name], TENSORS[name]) for name in TENSORS)
    assert not is_sharded(found)


def test_a_part_can_be_read_alone(folder):
    wanted = {"model/b": torch.zeros(5, dtype=torch.bfloat16)}
    read_tensors(folder, wanted)
    assert same(wanted["model/b"], TENSORS["model/b"])


def test_one_process_writes_one_file_and_the_directory(folder):
    assert sorted(path.name for path in folder.iterdir()) == [DIRECTORY, "__0_0.distcp"]


@pytest.mark.parametrize("content", [Payload(), {"x": Payload()}, torch.nn.Linear])
def test_a_directory_that_names_other_code_is_refused_and_nothing_runs(folder, content, capsys):
    (folder / DIRECTORY).write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="is no directory of a checkpoint or is damaged"):
        empty_tensors(folder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch.distributed.checkpoint.filesystem", "os.system"),
        ("torch.distributed.checkpoint.filesystem", "os"),
        ("torch.distributed.checkpoint.filesystem", "pickle"),
        ("torch.distributed.checkpoint.metadata", "dataclass"),
        ("torch", "load"),
        ("builtins", "eval"),
    ],
)
def test_no_name_beside_the_classes_of_the_format_can_be_reached(folder, module, name):
    (folder / DIRECTORY).write_bytes(b"\x80\x04\x8c%c" % len(module) + module.encode()
                                     + b"\x8c%c" % len(name) + name.encode() + b"\x93.")  # fmt: skip
    with pytest.raises(UserError, match=f"it names {module}.{name}"):
        empty_tensors(folder)


@pytest.mark.parametrize("keep", [0, 20])
def test_a_cut_directory_is_refused_by_name(folder, keep):
    (folder / DIRECTORY).write_bytes((folder / DIRECTORY).read_bytes()[:keep])
    with pytest.raises(UserError, match=DIRECTORY):
        read_tensors(folder, dict(TENSORS))
