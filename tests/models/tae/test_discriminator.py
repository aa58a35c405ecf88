"""Discriminators: one logit a patch, frames apart or together, any length, frozen where only asked."""

import pytest
import torch

from models.tae.discriminator import DiscriminatorConfig, PatchDiscriminator, frozen

KINDS = ("frames", "clips")


def network(kind, layers=2):
    torch.manual_seed(0)
    return PatchDiscriminator(DiscriminatorConfig(kind=kind, width=4, layers=layers))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 5, 8])
def test_clips_of_any_length_and_images_are_judged(kind, frames):
    verdict = network(kind)(torch.randn(2, frames, 3, 24, 16))
    assert verdict.logits.isfinite().all()
    assert verdict.logits.shape[0] == (2 * frames if kind == "frames" else 2)
    assert verdict.logits.shape[-2:] == (4, 2)  # 24 and 16, halved twice, less one for each 4 x 4 of stride 1
    assert len(verdict.features) == 3


def test_a_logit_of_frames_sees_its_own_frame_and_one_of_clips_sees_more():
    video = torch.randn(1, 8, 3, 24, 24)
    changed = video.clone()
    changed[:, 6] += 3
    frames, clips = network("frames"), network("clips")
    apart = (frames(video).logits != frames(changed).logits).flatten(1).any(dim=1)
    assert apart.tolist() == [False] * 6 + [True, False]
    together = (clips(video).logits != clips(changed).logits).flatten(3).any(dim=3)[0, 0]
    assert together.sum() > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_logit_is_of_a_patch_and_its_neighbours_not_of_the_frame(kind):
    """By gradients, since group norm passes a little of all else on: the patch is what weighs."""
    video = torch.randn(1, 4, 3, 96, 96, requires_grad=True)
    network(kind).forward(video).logits[..., 0, 0].sum().backward()
    pull = video.grad.abs().sum(dim=(0, 1, 2))
    assert pull[:40, :40].sum() > 20 * pull[48:, 48:].sum()


@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_a_batch_are_judged_apart(kind):
    """Batch norm, which LDM has here, would let an original change the verdict on a reconstruction."""
    videos = torch.randn(3, 4, 3, 16, 16)
    judge = network(kind)
    alone = torch.cat([judge(video[None]).logits for video in videos])
    torch.testing.assert_close(judge(videos).logits, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_tell_noise_from_a_gradient(kind):
    from models.tae.losses import hinge_loss

    judge = network(kind)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-2)
    smooth = torch.linspace(-1, 1, 16).expand(4, 2, 3, 16, 16)
    for _ in range(30):
        loss = hinge_loss(judge(smooth).logits, judge(torch.randn(4, 2, 3, 16, 16)).logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.2


def test_asked_while_frozen_it_passes_gradients_on_and_keeps_none():
    judge = network("frames")
    judge.out.bias.requires_grad_(False)
    video = torch.randn(1, 1, 3, 16, 16, requires_grad=True)
    with frozen(judge):
        logits = judge(video).logits
    logits.sum().backward()
    assert video.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in judge.parameters())
    assert [name for name, weight in judge.named_parameters() if not weight.requires_grad] == ["out.bias"]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_smallest_frame_gives_one_logit_and_a_smaller_one_is_refused(layers):
    judge = network("frames", layers)
    smallest = judge.config.smallest
    assert judge(torch.randn(1, 1, 3, smallest, smallest)).logits.shape[-2:] == (1, 1)
    with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels"):
        judge(torch.randn(1, 1, 3, smallest, smallest - 1))


def test_the_default_is_the_size_of_ldms():
    """2.77M with its batch norms' scales and shifts (taming's NLayerDiscriminator, 64 wide, 3 layers)."""
    with torch.device("meta"):
        judge = PatchDiscriminator(DiscriminatorConfig())
    convolutions = 3 * 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16 + 256 * 512 * 16 + 512 * 16
    biases = 64 + 128 + 256 + 512 + 1
    norms = 2 * (128 + 256 + 512)
    assert sum(weight.numel() for weight in judge.parameters()) == convolutions + biases + norms


def test_a_network_of_no_layers_is_refused():
    with pytest.raises(ValueError, match="layers of at least 1; 64, 0 came"):
        DiscriminatorConfig(layers=0)
