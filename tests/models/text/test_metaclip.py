"""The CLIP text tower, token by token, against open_clip's own reading of the same folder."""

import json

import open_clip
import pytest
import torch

from models.text import TextEncoder, open_text_encoder
from models.text.clip_folder import read_clip
from tests.models.text.tiny_encoders import metaclip_folder

TEXTS = ["a red ball", "two small blue stars drift up over green grass"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return metaclip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(folder):
    return open_text_encoder(str(folder), max_tokens=40)


def test_it_offers_the_interface_and_is_frozen(encoder):
    assert isinstance(encoder, TextEncoder)
    assert (encoder.width, encoder.max_tokens) == (8, 40)
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_the_end_marks_token_is_open_clips_feature_before_it_is_normalised(folder, encoder):
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(TEXTS))
    tokens = encoder.encode(TEXTS)
    last = tokens.embedding[torch.arange(2), tokens.mask.sum(dim=1) - 1]
    torch.testing.assert_close(last @ model.text_projection, expected, atol=1e-5, rtol=1e-4)


def test_a_text_is_encoded_the_same_alone_and_in_a_batch(encoder):
    alone, both = encoder.encode(TEXTS[:1]), encoder.encode(TEXTS)
    length = int(alone.mask.sum())
    assert alone.embedding.shape == (1, 5, 8)  # a start, three words, an end
    torch.testing.assert_close(both.embedding[0, :length], alone.embedding[0], atol=1e-5, rtol=1e-4)
    assert both.mask.sum(dim=1).tolist() == [5, 11]
    assert both.embedding[0, length:].abs().sum() == 0


def test_a_long_text_is_cut_at_the_limit_with_its_end_mark_and_counted_whole(folder, encoder):
    text = "ball " * 60
    assert encoder.count(text) == 62
    assert encoder.encode([text]).mask.sum() == 40
    whole = open_text_encoder(str(folder), max_tokens=500)
    assert whole.max_tokens == 77
    assert whole.encode([text]).mask.sum() == 62


def test_the_empty_text_has_its_two_marks(encoder):
    assert encoder.encode([""]).mask.sum() == 2


def test_a_tower_of_its_own_prefix_is_read_alike(folder, encoder, tmp_path):
    from safetensors.torch import save_file

    clip = read_clip(folder)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": clip.config}))
    renamed = {key if key.startswith(("visual.", "logit")) else f"text.{key}": value
               for key, value in clip.tensors.items()}  # fmt: skip
    save_file(renamed, tmp_path / "model.safetensors")
    other = open_text_encoder(str(tmp_path), max_tokens=40)
    torch.testing.assert_close(other.encode(TEXTS), encoder.encode(TEXTS))


def test_a_tower_of_transformers_is_refused_by_name(folder, tmp_path):
    clip = read_clip(folder)
    foreign = {**clip.config, "text_cfg": {"hf_model_name": "roberta-base"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": foreign}))
    (tmp_path / "model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="hf_model_name"):
        open_text_encoder(str(tmp_path))
