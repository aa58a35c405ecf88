"""Parts of the transformer against their definitions."""

import pytest
import torch

from models.text import TextTokens
from models.transformer.attention import CrossAttention, HeadNorm, SelfAttention
from models.transformer.block import SwiGLU
from models.transformer.dit_block import SiLUFeedForward
from models.transformer.modulation import modulate, sinusoid
from models.transformer.patchify import patches, unpatch


def test_unpatch_undoes_patches():
    latent = torch.randn(2, 3, 4, 6, 8)
    torch.testing.assert_close(unpatch(patches(latent, 2), 3, 3, 4, 2), latent)


def test_patches_are_a_convolution_whose_kernel_is_its_stride():
    latent = torch.randn(2, 3, 4, 6, 8)
    conv = torch.nn.Conv3d(4, 5, kernel_size=(1, 2, 2), stride=(1, 2, 2), bias=False)
    expected = conv(latent.transpose(1, 2)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patches(latent, 2) @ conv.weight.flatten(1).T, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_self_attention_is_the_textbook_formula():
    layer, x = SelfAttention(12, heads=3, norm=None), torch.randn(2, 5, 12)
    query, key, value = layer.q(x), layer.k(x), layer.v(x)
    heads = []
    for each in range(3):
        part = slice(4 * each, 4 * each + 4)
        weights = torch.softmax(query[..., part] @ key[..., part].transpose(1, 2) / 2, dim=-1)
        heads.append(weights @ value[..., part])
    torch.testing.assert_close(layer(x), layer.out(torch.cat(heads, dim=-1)), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_cross_attention_does_not_care_for_the_order_of_text_or_video():
    layer = CrossAttention(8, heads=2, norm=HeadNorm(4, 1e-5))
    x, text, mask = torch.randn(1, 6, 8), torch.randn(1, 4, 8), torch.ones(1, 4, dtype=torch.bool)
    out = layer(x, text, mask)
    torch.testing.assert_close(layer(x, text.flip(1), mask), out, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(layer(x.flip(1), text, mask), out.flip(1), atol=1e-6, rtol=1e-4)


@torch.no_grad()
def test_swiglu_is_gate_times_value():
    layer, x = SwiGLU(6, 10), torch.randn(3, 2, 6)
    gate, up = layer.gate.weight, layer.up.weight
    expected = (torch.sigmoid(x @ gate.T) * (x @ gate.T) * (x @ up.T)) @ layer.down.weight.T
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


def test_modulation_scales_then_shifts():
    x, scale, shift = torch.randn(2, 3, 4), torch.randn(2, 1, 4), torch.randn(2, 1, 4)
    torch.testing.assert_close(modulate(x, scale, shift), x * (1 + scale) + shift)


def test_times_that_differ_little_have_embeddings_that_differ():
    time = torch.linspace(0, 1, 251)
    assert torch.pdist(sinusoid(time)).min() > 0.5
    torch.testing.assert_close(
        sinusoid(time).square().sum(dim=1), torch.full((251,), 128.0), rtol=1e-4, atol=1e-3
    )


def test_texts_of_different_lengths_are_padded_behind():
    tokens = TextTokens.stack([torch.ones(2, 3), torch.ones(4, 3)])
    assert tokens.mask.tolist() == [[True, True, False, False], [True] * 4]
    assert tokens.embedding[0, 2:].abs().sum() == 0
    assert tokens.embedding.shape == (2, 4, 3)


@pytest.mark.parametrize("eps", [1e-5])
def test_head_norm_bounds_attention_logits(eps):
    norm = HeadNorm(16, eps)
    query, key = norm(100 * torch.randn(1, 1, 8, 16), 100 * torch.randn(1, 1, 8, 16))
    assert (query @ key.transpose(-1, -2)).abs().max() <= 16 + 1e-3


@torch.no_grad()
@pytest.mark.parametrize("kind", [SelfAttention, CrossAttention])
def test_equal_parts_of_the_rows_are_whole_heads_for_a_share_of_the_model(kind):
    """What tensor parallelism needs: layers cut along their rows alone add up to the whole."""
    whole, x = kind(16, heads=4, norm=None), torch.randn(2, 5, 16)
    others = () if kind is SelfAttention else (torch.randn(2, 3, 16), torch.ones(2, 3, dtype=torch.bool))
    total = torch.zeros_like(x)
    for rank in range(2):
        part = kind(16, heads=4, norm=None)
        for name in ("q", "k", "v", "out"):
            rows = getattr(whole, name).weight.chunk(2, dim=1 if name == "out" else 0)
            getattr(part, name).weight = torch.nn.Parameter(rows[rank])
        total += part(x, *others)
    torch.testing.assert_close(total, whole(x, *others), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_dit_blocks_feed_forward_layer_has_silu_and_biases():
    layer, x = SiLUFeedForward(6, 10), torch.randn(3, 2, 6)
    hidden = x @ layer.up.weight.T + layer.up.bias
    expected = (torch.sigmoid(hidden) * hidden) @ layer.down.weight.T + layer.down.bias
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)
