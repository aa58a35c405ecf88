"""Latents of one video are those of its TAE, survive a file, and come back as the video they are of."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from console import UserError
from evaluation.metrics import psnr
from inference.encode_video import decode_video, encode_video
from inference.latent_file import KEY, open_latents, writing_latents
from inference.reconstruct import reconstruct
from inference.run import main
from inference.t2v import to_values
from inference.tiles import StreamOptions
from inference.video import read_video
from inference.weights import save_model
from models.tae import TAE
from models.tae.tiling import TiledTAE, TilingConfig
from tests.inference.conftest import TAE_CONFIG, scatter
from tests.inference.films import UNEVEN, even, make_film, seconds_of, sound_of

OPTIONS = StreamOptions()


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path / "a.mp4", even(70))


@pytest.fixture
def latents(film, model_folders, tmp_path):
    encode_video(film, model_folders[0], tmp_path / "a.safetensors", None, OPTIONS)
    return tmp_path / "a.safetensors"


def test_the_file_holds_the_posterior_means(film, latents, tae):
    video = to_values(read_video(film)[None])
    expected = TiledTAE(tae, TilingConfig()).encode(video).mean[0]
    found = load_file(latents)
    torch.testing.assert_close(found["latent"], expected, atol=1e-5, rtol=1e-5)
    assert found["instants"].tolist() == open_latents(latents).instants
    assert len(found["instants"]) == 70


@pytest.mark.parametrize("instants", [[0], UNEVEN, even(70)])
def test_a_video_comes_back_as_reconstruct_makes_it(tmp_path, model_folders, instants):
    tae, source = model_folders[0], make_film(tmp_path / "a.mp4", instants)
    reconstruct(source, tae, tmp_path / "direct.mp4", OPTIONS)
    encode_video(source, tae, tmp_path / "a.safetensors", None, OPTIONS)
    decode_video(tmp_path / "a.safetensors", tae, tmp_path / "b.mp4", source, OPTIONS)
    assert seconds_of(tmp_path / "b.mp4") == seconds_of(source)
    assert sound_of(tmp_path / "b.mp4") == sound_of(source)
    assert psnr(read_video(tmp_path / "b.mp4"), read_video(tmp_path / "direct.mp4")) > 45


def test_a_size_that_does_not_divide_asks_to_choose(tmp_path, model_folders):
    tae, source = model_folders[0], make_film(tmp_path / "a.mp4", even(5), size=(44, 60))
    target, shown = tmp_path / "a.safetensors", tmp_path / "b.mp4"
    with pytest.raises(UserError, match=r"60x44; .* multiples of 8. Add --fit pad .* or --fit crop"):
        encode_video(source, tae, target, None, OPTIONS)
    for fit, size, latent in (("pad", (44, 60), (6, 8)), ("crop", (40, 56), (5, 7))):
        encode_video(source, tae, target, fit, OPTIONS)
        assert open_latents(target).shape[2:] == latent
        decode_video(target, tae, shown, None, OPTIONS)
        assert read_video(shown).shape == (5, *size, 3)


def test_the_pieces_are_the_whole_whatever_their_size(latents):
    found, whole = open_latents(latents), load_file(latents)["latent"]
    for size in (1, 4, 100):
        assert torch.equal(torch.cat(list(found.pieces(size)), dim=1)[0], whole)


@pytest.mark.parametrize("shape", [(3, 1, 1, 1), (1, 5, 3, 1), (4, 16, 2, 2)])
def test_any_shape_survives_a_file(tmp_path, shape):
    """Also those after which 8-byte instants would begin in the middle of a word."""
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with writing_latents(tmp_path / "x.safetensors") as writer:
        for row in values:
            writer.append(row[None])
        writer.describe([0, 1, 2], {})
    found = load_file(tmp_path / "x.safetensors")
    assert np.array_equal(found["latent"].numpy(), values)
    assert found["instants"].tolist() == [0, 1, 2]


def test_pieces_of_other_shapes_are_refused_and_nothing_is_left(tmp_path):
    def write():
        with writing_latents(tmp_path / "x.safetensors") as writer:
            writer.append(np.zeros((1, 4, 2, 2), np.float32))
            writer.append(np.zeros((1, 4, 3, 2), np.float32))

    with pytest.raises(ValueError, match="have one shape"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_latents_of_another_tae_are_refused_with_both(latents, model_folders, tmp_path):
    other = save_model(tmp_path / "other", scatter(TAE(TAE_CONFIG), seed=9), {})
    right = open_latents(latents).facts["tae"]
    with pytest.raises(UserError, match=f"{right[:12]}.*{other[:12]}"):
        decode_video(latents, tmp_path / "other", tmp_path / "b.mp4", None, OPTIONS)
    assert not (tmp_path / "b.mp4").exists()


def test_files_that_hold_no_latents_are_named(latents, model_folders, tmp_path):
    def refused(path, complaint):
        with pytest.raises(UserError, match=complaint):
            decode_video(path, model_folders[0], tmp_path / "b.mp4", None, OPTIONS)

    refused(tmp_path / "absent.safetensors", "no file of latents")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(latents.read_bytes()[:-9])
    refused(cut, "cannot be read")
    save_file({"weight": torch.zeros(3)}, tmp_path / "weights.safetensors")
    refused(tmp_path / "weights.safetensors", "holds no latents of a video")
    facts = open_latents(latents).facts
    tensors = load_file(latents)
    fewer = {"latent": tensors["latent"][:-1].clone(), "instants": tensors["instants"]}
    save_file(fewer, tmp_path / "fewer.safetensors", {KEY: json.dumps(facts)})
    refused(tmp_path / "fewer.safetensors", "8 frames of latent for 70 pictures, which take 9")
    save_file(tensors, tmp_path / "later.safetensors", {KEY: json.dumps({**facts, "format": 99})})
    refused(tmp_path / "later.safetensors", "format 99")


def test_a_stopped_run_leaves_nothing(film, model_folders, tmp_path, monkeypatch):
    import inference.encode_video

    real = inference.encode_video.pictures

    def stopped(*arguments):
        for number, picture in enumerate(real(*arguments)):
            if number == 50:
                raise KeyboardInterrupt
            yield picture

    monkeypatch.setattr(inference.encode_video, "pictures", stopped)
    out = tmp_path / "out" / "a.safetensors"
    with pytest.raises(KeyboardInterrupt):
        encode_video(film, model_folders[0], out, None, OPTIONS)
    assert list(out.parent.iterdir()) == []


def test_the_commands_do_it(film, model_folders, tmp_path, capsys):
    tae, latents, out = str(model_folders[0]), str(tmp_path / "x.safetensors"), tmp_path / "x.mp4"
    assert main(["encode-video", str(film), "--tae", tae, "--out", latents]) == 0
    assert main(["decode", latents, "--tae", tae, "--out", str(out), "--sound", str(film)]) == 0
    assert "70 frames of 64x48" in capsys.readouterr().out
    assert seconds_of(out) == seconds_of(film)
    with pytest.raises(UserError, match=r"The sound of .*absent"):
        main(["decode", latents, "--tae", tae, "--out", str(out), "--sound", "absent.mp4"])
    with pytest.raises(UserError, match=r"NAME\.safetensors"):
        main(["encode-video", str(film), "--tae", tae, "--out", str(out)])
