"""Models out and in again: the same function, with a card, and a clear word about what does not fit."""

import json

import pytest
import torch

from console import UserError
from inference.exchange import PART, export_diffusers, export_folder, import_diffusers
from inference.weights import load_model
from models.transformer import Transformer


@pytest.fixture(scope="module")
def t2v(model_folders):
    return model_folders[1]


def same(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    mine, theirs = left.state_dict(), right.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("shard_gb", [None, 20e-6])
def test_a_diffusers_folder_comes_back_bit_for_bit(t2v, tmp_path, shard_gb):
    export_diffusers(t2v, tmp_path / "out", shard_gb)
    files = list((tmp_path / "out" / PART).glob("*.safetensors"))
    assert len(files) == 1 if shard_gb is None else len(files) > 2
    digest = import_diffusers(tmp_path / "out", tmp_path / "back")
    before, after = load_model(t2v, expect=Transformer), load_model(tmp_path / "back", expect=Transformer)
    assert same(before.model, after.model)
    assert (after.model.config, after.facts) == (before.model.config, before.facts)
    assert after.hash == before.hash == digest


def test_a_sharded_folder_is_the_same_model(t2v, tmp_path):
    digest = export_folder(t2v, tmp_path / "out", 20e-6)
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 2
    before, after = load_model(t2v), load_model(tmp_path / "out")
    assert same(before.model, after.model)
    assert after.facts == before.facts
    assert after.hash == digest
    again = export_folder(tmp_path / "out", tmp_path / "whole")
    assert again == before.hash


@pytest.mark.parametrize("export", [export_folder, export_diffusers])
def test_the_card_says_what_was_recorded_and_how_to_use_it(t2v, tmp_path, export):
    digest = export(t2v, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: moviegen-lightning\npipeline_tag: text-to-video\n")
    facts = load_model(t2v).facts
    for said in (digest, "| width | 32 |", "| fps | 8.0 |", facts["tae"], "minilm", "not Meta's weights",
                 "python -m inference.run"):  # fmt: skip
        assert said in card


def test_an_autoencoder_has_a_card_too(model_folders, tmp_path):
    export_folder(model_folders[0], tmp_path / "out")
    assert "temporal autoencoder" in (tmp_path / "out" / "README.md").read_text()


def test_an_autoencoder_is_no_diffusers_transformer(model_folders, tmp_path):
    with pytest.raises(UserError, match=r"holds a models\.tae\.TAE"):
        export_diffusers(model_folders[0], tmp_path / "out")


def test_nothing_is_written_over(t2v, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for export in (export_folder, export_diffusers):
        with pytest.raises(UserError, match="there already"):
            export(t2v, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_another_projects_folder_is_named(t2v, tmp_path):
    export_diffusers(t2v, tmp_path / "out")
    path = tmp_path / "out" / PART / "config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "_class_name": "WanTransformer3DModel"}))
    with pytest.raises(UserError, match="describes a WanTransformer3DModel"):
        import_diffusers(tmp_path / "out", tmp_path / "back")
    path.unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        import_diffusers(tmp_path / "out", tmp_path / "back")


def test_tensors_of_another_shape_are_named_with_both_shapes(t2v, tmp_path):
    export_diffusers(t2v, tmp_path / "out")
    path = tmp_path / "out" / PART / "config.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "config": {**described["config"], "feed_forward": 48}}))
    with pytest.raises(UserError, match=r"do not fit .*feed_forward.* is 64x32, the config needs 48x32"):
        import_diffusers(tmp_path / "out", tmp_path / "back")
    assert not (tmp_path / "back").exists()
