"""Checkpointing and compiling change what a block costs, never what it says."""

import copy
import gc
import subprocess
import sys
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import checkpoint_blocks
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


COMPILED = """
import copy, sys, torch
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from models.transformer.execution import checkpoint_blocks, compile_blocks

config = TransformerConfig(width=32, layers=2, heads=4, feed_forward=48, latent_channels=4, grid=(2, 4, 4),
                           text_widths=(6,))
torch.manual_seed(0)
plain = Transformer(config)
with torch.no_grad():
    for parameter in plain.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
compiled = copy.deepcopy(plain)
checkpoint_blocks(compiled, sys.argv[1])
compile_blocks(compiled, fullgraph=True)
assert list(plain.state_dict()) == list(compiled.state_dict())
inputs = torch.randn(2, 2, 4, 4, 4), torch.rand(2)
text = [TextTokens(torch.randn(2, 5, 6), torch.ones(2, 5, dtype=torch.bool))]
for model in (plain, compiled):
    model(*inputs, text).square().mean().backward()
for mine, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
    torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-3)
graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
assert graphs == 1, graphs  # equal blocks share the code
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_blocks_are_one_graph_and_say_the_same(kind):
    """In a process of its own: the compiler cannot see through the checks that tests put on calls."""
    done = subprocess.run([sys.executable, "-c", COMPILED, kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
