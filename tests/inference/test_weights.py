"""A model folder gives back what was put in, or says exactly what does not fit."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from console import UserError
from inference.weights import CONFIG, TENSORS, load_model, save_model
from models.tae import TAE
from models.transformer import Transformer, TransformerConfig
from storage import hash_file
from tests.inference.conftest import TAE_CONFIG, scatter


@pytest.fixture
def folder(tmp_path, tae):
    save_model(tmp_path / "model", tae, {"fps": 8.0, "note": "ä"})
    return tmp_path / "model"


def test_a_model_comes_back_bit_for_bit(folder, tae):
    loaded = load_model(folder)
    assert type(loaded.model) is TAE
    assert loaded.model.config == tae.config
    assert loaded.facts == {"fps": 8.0, "note": "ä"}
    assert loaded.hash == hash_file(folder / TENSORS)
    there, here = loaded.model.state_dict(), tae.state_dict()
    assert there.keys() == here.keys()
    assert all(torch.equal(there[key], here[key]) and there[key].dtype == here[key].dtype for key in here)


def test_buffers_belong_to_the_weights(tmp_path):
    tae = TAE(TAE_CONFIG)
    tae.latent_mean += torch.arange(4)
    save_model(tmp_path / "model", tae, {})
    assert load_model(tmp_path / "model").model.latent_mean.tolist() == [0, 1, 2, 3]


def test_every_kind_of_model_is_known(tmp_path):
    config = TransformerConfig(
        width=16, layers=1, heads=2, feed_forward=32, grid=(1, 2, 2), text_widths=(8, 4)
    )
    save_model(tmp_path / "model", Transformer(config), {})
    assert load_model(tmp_path / "model").model.config == config


def test_loading_leaves_the_callers_random_numbers_alone(folder):
    state = torch.get_rng_state()
    load_model(folder)
    assert torch.equal(torch.get_rng_state(), state)


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_beside(folder, tae):
    before = (folder / TENSORS).read_bytes()
    save_model(folder, tae, {})
    assert (folder / TENSORS).read_bytes() == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failed_save_keeps_the_older_folder(folder, tae, monkeypatch):
    before = hash_file(folder / TENSORS)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inference.weights.write_json", full)
    with pytest.raises(OSError, match="space"):
        save_model(folder, scatter(TAE(TAE_CONFIG), seed=5), {})
    assert load_model(folder).hash == before
    assert list(folder.parent.iterdir()) == [folder]


def test_a_kill_between_the_two_renames_loses_nothing(folder, tae):
    before = hash_file(folder / TENSORS)
    os.rename(folder, folder.parent / ".model.older")  # what such a kill leaves
    assert load_model(folder).hash == before
    newer = save_model(folder, scatter(TAE(TAE_CONFIG), seed=5), {})
    assert load_model(folder).hash == newer != before
    assert list(folder.parent.iterdir()) == [folder]


def edit(folder, **changes) -> None:
    described = json.loads((folder / CONFIG).read_text())
    described.update(changes)
    (folder / CONFIG).write_text(json.dumps(described))


def test_a_tensor_of_another_shape_is_named_with_both_shapes(folder):
    tensors = load_file(folder / TENSORS)
    tensors["encoder.stem.bias"] = torch.zeros(9)
    save_file(tensors, folder / TENSORS)
    with pytest.raises(
        UserError, match=r"model\.safetensors .*'encoder\.stem\.bias' is 9, the config needs 8"
    ):
        load_model(folder)


def test_missing_and_surplus_tensors_are_named(folder):
    tensors = load_file(folder / TENSORS)
    tensors["extra.weight"] = tensors.pop("encoder.stem.bias")
    save_file(tensors, folder / TENSORS)
    with pytest.raises(
        UserError, match=r"'encoder\.stem\.bias' is missing.*'extra\.weight' \(8\) has no place"
    ):
        load_model(folder)


def test_an_unknown_key_of_the_config_is_named(folder):
    config = json.loads((folder / CONFIG).read_text())["config"]
    edit(folder, config={**config, "wdths": [1]})
    with pytest.raises(UserError, match=r"TAEConfig has no 'wdths'.*widths"):
        load_model(folder)


def test_a_value_that_the_config_refuses_is_explained(folder):
    config = json.loads((folder / CONFIG).read_text())["config"]
    edit(folder, config={**config, "blocks": 0})
    with pytest.raises(UserError, match=r"config\.json .*at least 1"):
        load_model(folder)


@pytest.mark.parametrize("name", ["os.system", "models.tae.autoencoder.TAE", ""])
def test_a_class_outside_the_list_is_never_imported(folder, name):
    edit(folder, model=name)
    with pytest.raises(UserError, match="Known are"):
        load_model(folder)


def test_a_later_format_is_refused(folder):
    edit(folder, format=2)
    with pytest.raises(UserError, match="format 2"):
        load_model(folder)


def test_the_wrong_kind_of_model_is_refused(folder):
    with pytest.raises(UserError, match=r"holds a models\.tae\.TAE"):
        load_model(folder, expect=Transformer)


def test_a_missing_folder_names_the_command_that_trains_it(tmp_path):
    with pytest.raises(UserError, match=r"lightning fit -c configs/t2v\.yaml"):
        load_model(tmp_path / "none", expect=Transformer)


@pytest.mark.parametrize("name", [CONFIG, TENSORS])
def test_a_folder_without_one_of_its_files_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=name):
        load_model(folder)


@pytest.mark.parametrize("name", [CONFIG, TENSORS])
def test_a_cut_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=name):
        load_model(folder)


def test_a_pickle_under_the_name_of_the_tensors_is_not_opened(folder, tae):
    torch.save(tae.state_dict(), folder / TENSORS)
    with pytest.raises(UserError, match="cannot be read"):
        load_model(folder)


def test_a_model_of_no_known_class_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="no known model"):
        save_model(tmp_path / "model", torch.nn.Linear(2, 2), {})
    shutil.rmtree(tmp_path)  # nothing half-written keeps the folder from going


def test_a_model_whose_class_was_changed_by_sharding_keeps_its_name(tmp_path, tae):
    sharded = type("FSDPTAE", (TAE,), {})
    tae.__class__ = sharded
    try:
        save_model(tmp_path / "model", tae, {})
    finally:
        tae.__class__ = TAE
    assert type(load_model(tmp_path / "model").model) is TAE
