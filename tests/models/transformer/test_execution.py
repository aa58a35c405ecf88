"""Checkpointing and compiling change what a block costs, never what it says."""

import copy
import gc
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import checkpoint_blocks, compile_blocks
from tests.models.transformer.test_model import TINY, awake, text

KINDS = ["none", "full", "selective"]
CONFIG = TransformerConfig(
    width=64, layers=2, heads=4, feed_forward=176, latent_channels=4, grid=(3, 8, 8), text_widths=(6, 10)
)


class Storages(TorchDispatchMode):
    """Watches which storages of results are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.seen[storage._cdata] = weakref.ref(storage), storage.nbytes()
        return result


def loss(model: Transformer) -> torch.Tensor:
    torch.manual_seed(1)
    return model(torch.randn(2, 3, 4, 16, 16), torch.rand(2), text()).square().mean()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_names_are_those_of_the_plain_model(kind):
    plain = awake(CONFIG)
    other = copy.deepcopy(plain)
    checkpoint_blocks(other, kind)
    assert list(plain.state_dict()) == list(other.state_dict())
    loss(plain).backward()
    loss(other).backward()
    for (name, mine), theirs in zip(other.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_full_repeats_the_forward_pass_and_selective_no_product():
    flops = {}
    for kind in KINDS:
        model = awake(CONFIG)
        checkpoint_blocks(model, kind)
        with FlopCounterMode(display=False) as counter:
            loss(model).backward()
        flops[kind] = counter.get_total_flops()
    assert flops["selective"] == flops["none"]
    assert 1.25 < flops["full"] / flops["none"] < 1.34


def test_full_keeps_least_and_selective_less_than_everything():
    kept = {}
    for kind in KINDS:
        model = awake(CONFIG)
        checkpoint_blocks(model, kind)
        with Storages() as storages:
            value = loss(model)
        gc.collect()
        kept[kind] = sum(size for alive, size in storages.seen.values() if alive() is not None)
        del value
    assert kept["full"] < 0.4 * kept["none"]
    assert kept["selective"] < 0.75 * kept["none"]


def test_a_copy_of_a_checkpointed_model_has_weights_of_its_own():
    model = awake(CONFIG)
    checkpoint_blocks(model, "full")
    clone = copy.deepcopy(model)
    before = loss(clone)
    with torch.no_grad():
        for parameter in model.blocks.parameters():
            parameter.zero_()
    assert torch.equal(loss(clone), before)
    assert not torch.equal(loss(model), before)


def test_an_unknown_kind_is_refused():
    with pytest.raises((ValueError, TypeError), match="half"):
        checkpoint_blocks(awake(TINY), "half")  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["none", "selective"])
def test_compiled_blocks_say_the_same(kind):
    plain = awake(TINY)
    compiled = copy.deepcopy(plain)
    checkpoint_blocks(compiled, kind)
    compile_blocks(compiled)
    assert list(plain.state_dict()) == list(compiled.state_dict())

    def small(model: Transformer) -> torch.Tensor:
        torch.manual_seed(2)
        return model(torch.randn(2, 2, 4, 4, 4), torch.rand(2), text()).square().mean()

    small(plain).backward()
    small(compiled).backward()
    for mine, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-3)
