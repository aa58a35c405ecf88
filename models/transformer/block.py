"""The backbone's block: LLaMa3's with cross-attention, adaLN and full attention (Sec. 3.1.3, Fig. 8)."""

from jaxtyping import Bool, Float
from torch import Tensor, addcmul, nn
from torch.nn.functional import silu

from models.transformer.attention import CrossAttention, HeadNorm, SelfAttention
from models.transformer.config import TransformerConfig
from models.transformer.modulation import ModulationTable, modulate


class SwiGLU(nn.Module):
    """The gated feed-forward layer of LLaMa3."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.down(silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Position, self-attention, cross-attention, feed-forward; the time steers the first and the last."""

    MODULATIONS = 6  # scale, shift and gate of self-attention, then of the feed-forward layer

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, eps = config.width, config.norm_eps
        self.attention_norm = nn.RMSNorm(width, eps)
        self.attention = SelfAttention(width, config.heads, head_norm(config))
        self.cross_norm = nn.RMSNorm(width, eps)  # Fig. 8 shows none; a residual stream without it grows
        self.cross_attention = CrossAttention(width, config.heads, head_norm(config))
        self.feed_forward_norm = nn.RMSNorm(width, eps)
        self.feed_forward = SwiGLU(width, config.feed_forward)
        self.table = ModulationTable(self.MODULATIONS, width, gates=(2, 5))

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        position: Float[Tensor, "n d"] | None,
        modulation: Float[Tensor, "b 6 d"],
        text: Float[Tensor, "b l d"],
        mask: Bool[Tensor, "b l"],
    ) -> Float[Tensor, "b n d"]:
        scale_a, shift_a, gate_a, scale_f, shift_f, gate_f = self.table(modulation).unsqueeze(2).unbind(1)
        if position is not None:
            x = x + position
        x = addcmul(x, gate_a, self.attention(modulate(self.attention_norm(x), scale_a, shift_a)))
        x = x + self.cross_attention(self.cross_norm(x), text, mask)
        return addcmul(x, gate_f, self.feed_forward(modulate(self.feed_forward_norm(x), scale_f, shift_f)))


def head_norm(config: TransformerConfig) -> HeadNorm | None:
    """The norm of queries and keys, where the config asks for one."""
    return HeadNorm(config.width // config.heads, config.norm_eps) if config.qk_norm else None
