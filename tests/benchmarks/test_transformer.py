"""The comparison of blocks' speed: operations and times are those of the passes that it names."""

from argparse import Namespace

import pytest
import torch

from benchmarks.blocks import CONTESTANTS, TEXT
from benchmarks.transformer import blocks, fused, growth, product_shapes

WIDTH, TOKENS = 384, 8


def test_operations_of_our_block_are_those_of_its_formula():
    tokens = torch.randn(1, TOKENS, WIDTH)
    counted = CONTESTANTS["ours"](WIDTH, TOKENS).operations(tokens)
    linear = 2 * WIDTH**2 * (6 * TOKENS + 2 * TEXT) + 2 * 3 * WIDTH * 1024 * TOKENS
    attention = 4 * WIDTH * TOKENS * (TOKENS + TEXT)
    assert counted == linear + attention


def test_the_products_are_those_of_the_blocks_layers():
    shapes = product_shapes(CONTESTANTS["ours"](WIDTH, TOKENS), WIDTH, TOKENS)
    assert len(shapes) == 11
    assert sorted(shapes)[-1] == (TEXT, WIDTH, WIDTH)
    assert (TOKENS, 1024, WIDTH) in shapes


def test_blocks_of_others_have_about_as_many_operations():
    pytest.importorskip("diffusers")
    tokens = torch.randn(1, 1024, WIDTH)
    counts = {name: CONTESTANTS[name](WIDTH, 1024).operations(tokens) for name in CONTESTANTS}
    assert counts["ours"] == counts["ours, QK norm"]
    assert all(0.5 < count / counts["ours"] < 1.5 for count in counts.values()), counts


def test_text_and_time_get_a_gradient_as_they_do_in_a_model():
    pytest.importorskip("diffusers")
    for name, make in CONTESTANTS.items():
        contestant = make(WIDTH, TOKENS)
        contestant(torch.randn(1, TOKENS, WIDTH)).sum().backward()
        trained = [each for each in contestant.conditions if each.requires_grad]
        assert len(trained) >= 2, name
        assert all(each.grad is not None for each in trained), name


@pytest.mark.parametrize("part", [blocks, growth, fused])
def test_each_part_gives_a_table_with_positive_numbers(part):
    options = Namespace(
        tokens=[TOKENS],
        width=256,
        rounds=1,
        threads=1,
        clock="wall",
        only=["ours", "ours, DiT"],
        passes=["forward", "with backward"],
    )
    ticks = iter(float(number * number) for number in range(10_000))
    table = part(options, lambda: next(ticks))
    cells = [cell for column in table.columns[2:] for cell in column.cells]
    assert table.row_count
    assert all(float(cell) > 0 for cell in cells if cell[0].isdigit())


def test_passes_that_were_not_asked_for_are_not_run():
    options = Namespace(
        tokens=[TOKENS], width=256, rounds=1, threads=1, clock="wall", only=["ours"], passes=["forward"]
    )
    ticks = iter(float(number) for number in range(10_000))
    table = blocks(options, lambda: next(ticks))
    assert [column.header for column in table.columns][3:] == ["forward, s", "of peak", "time/FLOP"]
    assert next(ticks) == 3 * (1 + 4)  # a look to warm up, two a round; a block, four products
