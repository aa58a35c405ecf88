"""One block each of ours and of diffusers, with what a model gives it beside the tokens."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models.transformer.block import Block
from models.transformer.config import TransformerConfig
from models.transformer.dit_block import DiTBlock

HEAD = 128  # channels of a head (Table 1)
TEXT = 256  # text tokens of every block
TIME = 512  # channels of CogVideoX's time embedding


class Contestant(nn.Module):
    """A block and its conditions, which are parameters: text and time get a gradient, as in a model."""

    def __init__(self, block: nn.Module, conditions: Sequence[Tensor], call: Callable[..., Tensor]) -> None:
        super().__init__()
        self.block, self.call = block, call
        self.conditions = nn.ParameterList(conditions)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens "1 n d" to as many."""
        return self.call(self.block, x, *self.conditions)

    def operations(self, tokens: Tensor) -> int:
        """Of a forward pass, counted without doing them."""
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            copy.deepcopy(self).to("meta")(tokens.to("meta"))
        return counter.get_total_flops()


def shape_of(width: int) -> TransformerConfig:
    """Our block at this width: heads of 128 channels, the 5B's ratio of hidden channels."""
    return TransformerConfig(width=width, heads=width // HEAD, feed_forward=width * 8 // 3, layers=1)


def ours(kind: type[nn.Module], **options: Any) -> Callable[[int, int], Contestant]:
    """A block of ours."""

    def call(block: nn.Module, x: Tensor, position: Tensor, time: Tensor, text: Tensor) -> Tensor:
        return block(x, position, time, text, torch.ones(1, TEXT, dtype=torch.bool, device=x.device))

    def make(width: int, tokens: int) -> Contestant:
        block = kind(replace(shape_of(width), **options))
        position, time, text = torch.zeros(tokens, width), torch.zeros(1, 6, width), _text(width)
        return Contestant(block, [position, time, text], call)

    return make


def wan(width: int, tokens: int) -> Contestant:
    """Wan's: layer norms, rotary positions, query and key norms, GELU with four times the width."""
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock

    rotary = WanRotaryPosEmbed(HEAD, (1, 2, 2), tokens)(torch.empty(1, 16, tokens // 4, 4, 4))
    turns = [nn.Parameter(each, requires_grad=False) for each in rotary]

    def call(block: nn.Module, x: Tensor, time: Tensor, text: Tensor, *rotary: Tensor) -> Tensor:
        return block(x, text, time, rotary)

    block = WanTransformerBlock(width, 4 * width, width // HEAD, cross_attn_norm=True)
    return Contestant(block, [torch.zeros(1, 6, width), _text(width), *turns], call)


def cogvideox(width: int, tokens: int) -> Contestant:
    """CogVideoX's: video and text in one self-attention, adaLN of its own, GELU with four times the width."""
    from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock

    def call(block: nn.Module, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        video, _ = block(x, text, time)
        return video

    block = CogVideoXBlock(width, width // HEAD, HEAD, TIME, attention_bias=True)
    return Contestant(block, [torch.zeros(1, TIME), _text(width)], call)


def _text(width: int) -> Tensor:
    return torch.randn(1, TEXT, width)


CONTESTANTS: dict[str, Callable[[int, int], Contestant]] = {
    "ours": ours(Block),
    "ours, QK norm": ours(Block, qk_norm=True),
    "ours, DiT": ours(DiTBlock),
    "Wan": wan,
    "CogVideoX": cogvideox,
}
