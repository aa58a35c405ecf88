"""Cached latents arrive normalised, texts padded and masked, and sets of mixed encoders are refused."""

import json

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.latent_format import pad_text
from datamodules.latents import LatentData
from storage import write_json
from tests.datamodules.shard_sets import write_clips, write_latents


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_latents(tmp_path_factory.mktemp("latents"), train=40)


@pytest.mark.parametrize("memory", [True, False])
def test_latents_are_normalised_by_the_statistics_of_the_index(folder, memory):
    data = LatentData(str(folder), batch_size=40, memory=memory)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["latent"].shape == (40, 2, 3, 4, 4)
    assert batch["latent"].dtype == torch.float32
    assert abs(batch["latent"].mean()) < 0.1  # the shards hold N(2, 3)
    assert abs(batch["latent"].std() - 1) < 0.1
    assert set(batch["caption"]) == {f"train {number}" for number in range(40)}


def test_texts_are_padded_and_their_mask_counts_their_tokens(folder):
    data = LatentData(str(folder), batch_size=4, memory=True, max_tokens=3)
    data.setup("fit")
    for batch in data.train_dataloader():
        text = batch["text"]
        assert text["embedding"].shape == (4, 3, 5)
        lengths = [min(3, 1 + int(clip.removeprefix("train")) % 4) for clip in batch["clip_id"]]
        assert text["mask"].sum(dim=1).tolist() == lengths
        assert not text["embedding"][~text["mask"]].any()


def test_each_encoders_texts_have_a_length_of_their_own_in_every_batch(tmp_path):
    folder = write_latents(tmp_path, widths=(5, 7))
    data = LatentData(str(folder), batch_size=2, memory=True, max_tokens=[6, 2])
    data.setup("fit")
    shapes = {tuple(text["embedding"].shape for text in batch["text"]) for batch in data.train_dataloader()}
    assert shapes == {((2, 6, 5), (2, 2, 7))}


def test_limits_of_another_number_of_encoders_are_refused(folder):
    data = LatentData(str(folder), batch_size=2, memory=True, max_tokens=[6, 2])
    data.setup("fit")
    with pytest.raises(UserError, match=r"max_tokens is \[6, 2\]; 1 text encoders read"):
        next(iter(data.train_dataloader()))
    with pytest.raises(ValueError, match=r"data\.max_tokens must be at least 1; 0 came"):
        LatentData(str(folder), max_tokens=[6, 0])


@pytest.mark.parametrize(("max_tokens", "length"), [(None, 3), (5, 5), (2, 2)])
def test_padding_keeps_the_valid_tokens_in_place(max_tokens, length):
    texts = [np.full((n, 2), n, np.float32) for n in (3, 0, 1)]
    embedding, mask = pad_text(texts, max_tokens)
    assert embedding.shape == (3, length, 2)
    assert mask.sum(dim=1).tolist() == [min(3, length), 0, 1]
    assert embedding[0][mask[0]].unique().tolist() == [3.0]


def test_validation_uses_the_statistics_of_training(tmp_path):
    folder = write_latents(tmp_path)
    index = json.loads((folder / "val/index.json").read_text())
    write_json(folder / "val/index.json", {**index, "latent_mean": [0.0] * 3})
    data = LatentData(str(folder), memory=True)
    assert data.format("val").mean.ravel().tolist() == [2.0] * 3


def test_splits_of_different_encoders_are_refused(tmp_path):
    folder = write_latents(tmp_path)
    index = json.loads((folder / "val/index.json").read_text())
    write_json(folder / "val/index.json", {**index, "tae": "u" * 64})
    with pytest.raises(UserError, match="encoded by different models"):
        LatentData(str(folder), memory=True).setup("fit")


def test_a_set_of_clips_is_no_set_of_latents(tmp_path):
    folder = write_clips(tmp_path, train=2, val=1)
    with pytest.raises(UserError, match=r"holds no latents.*inference\.run encode"):
        LatentData(str(folder)).setup("fit")


def test_statistics_of_another_width_are_refused(folder, tmp_path):
    other = write_latents(tmp_path)
    index = json.loads((other / "train/index.json").read_text())
    write_json(other / "train/index.json", {**index, "latent_mean": [0.0], "latent_std": [1.0]})
    with pytest.raises(UserError, match="has 3 channels"):
        LatentData(str(other), memory=True).setup("fit")


def test_texts_of_several_encoders_come_as_a_list_each_padded_for_itself(tmp_path):
    folder = write_latents(tmp_path, train=6, widths=(5, 7))
    data = LatentData(str(folder), batch_size=6, memory=True)
    data.setup("fit")
    first, second = next(iter(data.train_dataloader()))["text"]
    assert first["embedding"].shape == (6, 4, 5)
    assert second["embedding"].shape == (6, 4, 7)
    assert torch.equal(first["mask"], second["mask"])
    assert sorted(first["mask"].sum(dim=1).tolist()) == [1, 1, 2, 2, 3, 4]


def test_first_frames_come_normalised_where_the_shards_have_them(folder, tmp_path):
    shown = write_latents(tmp_path / "shown", train=8, first=True)
    data = LatentData(str(shown), batch_size=4, memory=True)
    data.setup("fit")
    for batch in data.train_dataloader():
        assert batch["first"].shape == (4, 1, 3, 4, 4)
        numbers = [int(clip.removeprefix("train")) for clip in batch["clip_id"]]
        assert batch["first"][:, 0, 0, 0, 0].tolist() == pytest.approx([1 + number for number in numbers])
    plain = LatentData(str(folder), batch_size=4, memory=True)
    plain.setup("fit")
    assert "first" not in next(iter(plain.train_dataloader()))
