"""The cost of Muon: each contestant is trained as its name says, and what is counted is what was timed."""

import pytest
import torch

from benchmarks.optimizer import KINDS, Seconds, batch_of, contestant, measure, table_of
from lightning_modules import muon
from models.transformer import TransformerConfig

SHAPE = TransformerConfig(
    width=8, layers=2, heads=2, feed_forward=16, grid=(2, 4, 4), text_widths=(5,), qk_norm=True
)


@pytest.fixture
def batches(monkeypatch):
    """Sizes of the batches of matrices that were made orthogonal."""
    sizes: list[int] = []
    plain = muon.orthogonalise
    monkeypatch.setattr(
        muon, "orthogonalise", lambda matrices: sizes.append(len(matrices)) or plain(matrices)
    )
    return sizes


def train(name, steps=1):
    torch.manual_seed(0)
    trained = {name: contestant(SHAPE, KINDS[name])}
    ticks = iter(range(1000))
    return trained[name].model, measure(trained, batch_of(2, SHAPE), steps, lambda: float(next(ticks)))


def test_matrices_come_together_or_one_by_one_as_the_name_says(batches):
    train("AdamW")
    assert not batches
    train("Muon")
    assert set(batches) == {2 * 8, 2 * 3, 1}  # attention, feed-forward, the text's
    batches.clear()
    train("Muon, one by one")
    assert batches == [1] * (2 * 11 + 1) * 2  # one step to warm up, and one


def test_both_ways_of_muon_train_alike():
    one, two = train("Muon", 2)[0], train("Muon, one by one", 2)[0]
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def test_a_row_says_how_much_longer_a_step_is():
    seconds = {
        "AdamW": [Seconds(1.0, 0.1), Seconds(2.0, 0.2), Seconds(9.0, 0.3)],
        "Muon": [Seconds(3.0, 1.0)] * 3,
    }
    columns = [list(column.cells) for column in table_of("", seconds).columns]
    assert columns == [["AdamW", "Muon"], ["2000.0", "3000.0"], ["200.0", "1000.0"], ["1.00", "1.50"]]


def test_every_step_but_the_first_is_counted():
    (seconds,) = train("AdamW", 3)[1].values()
    assert [tuple(each) for each in seconds] == [(2.0, 1.0)] * 3
