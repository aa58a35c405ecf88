"""Every class of diffusers that is compared, tiny and random, from its folder through its adapter."""

import json
import sys

import pytest
import torch

from console import UserError
from evaluation.autoencoders import DIFFUSERS, TAECoder, continued, open_autoencoder
from inference.weights import save_model
from models.tae import TAE, TAEConfig
from tests.evaluation.tiny_vaes import TINY, tiny_vae

CPU = torch.device("cpu")
COMPRESSION = {  # frames, rows and columns a position, as each model's paper says
    "AutoencoderKL": (1, 2),
    "AutoencoderKLWan": (4, 8),
    "AutoencoderKLHunyuanVideo": (4, 8),
    "AutoencoderKLCogVideoX": (4, 8),
    "AutoencoderKLLTXVideo": (8, 32),
    "AutoencoderKLCosmos": (8, 8),
}


@pytest.fixture(scope="module", params=TINY)
def peer(request, tmp_path_factory):
    """Name, diffusers' own object, and the adapter that was opened from its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    vae = tiny_vae(request.param)
    vae.save_pretrained(folder)
    return request.param, vae, open_autoencoder(folder, CPU)


def test_every_known_class_is_tested():
    assert TINY.keys() == DIFFUSERS.keys() == COMPRESSION.keys()


@pytest.mark.parametrize("frames", [1, 5, 16, 17])
def test_a_video_of_any_length_comes_back_in_its_shape(peer, frames):
    name, _, adapter = peer
    video = torch.rand(1, frames, 3, 64, 64) * 2 - 1
    coded = adapter(video)
    assert coded.video.shape == video.shape
    assert coded.video.abs().max() <= 1
    assert coded.video.std() > 0
    time, space = COMPRESSION[name]
    latent_frames = frames if time == 1 else 1 + -(-(frames - 1) // time)
    assert coded.elements == latent_frames * adapter.channels * (64 // space) ** 2
    assert adapter.factors == (time, space)


def test_the_adapter_is_the_library_s_own_way_there_and_back(peer):
    name, vae, adapter = peer
    video = torch.rand(2, 9, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        if name == "AutoencoderKL":
            frames = vae.decode(vae.encode(video.flatten(0, 1)).latent_dist.mode()).sample
            expected = frames.unflatten(0, (2, 9))
        else:
            asked = video.transpose(1, 2)
            expected = vae.decode(vae.encode(asked).latent_dist.mode()).sample.transpose(1, 2)
    # another layout sums in another order, by what the processor offers
    torch.testing.assert_close(adapter(video).video, expected.clamp(-1, 1), rtol=1e-4, atol=1e-4)
    assert adapter.parameters == sum(parameter.numel() for parameter in vae.parameters())


def test_sides_that_do_not_divide_are_continued_and_cut_back(peer):
    video = torch.rand(1, 2, 3, 39, 50) * 2 - 1
    assert peer[2](video).video.shape == video.shape


def test_a_decoder_that_denoises_is_told_that_there_is_no_noise(tmp_path):
    tiny_vae("AutoencoderKLLTXVideo", timestep_conditioning=True).save_pretrained(tmp_path)
    video = torch.rand(2, 9, 3, 64, 64) * 2 - 1
    assert open_autoencoder(tmp_path, CPU)(video).video.shape == video.shape


def test_our_own_folder_is_a_peer_too(tmp_path):
    tae = TAE(TAEConfig(halves="compact", widths=(8, 8, 8), blocks=1, latent_channels=4)).eval()
    save_model(tmp_path / "model", tae, {})
    video = torch.rand(2, 9, 3, 32, 32) * 2 - 1
    coded = open_autoencoder(tmp_path / "model", CPU)(video)
    with torch.no_grad():
        expected = tae.decode(tae.encode(video).mean, frames=9).clamp(-1, 1)
    torch.testing.assert_close(coded.video, expected)
    assert coded.elements == 2 * 2 * 4 * 4 * 4
    assert TAECoder(tae)(video[..., :25, :31]).video.shape == (2, 9, 3, 25, 31)


def test_a_pipeline_s_folder_is_searched_for_its_autoencoder(tmp_path):
    tiny_vae("AutoencoderKL").save_pretrained(tmp_path / "vae")
    assert open_autoencoder(tmp_path, CPU).factors == (1, 2)


def test_what_is_continued_repeats_the_last_frame_row_and_column():
    video = torch.rand(1, 2, 3, 3, 5)
    longer = continued(video, 4, 4)
    assert longer.shape == (1, 4, 3, 4, 8)
    assert torch.equal(longer[:, :2, :, :3, :5], video)
    assert torch.equal(longer[:, 3, :, 3, 7], video[:, 1, :, 2, 4])


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (None, r"has no config\.json.*AutoencoderKLWan"),
        ({"_class_name": "UNet2DModel"}, "holds a UNet2DModel"),
        ({"hidden": 3}, "does not say what the folder holds"),
        ({"format": 1, "model": "models.transformer.Transformer", "config": {}, "facts": {}}, "Transformer"),
        ({"_class_name": "AutoencoderKLWan"}, "cannot be opened as AutoencoderKLWan"),
    ],
)
def test_a_folder_of_something_else_says_what_came(tmp_path, config, told):
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=told):
        open_autoencoder(tmp_path, CPU)


def test_tensors_of_another_class_are_refused(tmp_path):
    tiny_vae("AutoencoderKLWan").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_res_blocks": 2}))
    with pytest.raises(UserError, match="AutoencoderKLWan"):
        open_autoencoder(tmp_path, CPU)


def test_without_diffusers_the_extra_is_named(tmp_path, monkeypatch):
    tiny_vae("AutoencoderKL").save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UserError, match=r"pip install 'moviegen-lightning\[peers\]'"):
        open_autoencoder(tmp_path, CPU)
