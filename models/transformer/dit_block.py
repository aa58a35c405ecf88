"""The block of the ablation: DiT's norm, activation and biases in place of LLaMa3's (Sec. 3.6.2, Table 9)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from models.transformer.attention import CrossAttention, SelfAttention
from models.transformer.block import Block, head_norm
from models.transformer.config import TransformerConfig
from models.transformer.modulation import ModulationTable

NORM_EPS = 1e-6  # Table 9


class SiLUFeedForward(nn.Module):
    """SiLU between two layers with bias. At 1.5 times SwiGLU's hidden channels it has as many weights."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.down(silu(self.up(x)))


class DiTBlock(Block):
    """Layer norms without weights, SiLU and biases; the order of Figure 8 and its modulation stay."""

    def __init__(self, config: TransformerConfig) -> None:
        nn.Module.__init__(self)  # not Block's, which would make its own parts first
        width, heads = config.width, config.heads
        self.attention_norm = nn.LayerNorm(width, NORM_EPS, elementwise_affine=False)
        self.attention = SelfAttention(width, heads, head_norm(config), bias=True)
        self.cross_norm = nn.LayerNorm(width, NORM_EPS, elementwise_affine=False)
        self.cross_attention = CrossAttention(width, heads, head_norm(config), bias=True)
        self.feed_forward_norm = nn.LayerNorm(width, NORM_EPS, elementwise_affine=False)
        self.feed_forward = SiLUFeedForward(width, config.feed_forward)
        self.table = ModulationTable(self.MODULATIONS, width, gates=(2, 5))
