"""An encoder is found by package, path or hub name, and only safetensors are opened."""

import pytest
import torch

from models.text import open_text_encoder
from models.text.source import find_folder, fingerprint
from tests.models.text.tiny_encoders import byt5_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return byt5_folder(tmp_path_factory.mktemp("byt5"))


def test_a_hub_name_is_read_from_the_hubs_cache(folder, tmp_path, monkeypatch):
    """The cache as the hub's client leaves it; a test has no network to fill it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--byt5-tiny"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(path)
    encoder = open_text_encoder("someone/byt5-tiny", max_tokens=10)
    assert encoder.name == "someone/byt5-tiny"
    assert torch.equal(
        encoder.encode(["stop"]).embedding, open_text_encoder(str(folder), 10).encode(["stop"]).embedding
    )


def test_a_hub_name_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no folder 'google/ul3'.*hf download google/ul3"):
        find_folder("google/ul3")


def test_pickled_weights_are_never_opened(folder, tmp_path):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"no \*\.safetensors"):
        open_text_encoder(str(tmp_path))


def test_the_fingerprint_changes_with_any_file_that_counts_and_with_no_other(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = fingerprint(tmp_path, 10)
    assert before == fingerprint(folder, 10) != fingerprint(folder, 11)
    (tmp_path / "README.md").write_text("words")
    assert fingerprint(tmp_path, 10) == before
    content = bytearray((tmp_path / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(content)
    assert fingerprint(tmp_path, 10) != before
