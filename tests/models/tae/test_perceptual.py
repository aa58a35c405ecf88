"""Perceptual distances: zero on equal pictures, larger on worse ones, frozen, of the file that was named."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from models.tae.perceptual import BACKBONES, FeatureDistance, open_perceptual


class Colours(nn.Module):
    """Features that can be worked out by hand: the picture itself, and its mean."""

    def forward(self, pictures):
        return [pictures, pictures.mean(dim=(2, 3), keepdim=True)]


@pytest.fixture(scope="module")
def lite0():
    return open_perceptual("efficientnet-lite0")


@pytest.fixture(scope="module", params=list(BACKBONES))
def lpips(request, tmp_path_factory):
    """LPIPS on a backbone of random weights in a file as torchvision has it."""
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    torch.save(backbone(BACKBONES[request.param]).state_dict(), path)
    return open_perceptual(request.param, path)


def backbone(name):
    """torchvision's network with random weights; its classifier, which LPIPS drops, takes seconds to fill."""
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, name)(
            weights=None, **({"init_weights": False} if "vgg" in name else {})
        )
    network.features.to_empty(device="cpu")
    network.classifier = nn.Identity()
    torch.manual_seed(1)
    for weight in network.features.parameters():
        nn.init.kaiming_uniform_(weight) if weight.ndim > 1 else nn.init.zeros_(weight)
    return network


def picture(n=2, size=64):
    """Smooth blobs with an edge: something for a network to see."""
    blobs = interpolate(torch.rand(n, 3, 5, 5) * 2 - 1, size=(size, size), mode="bicubic").clamp(-1, 1)
    blobs[..., size // 3 : size // 2] *= -1
    return blobs


def blurred(pictures):
    return interpolate(avg_pool2d(pictures, 4), scale_factor=4.0, mode="bilinear")


def test_the_distance_is_that_of_directions_averaged_over_maps():
    red, green = torch.zeros(2, 1, 3, 4, 4)
    red[:, 0], green[:, 1] = 0.5, 0.9
    torch.testing.assert_close(FeatureDistance(Colours())(red, green), torch.tensor([2.0]))
    torch.testing.assert_close(FeatureDistance(Colours())(red, 0.2 * red), torch.tensor([0.0]))
    green[..., :2] = red[..., :2]  # half the positions agree; the mean colour is between
    half = FeatureDistance(Colours())(red, green)
    between = 2 - 2 * 0.25 / (0.25**2 + 0.45**2) ** 0.5
    torch.testing.assert_close(half, torch.tensor([(1.0 + between) / 2]))


def test_equal_pictures_are_at_no_distance_and_worse_ones_are_further(lite0, lpips):
    pictures = picture()
    for distance in (lite0, lpips):
        assert distance(pictures, pictures.clone()).abs().max() == 0
        slight, strong = (distance(pictures, pictures + s * torch.randn_like(pictures)) for s in (0.02, 0.5))
        assert slight.shape == (2,)
        assert (slight > 0).all()
        assert (strong > 2 * slight).all()


def test_the_packaged_backbone_minds_a_blur_more_than_a_change_of_light(lite0):
    """What a perceptual loss is for: at the same squared error, lost detail weighs more."""
    pictures = picture(4)
    dull = blurred(pictures)
    brighter = pictures + (dull - pictures).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    assert (lite0(pictures, dull) > lite0(pictures, brighter)).all()


def test_each_pair_is_measured_alone(lite0):
    first, second, other = picture(1), picture(1), picture(1)
    both = lite0(torch.cat([first, second]), torch.cat([other, other]))
    torch.testing.assert_close(both, torch.cat([lite0(first, other), lite0(second, other)]))


def test_gradients_reach_the_pictures_and_no_weight(lite0, lpips):
    for distance in (lite0, lpips):
        pictures = picture(1, 32).requires_grad_()
        distance.train()
        distance(pictures, picture(1, 32)).sum().backward()
        assert pictures.grad.abs().sum() > 0
        assert all(weight.grad is None and not weight.requires_grad for weight in distance.parameters())
        assert not any(module.training for module in distance.modules() if module is not distance)


def test_lpips_is_torchmetrics_own_on_the_same_weights(monkeypatch, tmp_path):
    """The public class loads its backbone from torchvision: give it ours there, and compare the scores."""
    import torchvision
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    network = backbone("alexnet")
    save_file(network.state_dict(), tmp_path / "alexnet.safetensors")
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights: network)
    theirs = LearnedPerceptualImagePatchSimilarity(net_type="alex", reduction="sum")
    monkeypatch.undo()
    ours = open_perceptual("lpips-alex", tmp_path / "alexnet.safetensors")
    pictures, others = picture(), picture()
    torch.testing.assert_close(ours(pictures, others).sum(), theirs(pictures, others))


def test_lpips_takes_what_a_decoder_gives(lpips):
    assert lpips(3 * picture(), picture()).isfinite().all()


@pytest.mark.parametrize(
    ("name", "weights", "error", "message"),
    [
        ("lpips-vgg", None, ValueError, "path of torchvision's vgg16 weights"),
        ("lpips-vgg", "nowhere.pth", FileNotFoundError, "no weight file 'nowhere.pth'"),
        ("efficientnet-lite0", "some.pth", ValueError, "would have no effect"),
    ],
)
def test_what_is_missing_is_named(name, weights, error, message):
    with pytest.raises(error, match=message):
        open_perceptual.__wrapped__(name, weights) if name == "lpips-squeeze" else open_perceptual(
            name, weights
        )


def test_weights_of_another_network_are_refused_by_tensor_and_shape(tmp_path):
    torch.save(backbone("alexnet").state_dict(), tmp_path / "alexnet.pth")
    with pytest.raises(ValueError, match=r"torchvision's vgg16: 'features\.0\.weight' is \[64, 3, 11, 11\]"):
        open_perceptual("lpips-vgg", tmp_path / "alexnet.pth")


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("module.pth", "text.safetensors"):
        with pytest.raises(ValueError, match=f"{name}' is no file of tensors"):
            open_perceptual("lpips-alex", tmp_path / name)
