"""The backbone's block: LLaMa3's with cross-attention, adaLN and full attention (Sec. 3.1.3, Fig. 8)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import silu

from models.transformer.attention import CrossAttention, HeadNorm, SelfAttention
from models.transformer.config import TransformerConfig
from models.transformer.modulation import modulate


class SwiGLU(nn.Module):
    """The gated feed-forward layer of LLaMa3; gate and value are one matrix."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(silu(gate) * up)


class Block(nn.Module):
    """Position, self-attention, cross-attention, feed-forward; the time steers the first and the last."""

    MODULATIONS = 6  # scale, shift and gate of self-attention, then of the feed-forward layer

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, eps = config.width, config.norm_eps
        self.attention_norm = nn.RMSNorm(width, eps)
        self.attention = SelfAttention(width, config.heads, _head_norm(config))
        self.cross_norm = nn.RMSNorm(width, eps)  # Fig. 8 shows none; a residual stream without it grows
        self.cross_attention = CrossAttention(width, config.heads, _head_norm(config))
        self.feed_forward_norm = nn.RMSNorm(width, eps)
        self.feed_forward = SwiGLU(width, config.feed_forward)
        self.table = nn.Parameter(torch.empty(self.MODULATIONS, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gates open at one: with shared adaLN starting at zero the block begins as LLaMa3's own."""
        with torch.no_grad():
            self.table.zero_()
            self.table[2].fill_(1.0)
            self.table[5].fill_(1.0)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        position: Float[Tensor, "n d"],
        modulation: Float[Tensor, "b 6 d"],
        text: Float[Tensor, "b l d"],
        mask: Bool[Tensor, "b l"],
    ) -> Float[Tensor, "b n d"]:
        scale_a, shift_a, gate_a, scale_f, shift_f, gate_f = (self.table + modulation).unsqueeze(2).unbind(1)
        x = x + position
        x = x + gate_a * self.attention(modulate(self.attention_norm(x), scale_a, shift_a))
        x = x + self.cross_attention(self.cross_norm(x), text, mask)
        return x + gate_f * self.feed_forward(modulate(self.feed_forward_norm(x), scale_f, shift_f))


def _head_norm(config: TransformerConfig) -> HeadNorm | None:
    return HeadNorm(config.width // config.heads, config.norm_eps) if config.qk_norm else None
