"""Full bidirectional self-attention and cross-attention to the text (Sec. 3.1.3)."""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class HeadNorm(nn.Module):
    """RMS norm of each query and key head: keeps attention logits bounded at high learning rates."""

    def __init__(self, head_width: int, eps: float) -> None:
        super().__init__()
        self.query, self.key = nn.RMSNorm(head_width, eps), nn.RMSNorm(head_width, eps)

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return self.query(query), self.key(key)


class SelfAttention(nn.Module):
    """Every video token attends to every other: no mask, no window."""

    def __init__(self, width: int, heads: int, norm: HeadNorm | None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.norm = norm
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        query, key, value = rearrange(
            self.qkv(x), "b n (qkv heads d) -> qkv b heads n d", qkv=3, heads=self.heads
        )
        if self.norm is not None:
            query, key = self.norm(query, key)
        attended = scaled_dot_product_attention(query, key, value)
        return self.out(rearrange(attended, "b heads n d -> b n (heads d)"))


class CrossAttention(nn.Module):
    """Video tokens ask, text tokens answer; padding is never heard."""

    def __init__(self, width: int, heads: int, norm: HeadNorm | None) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.norm = norm
        self.out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Float[Tensor, "b n d"], text: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"]
    ) -> Float[Tensor, "b n d"]:
        query = rearrange(self.q(x), "b n (heads d) -> b heads n d", heads=self.heads)
        key, value = rearrange(self.kv(text), "b l (kv heads d) -> kv b heads l d", kv=2, heads=self.heads)
        if self.norm is not None:
            query, key = self.norm(query, key)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return self.out(rearrange(attended, "b heads n d -> b n (heads d)"))
