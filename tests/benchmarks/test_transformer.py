"""The comparison of blocks' speed: operations and times are those of the passes that it names."""

from argparse import Namespace

import pytest
import torch

from benchmarks.transformer import CONTESTANTS, TEXT, blocks, fastest, fused, growth, product_shapes, shape_of
from models.transformer.block import Block

WIDTH, TOKENS = 384, 8


def test_operations_of_our_block_are_those_of_its_formula():
    tokens = torch.randn(1, TOKENS, WIDTH)
    counted = CONTESTANTS["ours"](WIDTH, TOKENS).operations(tokens)
    linear = 2 * WIDTH**2 * (6 * TOKENS + 2 * TEXT) + 2 * 3 * WIDTH * 1024 * TOKENS
    attention = 4 * WIDTH * TOKENS * (TOKENS + TEXT)
    assert counted == linear + attention


def test_the_products_are_those_of_the_blocks_layers():
    shapes = product_shapes(Block(shape_of(WIDTH)), WIDTH, TOKENS)
    assert len(shapes) == 11
    assert sorted(shapes)[-1] == (TEXT, WIDTH, WIDTH)
    assert (TOKENS, 1024, WIDTH) in shapes


def test_blocks_of_others_have_about_as_many_operations():
    pytest.importorskip("diffusers")
    tokens = torch.randn(1, 1024, WIDTH)
    counts = {name: CONTESTANTS[name](WIDTH, 1024).operations(tokens) for name in CONTESTANTS}
    assert counts["ours"] == counts["ours, QK norm"]
    assert all(0.5 < count / counts["ours"] < 1.5 for count in counts.values()), counts


def test_the_fastest_round_counts_and_the_first_only_warms_up():
    ticks = iter([0.0, 0.0, 5.0, 8.0, 10.0, 12.0])
    assert fastest({"one": lambda: None}, 2, lambda: next(ticks)) == {"one": 2.0}


@pytest.mark.parametrize("part", [blocks, growth, fused])
def test_each_part_gives_a_table_with_positive_numbers(part):
    options = Namespace(
        tokens=[TOKENS], width=256, rounds=1, threads=1, clock="wall", only=["ours", "ours, DiT"]
    )
    ticks = iter(float(number * number) for number in range(10_000))
    table = part(options, lambda: next(ticks))
    cells = [cell for column in table.columns[2:] for cell in column.cells]
    assert table.row_count
    assert all(float(cell) > 0 for cell in cells if cell[0].isdigit())
