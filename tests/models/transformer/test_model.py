"""The transformer: parameter counts at full shape, text, time, position."""

from dataclasses import replace

import pytest
import torch

from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.presets import PRESETS

TINY = TransformerConfig(
    width=32, layers=2, heads=4, feed_forward=48, latent_channels=4, grid=(3, 4, 5), text_widths=(6, 10)
)


def awake(config: TransformerConfig = TINY) -> Transformer:
    """A model none of whose parameters is zero: every path takes part."""
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def text(batch: int = 2, lengths: tuple[int, int] = (5, 3)) -> list[TextTokens]:
    return [
        TextTokens(torch.randn(batch, length, width), torch.ones(batch, length, dtype=torch.bool))
        for length, width in zip(lengths, TINY.text_widths, strict=True)
    ]


def test_table_1_has_28_99_billion_parameters_in_attention_and_feed_forward():
    with torch.device("meta"):
        model = Transformer(PRESETS["30b"])
    layers = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if name.startswith("blocks.") and parameter.ndim == 2 and not name.endswith("table.weight")
    )
    assert layers == 48 * (8 * 6144**2 + 3 * 6144 * 16384)
    assert layers / 1e9 == pytest.approx(28.99, abs=0.005)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(29.4, abs=0.1)


@pytest.mark.parametrize(
    ("name", "billions"), [("30b", 29.4), ("7b", 7.38), ("5b", 4.96), ("5b-dit", 4.97), ("1b", 1.09)]
)
def test_a_preset_has_the_size_that_its_name_says(name, billions):
    with torch.device("meta"):
        model = Transformer(PRESETS[name])
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e9 == pytest.approx(
        billions, rel=0.01
    )


def test_the_two_blocks_of_table_9_have_as_many_weights_and_differ_in_norm_activation_and_bias():
    with torch.device("meta"):
        llama, dit = (Transformer(PRESETS[name]).blocks[0] for name in ("5b", "5b-dit"))

    def matrices(block):
        return sum(weight.numel() for weight in block.parameters() if weight.ndim == 2 and len(weight) > 6)

    assert matrices(llama) == matrices(dit)
    biases = [name for name, _ in dit.named_parameters() if name.endswith("bias")]
    assert len(biases) == 10  # of each linear layer
    assert not [name for name, _ in llama.named_parameters() if name.endswith("bias")]
    assert not [name for name, _ in dit.named_parameters() if "_norm" in name]
    assert {dit.attention_norm.eps, dit.cross_norm.eps, dit.feed_forward_norm.eps} == {1e-6}
    assert {llama.attention_norm.eps, llama.cross_norm.eps, llama.feed_forward_norm.eps} == {1e-5}


@pytest.mark.parametrize("kind", [{}, {"block": "dit"}, {"positions": "first"}])
def test_an_untrained_model_answers_zero_the_mean_velocity(kind):
    out = Transformer(replace(TINY, **kind))(torch.randn(2, 3, 4, 8, 10), torch.rand(2), text())
    assert out.shape == (2, 3, 4, 8, 10)
    assert not out.any()


@torch.no_grad()
def test_padding_of_the_text_is_never_heard():
    model, latent, time = awake(), torch.randn(2, 2, 4, 4, 4), torch.rand(2)
    short = text()
    padded = [
        TextTokens(
            torch.cat([each.embedding, torch.randn(2, 4, each.embedding.shape[-1])], dim=1),
            torch.cat([each.mask, torch.zeros(2, 4, dtype=torch.bool)], dim=1),
        )
        for each in short
    ]
    torch.testing.assert_close(model(latent, time, padded), model(latent, time, short), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_text_time_and_every_token_reach_every_output():
    model, latent, time, prompt = awake(), torch.randn(2, 2, 4, 4, 4), torch.tensor([0.3, 0.6]), text()
    out = model(latent, time, prompt)
    changed = latent.clone()
    changed[0, 1, 2, 3, 3] += 1
    assert (model(changed, time, prompt)[0] != out[0]).all(dim=1).all()
    assert torch.equal(model(changed, time, prompt)[1], out[1])
    assert not torch.allclose(model(latent, time + 0.1, prompt), out)
    for index in range(2):
        other = text()
        mixed = [other[index] if each == index else prompt[each] for each in range(2)]
        assert not torch.allclose(model(latent, time, mixed), out)


@torch.no_grad()
def test_position_enters_every_layer():
    """A position added to the first layer alone would be lost on blocks whose input is made constant."""
    model = awake()
    seen = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    model(torch.randn(1, 2, 4, 4, 6), torch.rand(1), text(1))
    position = model.position(2, 2, 3)
    assert len(seen) == TINY.layers
    for each in seen:
        torch.testing.assert_close(each, position)


@torch.no_grad()
def test_the_ablation_adds_positions_to_the_first_layer_alone():
    model = awake(replace(TINY, positions="first"))
    seen = []
    for block in model.blocks:
        block.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    model(torch.randn(1, 2, 4, 4, 6), torch.rand(1), text(1))
    torch.testing.assert_close(seen[0], model.position(2, 2, 3))
    assert seen[1:] == [None] * (TINY.layers - 1)


@torch.no_grad()
def test_the_position_of_a_token_is_the_sum_of_its_frame_row_and_column():
    tables = awake().position
    position = tables(3, 4, 5).unflatten(0, (3, 4, 5))
    torch.testing.assert_close(position[2, 1, 3], tables.time[2] + tables.row[1] + tables.column[3])


@torch.no_grad()
def test_every_frame_and_place_is_told_apart():
    """Full attention without positions would give equal outputs for equal tokens."""
    out = awake()(torch.ones(1, 2, 4, 4, 4), torch.rand(1), text(1))
    flat = out[:, :, :, ::2, ::2].permute(0, 1, 3, 4, 2).reshape(-1, 4)
    assert torch.pdist(flat).min() > 1e-4


def test_a_grid_beyond_the_tables_names_both_sizes():
    with pytest.raises(ValueError, match=r"4 frames .* ends at 3"):
        awake()(torch.randn(1, 4, 4, 4, 4), torch.rand(1), text(1))


def test_a_latent_that_does_not_divide_and_missing_encoders_are_refused():
    with pytest.raises(ValueError, match="does not divide into patches"):
        awake()(torch.randn(1, 1, 4, 3, 4), torch.rand(1), text(1))
    with pytest.raises(ValueError, match="reads 2 text encoders; tokens of 1 came"):
        awake()(torch.randn(1, 1, 4, 4, 4), torch.rand(1), text(1)[:1])
    with pytest.raises(ValueError, match="does not divide into 5 heads"):
        TransformerConfig(width=32, heads=5)
    with pytest.raises((ValueError, TypeError), match="block"):  # the type checker of the tests is first
        TransformerConfig(block="mamba")  # type: ignore[arg-type]


@pytest.mark.parametrize("block", ["llama", "dit"])
def test_every_parameter_learns(block):
    config = replace(TINY, qk_norm=True, block=block)
    model = awake(config)
    model(torch.randn(2, 3, 4, 8, 10), torch.rand(2), text()).square().sum().backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert silent == []
