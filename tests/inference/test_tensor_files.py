"""Tensors in one file or several: the same tensors come back, and a folder that lacks a part says which."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from console import UserError
from inference.tensor_files import hash_tensors, read_tensors, tensor_files, write_tensors

TENSORS = {
    "a": torch.randn(10, 10),
    "b": torch.arange(100),
    "c": torch.randn(3).to(torch.bfloat16),
    "d": torch.zeros(()),
}
INDEX = "model.safetensors.index.json"


def same(left: dict, right: dict) -> bool:
    return left.keys() == right.keys() and all(
        torch.equal(left[key], right[key]) and left[key].dtype == right[key].dtype for key in left
    )


@given(st.integers(1, 2000))
def test_any_size_of_file_gives_the_tensors_back_and_is_kept_to(tmp_path_factory, limit):
    folder = tmp_path_factory.mktemp("tensors")
    files = write_tensors(folder, TENSORS, limit)
    assert files == tensor_files(folder)
    assert same(read_tensors(folder), TENSORS)
    largest = max(tensor.numel() * tensor.element_size() for tensor in TENSORS.values())
    assert all(path.stat().st_size <= max(limit, largest) + 1000 for path in files)  # with its header


def test_one_file_is_the_usual_one_without_an_index(tmp_path):
    assert [path.name for path in write_tensors(tmp_path, TENSORS)] == ["model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_index_is_the_hubs(tmp_path):
    files = write_tensors(tmp_path, TENSORS, 450)
    assert [path.name for path in files] == [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"]["total_size"] == 400 + 800 + 6 + 4
    assert set(index["weight_map"]) == set(TENSORS)


def test_transformers_own_reader_finds_every_shard(tmp_path):
    from huggingface_hub import load_torch_model

    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    write_tensors(tmp_path, before, 70)
    with torch.no_grad():
        model[0].weight.zero_()
    load_torch_model(model, tmp_path)
    assert same(model.state_dict(), before)


def test_the_hash_follows_every_file(tmp_path):
    write_tensors(tmp_path, TENSORS, 450)
    before = hash_tensors(tmp_path)
    assert len(before) == 64
    last = sorted(tmp_path.glob("model-*"))[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    assert hash_tensors(tmp_path) != before


def test_a_missing_or_cut_part_is_named(tmp_path):
    files = write_tensors(tmp_path, TENSORS, 450)
    content = files[1].read_bytes()
    files[1].write_bytes(content[:20])
    with pytest.raises(UserError, match=r"00002-of-00003.* cannot be read"):
        read_tensors(tmp_path)
    files[1].unlink()
    with pytest.raises(UserError, match=r"names 3 files; model-00002-of-00003.* is missing"):
        read_tensors(tmp_path)


@pytest.mark.parametrize(
    "index", ["[]", "{", '{"weight_map": 3}', '{"weight_map": {"a": "../up.safetensors"}}']
)
def test_an_index_of_something_else_is_refused(tmp_path, index):
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(UserError, match="index"):
        read_tensors(tmp_path)
