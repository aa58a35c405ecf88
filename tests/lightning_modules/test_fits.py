"""Latents of other channels, sizes, patches or texts than a transformer's are refused, with both sides."""

import re
from dataclasses import replace

import pytest

from console import UserError
from datamodules.latents import LatentData
from lightning_modules.fits import check_fits
from models.transformer import TransformerConfig
from tests.datamodules.shard_sets import write_latents

SHAPE = TransformerConfig(
    width=16,
    layers=1,
    heads=2,
    feed_forward=16,
    patch=1,
    latent_channels=3,
    grid=(2, 4, 4),
    text_widths=(384,),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_latents(tmp_path_factory.mktemp("latents"), channels=3, widths=(384,))


@pytest.mark.parametrize("options", [{}, {"tokens": 64, "patch": 1}, {"patch": 2}])
def test_what_fits_is_let_through(folder, options):
    check_fits(LatentData(str(folder), **options), SHAPE, (384,))


@pytest.mark.parametrize(
    ("options", "shape", "said"),
    [
        ({}, {"latent_channels": 16}, "have 3 channels, transformer.latent_channels is 16. Set it to 3"),
        ({"tokens": 64, "patch": 2}, {}, "data.patch is 2, transformer.patch 1"),
        (
            {},
            {"grid": (2, 4, 3)},
            "(32x32x16) have up to [2, 4, 4] tokens in time, rows and columns; transformer.grid is [2, 4, 3]",
        ),
        ({}, {"patch": 3}, "'32x32x16' does not divide into patches of 24 x 24"),
        ({}, {"text_widths": (4,)}, "'minilm' is [384] wide; transformer.text_widths is [4]"),
        ({}, {"text_widths": (384, 7)}, "'minilm' is [384] wide; transformer.text_widths is [384, 7]"),
    ],
)
def test_what_does_not_fit_is_named_with_both_sides(folder, options, shape, said):
    with pytest.raises(UserError, match=re.escape(said)):
        check_fits(LatentData(str(folder), **options), replace(SHAPE, **shape), (384,))


def test_the_tables_must_reach_the_largest_clip_of_every_bucket(tmp_path):
    """Rows from one bucket and columns from the other."""
    folder = write_latents(tmp_path, widths=(384,), buckets=("32x16x16", "16x48x8"))
    data = LatentData(str(folder))
    check_fits(data, replace(SHAPE, grid=(2, 6, 4)), (384,))
    for grid in ((1, 6, 4), (2, 5, 4), (2, 6, 3)):
        with pytest.raises(UserError, match=re.escape("Raise it to at least [2, 6, 4]")):
            check_fits(data, replace(SHAPE, grid=grid), (384,))
