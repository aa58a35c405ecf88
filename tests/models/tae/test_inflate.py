"""The law of inflation: on still video a new TAE is the image autoencoder that its weights came from."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.tae import TAE, TAEConfig
from models.tae.inflate import export_image_autoencoder, inflate
from tests.models.tae.image_autoencoders import fitting, reference, save

KINDS = ["inflated", "inflated_3d", "framewise"]


def assert_same(got: torch.Tensor, needed: torch.Tensor) -> None:
    """To 1e-5 of the size of the values."""
    error = (got - needed).abs().max() / needed.abs().max()
    assert error < 1e-5, error


def stir(tae: TAE) -> TAE:
    """No weight as it was drawn: what inflation must overwrite, it has to overwrite."""
    with torch.no_grad():
        for parameter in tae.parameters():
            parameter.add_(torch.randn_like(parameter))
    return tae.eval()


@pytest.mark.parametrize("halves", KINDS)
@pytest.mark.parametrize(("channels", "maps"), [(4, True), (16, False), (16, True), (4, False)])
@pytest.mark.parametrize("frames", [1, 11])
@torch.no_grad()
def test_each_frame_of_a_still_video_is_what_the_image_autoencoder_makes_of_it(
    tmp_path, halves, channels, maps, frames
):
    image_model = reference(channels, maps=maps)
    tae = stir(TAE(fitting(halves, channels, maps=maps)))
    inflate(tae, save(image_model, tmp_path))
    image = torch.rand(2, 3, 16, 24) * 2 - 1

    still = image[:, None].expand(-1, frames, -1, -1, -1)
    posterior, needed = tae.encode(still), image_model.encode(image).latent_dist
    assert posterior.mean.shape[1] == -(-frames // tae.config.time_factor)
    for latent_frame in range(posterior.mean.shape[1]):
        assert_same(posterior.mean[:, latent_frame], needed.mean)
        assert_same(posterior.logvar[:, latent_frame], needed.logvar)

    back, needed = tae.decode(posterior.mean, frames=frames), image_model.decode(needed.mean).sample
    assert back.shape[1] == frames
    for frame in range(frames):
        assert_same(back[:, frame], needed)


@pytest.mark.parametrize("halvings", [0, 1, 2])
@torch.no_grad()
def test_the_law_holds_wherever_frames_are_halved(tmp_path, halvings):
    image_model = reference(4, maps=False)
    tae = TAE(fitting("inflated", 4, maps=False, time_halvings=halvings)).eval()
    inflate(tae, save(image_model, tmp_path))
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    latent = tae.encode(image[:, None].expand(-1, 4, -1, -1, -1)).mean
    assert latent.shape[1] == 4 // 2**halvings
    assert_same(latent[:, -1], image_model.encode(image).latent_dist.mean)
    assert_same(tae.decode(latent)[:, -1], image_model.decode(latent[:, 0]).sample)


@pytest.mark.parametrize("halves", KINDS)
@pytest.mark.parametrize("maps", [True, False])
@torch.no_grad()
def test_a_wider_latent_begins_with_the_file_s_and_changes_no_reconstruction(tmp_path, halves, maps):
    image_model = reference(4, maps=maps)
    tae = stir(TAE(fitting(halves, 16, maps=maps)))
    report = inflate(tae, save(image_model, tmp_path))
    assert (report.latent_channels, report.new_channels) == (4, 12)
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    needed = image_model.encode(image).latent_dist
    posterior = tae.encode(image[:, None])
    assert_same(posterior.mean[:, 0, :4], needed.mean)
    assert_same(posterior.logvar[:, 0, :4], needed.logvar)
    assert (
        posterior.mean[:, 0, 4:].abs().min() > 0
    )  # the new ones carry something, or nothing could be learned
    assert_same(tae.decode(posterior.mean)[:, 0], image_model.decode(needed.mean).sample)


def test_a_wider_latent_can_be_learned(tmp_path):
    tae = TAE(fitting("inflated", 16, maps=True))
    inflate(tae, save(reference(4, maps=True), tmp_path))
    video = torch.rand(1, 8, 3, 16, 16) * 2 - 1
    (tae.decode(tae.encode(video).mean) - video).square().mean().backward()
    assert (tae.decoder.stem.space.weight.grad[:, 4:].abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize("maps", [True, False])
@torch.no_grad()
def test_an_exported_image_autoencoder_opens_in_diffusers_and_comes_back(tmp_path, maps):
    diffusers = pytest.importorskip("diffusers")
    tae = stir(TAE(fitting("framewise", 4, maps=maps)))
    tae.latent_mean.copy_(torch.randn(4))
    tae.latent_std.copy_(torch.rand(4) + 0.5)
    export_image_autoencoder(tae, tmp_path)
    image_model = diffusers.AutoencoderKL.from_pretrained(tmp_path).eval()
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    posterior, needed = tae.encode(image[:, None]), image_model.encode(image).latent_dist
    assert_same(posterior.mean[:, 0], needed.mean)
    assert_same(posterior.logvar[:, 0], needed.logvar)
    assert_same(tae.decode(posterior.mean)[:, 0], image_model.decode(needed.mean).sample)

    again = TAE(tae.config)
    inflate(again, tmp_path)
    for name, tensor in tae.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, msg=name)


def test_scaling_and_shift_become_the_statistics_of_the_latent(tmp_path):
    tae = TAE(fitting("inflated", 16, maps=False))
    image_model = reference(4, maps=False, scaling_factor=0.5, shift_factor=0.25)
    assert inflate(tae, save(image_model, tmp_path)).statistics
    latent = torch.randn(1, 2, 16, 2, 2)
    torch.testing.assert_close(tae.normalise(latent)[:, :, :4], (latent[:, :, :4] - 0.25) * 0.5)
    torch.testing.assert_close(tae.normalise(latent)[:, :, 4:], latent[:, :, 4:])


def test_a_file_of_another_shape_is_refused_by_name_and_shapes_with_the_shape_that_fits(tmp_path):
    save(reference(4, maps=True), tmp_path)
    before = TAE(TAEConfig(widths=(8, 16, 16, 32), blocks=1, groups=4, latent_maps=True))
    state = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit this TAE") as refused:
        inflate(before, tmp_path)
    message = str(refused.value)
    assert (
        "'encoder.down_blocks.3.resnets.0.conv1.weight' is [24, 16, 3, 3] there, [32, 16, 3, 3] here"
        in message
    )
    assert (
        "widths [8, 16, 16, 24], blocks 1, groups 4, latent_maps true and latent_channels of at least 4"
        in message
    )
    assert all(torch.equal(tensor, state[name]) for name, tensor in before.state_dict().items())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"latent_maps": False}, "'quant_conv.weight' .* has no place here"),
        ({"latent_channels": 2}, r"'encoder.conv_out.weight' is \[8, 24, 3, 3\] there, \[4, 24, 3, 3\] here"),
        ({"blocks": 2}, "'encoder.down_blocks.0.resnets.1.norm1.weight' .* is missing there"),
        ({"groups": 2}, "norm_num_groups is 4 there, 2 here"),
    ],
)
def test_each_kind_of_misfit_is_named(tmp_path, change, says):
    save(reference(4, maps=True), tmp_path)
    shape = {"widths": (8, 16, 16, 24), "blocks": 1, "groups": 4, "latent_channels": 4, "latent_maps": True}
    with pytest.raises(ValueError, match=says):
        inflate(TAE(TAEConfig(**(shape | change))), tmp_path)


def test_an_autoencoder_of_videos_is_told_from_one_of_images(tmp_path):
    save(reference(4, maps=False), tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = {name: t[:, :, None] if t.ndim == 4 else t for name, t in load_file(file).items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    with pytest.raises(ValueError, match="It is no AutoencoderKL of images"):
        inflate(TAE(fitting("inflated", 4, maps=False)), tmp_path)


def test_compact_halves_have_nothing_to_inflate_and_only_frames_are_exported(tmp_path):
    with pytest.raises(ValueError, match=r"Choose tae\.halves: inflated"):
        inflate(TAE(TAEConfig(halves="compact", widths=(8, 16, 32), blocks=1)), tmp_path)
    with pytest.raises(ValueError, match="only framewise"):
        export_image_autoencoder(TAE(fitting("inflated", 4, maps=False)), tmp_path)
