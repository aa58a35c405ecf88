"""Grown position tables: old places keep their meaning, and the function stays near what it was."""

import pytest
import torch
from einops import reduce, repeat

from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.grow import grow, grow_table

CONFIG = TransformerConfig(
    width=48, layers=3, heads=4, feed_forward=64, latent_channels=4, grid=(1, 4, 4), text_widths=(6,)
)


@pytest.fixture
def model() -> Transformer:
    """Weights without zeros and tables as smooth as training makes those of neighbouring places."""
    built = Transformer(CONFIG).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for table in (built.position.row, built.position.column):
            phase = torch.linspace(0, 2, len(table))[:, None] + torch.linspace(0, 6, CONFIG.width)
            table.copy_(phase.sin())
    return built


def text(batch: int) -> list[TextTokens]:
    generator = torch.Generator().manual_seed(3)
    return [TextTokens(torch.randn(batch, 5, 6, generator=generator), torch.ones(batch, 5, dtype=torch.bool))]


def test_the_middle_of_three_new_places_is_the_old_one():
    table = torch.randn(5, 7)
    torch.testing.assert_close(grow_table(table, 15, 3)[1::3], table)


def test_two_new_places_lie_either_side_of_the_old_one():
    table = torch.linspace(0, 9, 10)[:, None].expand(10, 4).contiguous()
    grown = grow_table(table, 20, 2)
    torch.testing.assert_close(reduce(grown, "(n two) d -> n d", "mean", two=2)[1:-1], table[1:-1])
    assert (grown[1:] >= grown[:-1]).all()


def test_at_scale_one_old_entries_stay_and_new_ones_begin_near_the_last():
    table = torch.randn(4, 200)
    grown = grow_table(table, 9, 1)
    assert torch.equal(grown[:4], table)
    assert (grown[4:] - table[-1]).std() == pytest.approx(0.02, rel=0.1)
    assert torch.pdist(grown[3:]).min() > 0


@torch.no_grad()
def test_images_are_answered_as_before_by_a_model_that_gained_time(model):
    latent = torch.randn(2, 1, 4, 8, 8)
    grown = grow(model, (6, 4, 4), (1, 1, 1)).eval()
    time = torch.tensor([0.2, 0.7])
    torch.testing.assert_close(
        grown(latent, time, text(2)), model(latent, time, text(2)), atol=1e-5, rtol=1e-4
    )
    assert grown(torch.randn(2, 6, 4, 8, 8), time, text(2)).shape == (2, 6, 4, 8, 8)


@torch.no_grad()
def test_pictures_of_the_same_resolution_are_answered_as_before_by_a_model_that_gained_aspect_ratios(model):
    """Text-to-image to the joint stage: twice the entries, not twice the pixels."""
    latent, time = torch.randn(2, 1, 4, 8, 8), torch.tensor([0.2, 0.7])
    before = model(latent, time, text(2))
    extended, stretched = (grow(model, (6, 8, 8), scale).eval() for scale in ((1, 1, 1), (1, 2, 2)))
    torch.testing.assert_close(extended(latent, time, text(2)), before, atol=1e-5, rtol=1e-4)
    assert (stretched(latent, time, text(2)) - before).norm() > 0.3 * before.norm()
    for wide_or_tall in ((1, 4, 8, 16), (6, 4, 16, 8)):
        assert extended(torch.randn(2, *wide_or_tall), time, text(2)).isfinite().all()


def fine(latent: torch.Tensor, factor: int) -> torch.Tensor:
    """Each token of the picture `factor` x `factor` times."""
    return repeat(latent, "b t c (h i) (w j) -> b t c (h y i) (w x j)", i=2, j=2, y=factor, x=factor)


def coarse(latent: torch.Tensor, factor: int) -> torch.Tensor:
    """The mean over the tokens that stand where one stood."""
    return reduce(latent, "b t c (h y i) (w x j) -> b t c (h i) (w j)", "mean", i=2, j=2, y=factor, x=factor)


@torch.no_grad()
@pytest.mark.parametrize("factor", [2, 3])
def test_a_finer_grid_is_answered_nearly_as_the_coarse_one_was(model, factor):
    """Attention over equal tokens does not count them, so repeated tokens with repeated positions are exact;
    positions in between come near, tables without interpolation do not.
    """
    latent, time = torch.randn(2, 1, 4, 8, 8), torch.tensor([0.2, 0.7])
    before = model(latent, time, text(2))
    grid = (1, 4 * factor, 4 * factor)

    def change(tables: Transformer) -> float:
        after = coarse(tables(fine(latent, factor), time, text(2)), factor)
        return ((after - before).norm() / before.norm()).item()

    interpolated = grow(model, grid, (1, factor, factor)).eval()
    repeated, extended = (grow(model, grid, scale).eval() for scale in ((1, factor, factor), (1, 1, 1)))
    for name in ("row", "column"):
        old = getattr(model.position, name)
        getattr(repeated.position, name).data = old.repeat_interleave(factor, dim=0)
    assert change(repeated) < 1e-5
    assert change(interpolated) < 0.1
    assert change(interpolated) < change(extended) / 3


def test_the_old_model_stays_as_it_was_and_the_new_one_learns(model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    grown = grow(model, (2, 8, 8), (1, 2, 2))
    assert grown.config.grid == (2, 8, 8)
    assert all(parameter.requires_grad for parameter in grown.parameters())
    grown(torch.randn(1, 2, 4, 16, 16), torch.rand(1), text(1)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in grown.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_grid_that_would_cut_places_off_names_what_is_needed(model):
    with pytest.raises(ValueError, match=r"rows grow from 4 by 3 to 12; a grid of 11 came"):
        grow(model, (1, 11, 12), (1, 3, 3))
