"""Encoded shards hold the TAE's latents and the captions' tokens, survive a kill, never mix two origins."""

import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
import torch

from console import UserError
from inference.encode import EncodeOptions, encode
from inference.shards import INDEX, read_samples
from inference.statistics import measure
from inference.t2v import to_values
from inference.tiles import StreamOptions
from inference.video import read_video
from inference.weights import save_model
from models.tae import TAE
from models.tae.tiling import TiledTAE
from models.text import open_text_encoder
from storage import hash_file
from tests.inference.conftest import STATISTICS, TAE_CONFIG, load_npz, make_index, make_shard, scatter

OPTIONS = EncodeOptions(batch=2)


@pytest.fixture
def done(shards, model_folders, tmp_path):
    """The folders of a finished encoding: clips, TAE, latents."""
    encode(shards, model_folders[0], tmp_path / "latents", OPTIONS)
    return shards, model_folders[0], tmp_path / "latents"


def index(out, split: str) -> dict:
    return json.loads((out / split / INDEX).read_text())


def latents(out, split: str) -> dict[str, np.ndarray]:
    arrays = {}
    for row in index(out, split)["shards"]:
        for sample in read_samples(out / split / row["file"]):
            (out / "one.npy").write_bytes(sample.files["latent.npy"])
            arrays[sample.key] = np.load(out / "one.npy")
    return arrays


def test_a_latent_is_the_posterior_mean_of_its_clip(done, tae, tmp_path):
    shards, _, out = done
    found = latents(out, "train")
    for sample in read_samples(shards / "train" / "shard-000000.tar"):
        (tmp_path / "clip.mp4").write_bytes(sample.files["mp4"])
        with torch.no_grad():
            mean = tae.encode(to_values(read_video(tmp_path / "clip.mp4")[None])).mean[0]
        assert found[sample.key].dtype == np.float32
        assert found[sample.key].shape == (1, 4, 4, 4)
        np.testing.assert_allclose(found[sample.key], mean.numpy(), atol=1e-5)


def test_a_text_is_the_valid_tokens_of_its_caption_alone(done):
    encoder = open_text_encoder("minilm", OPTIONS.max_tokens)
    for sample in read_samples(done[2] / "val" / "shard-000000.tar"):
        caption = json.loads(sample.files["json"])["caption"]
        expected = encoder.encode([caption])
        embedding = load_npz(sample.files["text.npz"])
        assert embedding.dtype == np.float32
        assert len(embedding) == encoder.count(caption)
        np.testing.assert_allclose(embedding, expected.embedding[0].numpy(), atol=1e-4)


def test_the_description_is_copied_unchanged(done):
    shards, _, out = done
    before = {
        sample.key: sample.files["json"] for sample in read_samples(shards / "val" / "shard-000000.tar")
    }
    assert {s.key: s.files["json"] for s in read_samples(out / "val" / "shard-000000.tar")} == before


def test_the_index_says_what_the_shards_are(done):
    _, tae_folder, out = done
    for split, shards, samples in (("train", 2, 6), ("val", 1, 2)):
        found = index(out, split)
        assert len(found["shards"]) == shards
        assert found["samples"] == samples
        assert found["buckets"] == {"32x32x8": samples}
        assert found["fps"] == 8
        assert found["tae"] == hash_file(tae_folder / "model.safetensors")
        for row in found["shards"]:
            assert row["sha256"] == hash_file(out / split / row["file"])


def test_statistics_are_those_of_the_tae(done):
    for split in ("train", "val"):
        for name, values in STATISTICS.items():
            np.testing.assert_allclose(index(done[2], split)[name], values, rtol=1e-6)


def test_a_tae_that_was_never_measured_is_refused_and_then_measured(shards, tmp_path, tae, capsys):
    folder, out = tmp_path / "tae", tmp_path / "latents"
    save_model(folder, tae, {"latent_mean": None, "latent_std": None})
    with pytest.raises(UserError, match=r"has no statistics .*inference\.run statistics CLIPS --tae"):
        encode(shards, folder, out, OPTIONS)
    measure(shards, folder, StreamOptions())
    encode(shards, folder, out, OPTIONS)
    values = np.stack(list(latents(out, "train").values())).astype(np.float64)
    np.testing.assert_allclose(index(out, "val")["latent_mean"], values.mean(axis=(0, 1, 3, 4)), atol=1e-5)
    np.testing.assert_allclose(index(out, "val")["latent_std"], values.std(axis=(0, 1, 3, 4)), rtol=1e-4)
    assert "warning" not in capsys.readouterr().err


def test_statistics_of_clips_of_another_kind_are_warned_of(shards, tmp_path, tae, capsys):
    save_model(tmp_path / "tae", tae, {"latent_mean": [0.0] * 4, "latent_std": [1e-3] * 4})
    encode(shards, tmp_path / "tae", tmp_path / "latents", OPTIONS)
    assert "not 1 and 0" in capsys.readouterr().err


@pytest.mark.parametrize("tile", ["16", "16x32"])
def test_tiles_give_the_same_latents(done, tmp_path, monkeypatch, tile):
    """The clips fit one tile, which is exact; how near smaller ones come is a law of TiledTAE."""
    shards, tae_folder, whole = done
    monkeypatch.setattr(TAE, "encode", not_whole := counted(TAE.encode))
    monkeypatch.setattr(TiledTAE, "encode", in_tiles := counted(TiledTAE.encode))
    encode(shards, tae_folder, tmp_path / "tiled", EncodeOptions(batch=2, tile=tile))
    assert in_tiles.calls == not_whole.calls > 0
    for key, expected in latents(whole, "train").items():
        np.testing.assert_array_equal(latents(tmp_path / "tiled", "train")[key], expected)


def counted(method):
    """The method, counting its calls."""

    def call(*arguments):
        call.calls += 1
        return method(*arguments)

    call.calls = 0
    return call


def test_latents_in_tiles_and_whole_are_not_mixed(done):
    with pytest.raises(UserError, match="--tile or pick"):
        encode(*done, EncodeOptions(batch=2, tile="32"))
    with pytest.raises(UserError, match="multiples of 8"):
        encode(*done, EncodeOptions(batch=2, tile="12"))


def snapshot(out) -> dict:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.rglob("*") if path.is_file()}


def test_a_second_run_does_nothing(done):
    before = snapshot(done[2])
    assert "nothing to do" in encode(*done, OPTIONS)
    assert snapshot(done[2]) == before


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(done, shards, model_folders, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    real, calls = save_receipt(), []

    def kill_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 3:  # the note, the receipt of the first shard, that of the second
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr("inference.encode.write_json", kill_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        encode(shards, model_folders[0], out, OPTIONS)
    assert not (out / "train" / INDEX).exists()
    first = (out / "train" / "shard-000000.tar").stat().st_mtime_ns
    monkeypatch.setattr("inference.encode.write_json", real)
    encode(shards, model_folders[0], out, OPTIONS)
    assert (out / "train" / "shard-000000.tar").stat().st_mtime_ns == first
    for path in done[2].rglob("*.*"):
        if path.suffix in {".tar", ".json"}:
            assert (out / path.relative_to(done[2])).read_bytes() == path.read_bytes()


def save_receipt():
    import inference.encode

    return inference.encode.write_json


def test_a_lost_shard_is_made_again(done):
    shard = done[2] / "train" / "shard-000001.tar"
    before = shard.read_bytes()
    shard.unlink()
    encode(*done, OPTIONS)
    assert shard.read_bytes() == before


def test_latents_of_another_tae_are_refused_and_replaced_only_when_asked(done, tmp_path):
    shards, _, out = done
    other = tmp_path / "other"
    save_model(other, scatter(TAE(TAE_CONFIG), seed=7), STATISTICS)
    before = snapshot(out)
    with pytest.raises(UserError, match="--replace"):
        encode(shards, other, out, OPTIONS)
    assert snapshot(out) == before
    encode(shards, other, out, OPTIONS, replace=True)
    assert index(out, "train")["tae"] == hash_file(other / "model.safetensors")


def test_replace_keeps_what_is_still_right(done):
    before = snapshot(done[2])
    encode(*done, OPTIONS, replace=True)
    assert snapshot(done[2]) == before


def test_a_folder_of_something_else_is_not_taken_over(shards, model_folders, tmp_path):
    precious = tmp_path / "out" / "train" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    with pytest.raises(UserError, match="holds latents of another"):
        encode(shards, model_folders[0], tmp_path / "out", OPTIONS)
    assert precious.read_text() == "years of work"


def test_a_broken_clip_is_left_out_and_named(shards, model_folders, tmp_path, capsys):
    good = next(iter(read_samples(shards / "val" / "shard-000000.tar"))).files["mp4"]
    row = make_shard(shards / "val", "shard-000000.tar", [("fine", good), ("broken", good[:200])])
    make_index(shards / "val", [row])
    summary = encode(shards, model_folders[0], tmp_path / "out", OPTIONS)
    assert "1 left out" in summary
    assert "broken" in capsys.readouterr().err
    assert index(tmp_path / "out", "val")["left_out"] == ["broken"]
    assert index(tmp_path / "out", "val")["samples"] == 1


def test_a_set_without_held_out_clips_has_no_val(shards, model_folders, tmp_path):
    shutil.rmtree(shards / "val")
    encode(shards, model_folders[0], tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out" / "val").exists()
    assert "nothing to do" in encode(shards, model_folders[0], tmp_path / "out", OPTIONS)


def test_no_shards_and_no_tae_say_how_to_make_them(shards, model_folders, tmp_path):
    with pytest.raises(UserError, match=r"curation\.run"):
        encode(tmp_path / "none", model_folders[0], tmp_path / "out", OPTIONS)
    with pytest.raises(UserError, match=r"configs/tae\.yaml"):
        encode(shards, tmp_path / "none", tmp_path / "out", OPTIONS)


def test_an_unknown_text_encoder_is_named(shards, model_folders, tmp_path):
    with pytest.raises(UserError, match="'ul9'"):
        encode(shards, model_folders[0], tmp_path / "out", EncodeOptions(text="ul9"))


def test_the_first_frame_alone_is_encoded_where_it_is_asked_for(shards, model_folders, tae, tmp_path):
    out = tmp_path / "with"
    encode(shards, model_folders[0], out, dataclasses.replace(OPTIONS, first_frame=True))
    clips = {
        sample.key: sample.files["mp4"] for sample in read_samples(shards / "train" / "shard-000000.tar")
    }
    for sample in read_samples(out / "train" / "shard-000000.tar"):
        image = np.load(io.BytesIO(sample.files["first.npy"]))
        video = to_values(read_video(io.BytesIO(clips[sample.key]))[None])
        with torch.no_grad():
            alone = tae.encode(video[:, :1]).mean[0]
        np.testing.assert_allclose(image, alone.numpy(), atol=1e-5)


def test_latents_with_and_without_first_frames_are_not_mixed(done):
    shards, tae, out = done
    assert not [s for s in read_samples(out / "val" / "shard-000000.tar") if "first.npy" in s.files]
    with pytest.raises(UserError, match="--replace"):
        encode(shards, tae, out, dataclasses.replace(OPTIONS, first_frame=True))
