"""Names and layouts of diffusers: there and back is nothing, and diffusers' own parts run our weights."""

import pytest
import torch

from inference.diffusers_names import from_diffusers, to_diffusers
from models.transformer import Transformer, TransformerConfig
from models.transformer.attention import HeadNorm, SelfAttention
from models.transformer.block import SwiGLU
from models.transformer.dit_block import SiLUFeedForward
from models.transformer.modulation import TimeEmbedding, sinusoid
from models.transformer.patchify import Patchify

KINDS = {
    "llama": TransformerConfig(
        width=24, layers=11, heads=2, feed_forward=40, latent_channels=4, grid=(2, 3, 3), text_widths=(6, 9)
    ),
    "dit": TransformerConfig(
        width=24, layers=2, heads=2, feed_forward=40, latent_channels=4, grid=(2, 3, 3), text_widths=(6,),
        block="dit", qk_norm=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_is_nothing(kind):
    state = Transformer(KINDS[kind]).state_dict()
    state = {name: torch.randn_like(tensor) for name, tensor in state.items()}
    there = to_diffusers(state, patch=2)
    back = from_diffusers(there, patch=2, gated=kind == "llama")
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)
    assert sum(tensor.numel() for tensor in there.values()) == sum(
        tensor.numel() for tensor in state.values()
    )
    assert not [name for name in there if "attention" in name or "feed_forward" in name]


def part(module: torch.nn.Module, ours: str, theirs: str) -> dict:
    """Our part of a block under the names that diffusers' part of it has."""
    named = {f"blocks.0.{ours}.{name}": tensor for name, tensor in module.state_dict().items()}
    return {
        name.removeprefix(f"blocks.0.{theirs}."): tensor for name, tensor in to_diffusers(named, 2).items()
    }


@torch.no_grad()
def test_diffusers_attention_runs_ours():
    attention = pytest.importorskip("diffusers.models.attention_processor").Attention
    layer = SelfAttention(24, heads=2, norm=HeadNorm(12, 1e-5))
    layer.norm.query.weight.normal_()
    layer.norm.key.weight.normal_()
    theirs = attention(
        query_dim=24, heads=2, dim_head=12, bias=False, out_bias=False, qk_norm="rms_norm", eps=1e-5
    )
    theirs.load_state_dict(part(layer, "attention", "attn1"))
    x = torch.randn(2, 5, 24)
    torch.testing.assert_close(theirs(x), layer(x), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("layer", "kind"), [(SwiGLU(6, 10), "swiglu"), (SiLUFeedForward(6, 10), "linear-silu")]
)
def test_diffusers_feed_forward_layers_run_ours(layer, kind):
    theirs = pytest.importorskip("diffusers.models.attention").FeedForward(
        6, inner_dim=10, activation_fn=kind, bias=kind != "swiglu"
    )
    theirs.load_state_dict(part(layer, "feed_forward", "ffn"))
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(theirs(x), layer(x), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_diffusers_time_embedding_and_a_convolution_run_ours():
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    time, patchify = TimeEmbedding(8), Patchify(4, 2, 8)
    named = {f"time.{name}": tensor for name, tensor in time.state_dict().items()}
    theirs = embeddings.TimestepEmbedding(256, 8)
    theirs.load_state_dict({name.removeprefix("time_embedder."): tensor
                            for name, tensor in to_diffusers(named, 2).items()})  # fmt: skip
    moment = torch.rand(3)
    torch.testing.assert_close(theirs(sinusoid(moment)), time(moment))

    convolution = torch.nn.Conv3d(4, 8, (1, 2, 2), (1, 2, 2))
    named = {f"patchify.{name}": tensor for name, tensor in patchify.state_dict().items()}
    convolution.load_state_dict({name.removeprefix("patch_embedding."): tensor
                                 for name, tensor in to_diffusers(named, 2).items()})  # fmt: skip
    latent = torch.randn(2, 3, 4, 6, 8)
    expected = convolution(latent.transpose(1, 2)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patchify(latent), expected, atol=1e-5, rtol=1e-4)


def test_modulation_is_in_the_order_shift_scale_gate():
    table = torch.arange(6.0)[:, None].expand(6, 4)
    there = to_diffusers({"blocks.3.table.weight": table}, 2)["blocks.3.scale_shift_table"]
    assert there[0, :, 0].tolist() == [1, 0, 2, 4, 3, 5]


def test_a_tensor_without_a_name_there_is_refused():
    with pytest.raises(KeyError, match=r"blocks\.0\.surprise\.weight"):
        to_diffusers({"blocks.0.surprise.weight": torch.zeros(1)}, 2)
